"""What requested devices change in a container."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from wherry.engine import devices
from wherry.oci.runtime import Hooks, Mount


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Additions to its spec."""

    env: tuple[str, ...] = ()
    nodes: tuple[devices.Node, ...] = ()
    mounts: tuple[Mount, ...] = ()
    gids: tuple[int, ...] = ()
    hooks: Hooks | None = None


def together(parts: Sequence[Edits]) -> Edits:
    """All of them, in their order."""
    return Edits(
        env=tuple(chain.from_iterable(part.env for part in parts)),
        nodes=tuple(chain.from_iterable(part.nodes for part in parts)),
        mounts=tuple(chain.from_iterable(part.mounts for part in parts)),
        gids=tuple(chain.from_iterable(part.gids for part in parts)),
        hooks=_hooks([part.hooks for part in parts if part.hooks is not None]),
    )


def _hooks(parts: Sequence[Hooks]) -> Hooks | None:
    if not parts:
        return None
    points = Hooks.__struct_fields__
    return Hooks(**{point: tuple(chain.from_iterable(getattr(part, point) for part in parts)) for point in points})
