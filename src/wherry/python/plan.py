"""What an engine in this process is to be like, as a value."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex


@dataclass(frozen=True, slots=True)
class Plan:
    """Its state is in `root`, which is removed at the end if `is_temporary`. With `keep` its containers outlive it."""

    root: Path
    bridge: str
    is_temporary: bool = False
    keep: bool = False
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    storage_driver: str = ""


def plan_of(
    root: str | Path | None,
    *,
    keep: bool,
    bridge: str = "",
    insecure_registries: Sequence[str] = (),
    registry_mirrors: Sequence[str] = (),
    storage_driver: str = "",
) -> Plan:
    """The plan for a root, or for a temporary one that is still to be made; ValueError when that is to be kept."""
    if root is None and keep:
        raise ValueError("what is to outlive the engine needs a root that does: say root=…")
    place = Path(tempfile.gettempdir(), f"wherry-{token_hex(8)}") if root is None else Path(root).absolute()
    return Plan(
        root=place,
        bridge=bridge or bridge_of(place),
        is_temporary=root is None,
        keep=keep,
        insecure_registries=tuple(insecure_registries),
        registry_mirrors=tuple(registry_mirrors),
        storage_driver=storage_driver,
    )


def bridge_of(root: Path) -> str:
    """A name for a bridge of its own, the same for the same root, no longer than a link's may be."""
    return f"wherry-{sha256(os.fsencode(root)).hexdigest()[:8]}"
