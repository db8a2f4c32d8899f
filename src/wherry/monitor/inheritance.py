"""What a monitor that takes over finds with the keeper: the dead one's descriptors, sorted."""

import socket

from msgspec import Struct

from wherry.monitor.messages import Kept

_HELD = "held"


class Inheritance(Struct, frozen=True):
    """Descriptors by name: the container's (with `status`), what is held for it, its execs', its clients'.

    `strays` are clients of an exec that had ended.
    """

    container: dict[str, int]
    held: tuple[int, ...]
    execs: tuple[tuple[Kept, dict[str, int]], ...]
    clients: tuple[tuple[socket.socket, Kept], ...]
    strays: tuple[tuple[socket.socket, Kept], ...]

    def clients_of(self, exec_id: str) -> list[tuple[socket.socket, Kept]]:
        """Those of an exec, or of the container itself for an empty id."""
        return [(connection, kept) for connection, kept in self.clients if kept.exec_id == exec_id]


def sort(found: tuple[Kept, ...], fds: list[int]) -> Inheritance:
    """Take over descriptors that came in the order of `found`."""
    take = iter(fds)
    container: dict[str, int] = {}
    held: list[int] = []
    execs, clients = [], []
    for kept in found:
        mine = [next(take) for _ in kept.fds]
        if kept.session:
            clients.append((socket.socket(fileno=mine[0]), kept))
        elif kept.exec_id:
            execs.append((kept, dict(zip(kept.fds, mine, strict=True))))
        elif kept.pid:
            container = dict(zip(kept.fds, mine, strict=True))
        else:
            held += mine
    ids = {kept.exec_id for kept, _ in execs} | {""}
    return Inheritance(
        container=container,
        held=tuple(held),
        execs=tuple(execs),
        clients=tuple(one for one in clients if one[1].exec_id in ids),
        strays=tuple(one for one in clients if one[1].exec_id not in ids),
    )


def bundles(held: tuple[int, ...], size: int) -> list[tuple[str, tuple[int, ...], Kept]]:
    """What is held for a container, in bundles that one packet can carry: name, descriptors, what they are."""
    parts = [held[start : start + size] for start in range(0, len(held), size)]
    return [(f"{_HELD} {number}", part, Kept(fds=(_HELD,) * len(part))) for number, part in enumerate(parts)]
