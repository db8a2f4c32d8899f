"""Which namespaces a container gets: made with the process, made a little later, or joined by descriptor."""

import os
from contextlib import ExitStack

from msgspec import Struct

from wherry.libcontainer.errors import BirthError, InvalidSpec
from wherry.linux import namespaces as kernel
from wherry.oci.runtime import Spec

# The runtime-spec's names.
FLAGS: dict[str, int] = {
    "user": kernel.CLONE_NEWUSER,
    "mount": kernel.CLONE_NEWNS,
    "pid": kernel.CLONE_NEWPID,
    "network": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
    "cgroup": kernel.CLONE_NEWCGROUP,
    "time": kernel.CLONE_NEWTIME,
}

# The root of a cgroup namespace is where its maker is, so it is made after joining the cgroup; a time namespace's
# offsets can be set only before anybody is in it, and execve(2) is what moves its maker in (time_namespaces(7)).
_LATE = kernel.CLONE_NEWCGROUP | kernel.CLONE_NEWTIME


class Layout(Struct, frozen=True, kw_only=True):
    """What becomes of each namespace: flags for clone3(2), flags for unshare(2), (descriptor, flag) for setns(2)."""

    new: int
    late: int
    joined: tuple[tuple[int, int], ...]

    @property
    def has_new_user(self) -> bool:
        """Whether the process is born in a user namespace of its own."""
        return bool(self.new & kernel.CLONE_NEWUSER)

    @property
    def maps_ids(self) -> bool:
        """Whether the process lives in a user namespace other than ours, new or joined."""
        return self.has_new_user or any(flag == kernel.CLONE_NEWUSER for _, flag in self.joined)

    @property
    def needs_midwife(self) -> bool:
        """Whether another process must join first, and then give birth.

        A pid namespace is joined by being born in it; what stands in a user namespace must be born in it too; and
        who is in a new one can no longer join what the host owns.
        """
        kinds = 0
        for _, flag in self.joined:
            kinds |= flag
        return bool(kinds & (kernel.CLONE_NEWPID | kernel.CLONE_NEWUSER) or (kinds and self.has_new_user))


def kinds(spec: Spec) -> dict[str, str]:
    """The spec's namespaces: kind to path, empty for a new one. Raises InvalidSpec."""
    found: dict[str, str] = {}
    for namespace in spec.linux.namespaces if spec.linux else ():
        if namespace.type not in FLAGS:
            raise InvalidSpec(f'namespace "{namespace.type}" does not exist')
        if namespace.type in found:
            raise InvalidSpec(f'malformed spec file: duplicated ns "{namespace.type}"')
        found[namespace.type] = namespace.path
    return found


def lay_out(spec: Spec, netns_fd: int | None, undo: ExitStack) -> Layout:
    """Decide and open what is to be joined; `undo` closes it. Raises InvalidSpec, BirthError."""
    new, joined = 0, []
    for kind, path in kinds(spec).items():
        if path:
            joined.append((_open(path, undo), FLAGS[kind]))
        elif not (kind == "network" and netns_fd is not None):
            new |= FLAGS[kind]
    if netns_fd is not None:
        joined.append((netns_fd, kernel.CLONE_NEWNET))
    # The user namespace first: joining it is what gives the right to join the others that it owns.
    joined.sort(key=lambda entry: entry[1] != kernel.CLONE_NEWUSER)
    return Layout(new=new & ~_LATE, late=new & _LATE, joined=tuple(joined))


def join(layout: Layout) -> None:
    """Join what is to be joined; a pid namespace only takes the children. Raises BirthError."""
    for fd, flag in layout.joined:
        try:
            kernel.setns(fd, flag)
        except OSError as error:
            raise BirthError("join namespace", error.errno or 0, kernel.describe(flag)) from None


def _open(path: str, undo: ExitStack) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        message = f"lstat {path}: {(error.strerror or '').lower()}"
        raise BirthError("open namespace", error.errno or 0, path, message) from None
    undo.callback(os.close, fd)
    return fd
