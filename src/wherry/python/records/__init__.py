"""What comes back from an engine, as frozen records: read leniently, with the raw JSON within reach."""
