"""The front door: the Docker Engine API over HTTP, turned into values and back."""
