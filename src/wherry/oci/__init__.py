"""The Open Container Initiative's specifications as records: runtime, image, distribution."""
