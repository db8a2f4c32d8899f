"""The nouns of the engine as frozen records, state tables and errors; no IO, no asyncio."""
