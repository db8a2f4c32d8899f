"""Volumes on the wire."""

from typing import Any

from wherry.model.clock import NANOSECONDS, rfc3339
from wherry.model.volume import Volume


def volume_view(volume: Volume) -> dict[str, Any]:
    """A volume; its time without a fraction, as the local driver's of Docker."""
    return {
        "CreatedAt": rfc3339(volume.created_ns // NANOSECONDS * NANOSECONDS),
        "Driver": volume.driver,
        "Labels": volume.labels,
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": volume.options,
        "Scope": "local",
    }
