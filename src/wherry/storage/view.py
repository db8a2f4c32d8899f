"""How a worker is told which file system to enter: a container's, with its mounts, as words and descriptors."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

MEMORY = "tmpfs"


class View(NamedTuple):
    """A container's file system. The descriptors are the process's that has the value.

    `namespace` is the mount namespace of a running container, else -1, and then `root` is a detached mount of its
    root. `mounts` are detached mounts and the places they belong to, in their order; `memories` the places of a
    running container's own tmpfs.
    """

    namespace: int = -1
    root: int = -1
    mounts: tuple[tuple[int, str], ...] = ()
    memories: tuple[str, ...] = ()


def read_view(words: Sequence[str]) -> View:
    """The view in a job's arguments."""
    namespace, root, *rest = words
    pairs: Iterable[tuple[str, str]] = list(zip(rest[::2], rest[1::2], strict=True))
    return View(
        namespace=int(namespace),
        root=int(root),
        mounts=tuple((int(word), place) for word, place in pairs if word != MEMORY),
        memories=tuple(place for word, place in pairs if word == MEMORY),
    )
