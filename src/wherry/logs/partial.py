"""What is said of a part of a long line, so that a server can put the parts together."""

import hashlib

from wherry.logs.driver import Entry


def part_fields(container_id: str, entry: Entry) -> dict[str, str]:
    """Names and values as dockerd has them. The id is the same for all parts, whichever daemon sends them."""
    source = f"{container_id}{entry.stream}{entry.time_ns}"
    return {
        "id": hashlib.sha256(source.encode()).hexdigest(),
        "ordinal": str(entry.part),
        "last": "true" if entry.is_last else "false",
    }
