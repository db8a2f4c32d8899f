"""The bundle of a container with hooks: `config.json`, and a path at which its root file system is found.

```
EXEC_ROOT/containers/<id>/
    bundle/config.json
    bundle/root/fs      `root.path`: a link to the container's root as /proc shows it, while there is a container
    place/fs/           lies over `bundle/root` in the container's mount namespace: there its root is at the same path
```
The host has no mount of the container, so hooks that run on the host are led through /proc; those of the container's
mount namespace find an ordinary mount, as they may want to make mount namespaces of their own from it.
"""

import contextlib
import os
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from wherry.linux import mount, namespaces
from wherry.oci.runtime import Root, Spec, encode, parse_spec

_CONFIG, _ROOT, _PLACE, _FS = "config.json", "root", "place", "fs"
_NAMESPACE = "/proc/self/ns/mnt"


class Shown(Struct, frozen=True):
    """What hooks are shown: the bundle's path, and the mount namespace of the host in which that path is good."""

    bundle: str
    mounts_fd: int


def path_in(directory: str) -> str:
    """Where the bundle is, by the runtime directory's path."""
    return os.path.join(os.path.abspath(directory), "bundle")


def with_root(spec: Spec, bundle: str) -> Spec:
    """The spec with its root at the place in the bundle."""
    root = msgspec.structs.replace(spec.root or Root(path=""), path=os.path.join(bundle, _ROOT, _FS))
    return msgspec.structs.replace(spec, root=root)


def write(bundle: str, spec: Spec) -> None:
    """Make a bundle of what `with_root` has given. Raises OSError."""
    os.makedirs(os.path.join(bundle, _ROOT), mode=0o700)
    os.makedirs(os.path.join(_place(bundle), _FS), mode=0o700)
    with open(os.path.join(bundle, _CONFIG), "xb") as file:
        file.write(encode(spec))


def read(bundle: str) -> Spec:
    """The spec as hooks read it. Raises OSError, SpecError."""
    with open(os.path.join(bundle, _CONFIG), "rb") as file:
        return parse_spec(file.read())


@contextlib.contextmanager
def host_mounts() -> Iterator[int]:
    """This process's mount namespace. Raises OSError."""
    fd = os.open(_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def enter(shown: Shown) -> None:
    """Go into a copy of the host's mount namespace in which a root can be attached at its place. Raises OSError."""
    namespaces.setns(shown.mounts_fd, namespaces.CLONE_NEWNS)
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
    place = mount.open_tree(_place(shown.bundle))
    mount.move_mount(place, os.path.join(shown.bundle, _ROOT))
    os.close(place)


def show_new(directory: int, bundle: str, pid: int) -> None:
    """Let the host see the root of a container that is being put together. Raises OSError."""
    _link(directory, f"/proc/{pid}/root{bundle}/{_ROOT}/{_FS}")


def show_running(directory: int, pid: int) -> None:
    """Let the host see the root of a container that runs. Raises OSError."""
    _link(directory, f"/proc/{pid}/root")


def hide(bundle: str) -> None:
    """There is no container any more, and its pid may be another's. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(bundle, _ROOT, _FS))


def _link(directory: int, target: str) -> None:
    name, temporary = f"bundle/{_ROOT}/{_FS}", f"bundle/{_ROOT}/.{_FS}"
    os.symlink(target, temporary, dir_fd=directory)
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


def _place(bundle: str) -> str:
    return os.path.join(os.path.dirname(bundle), _PLACE)
