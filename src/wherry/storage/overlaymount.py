"""Mounts a stack of directories with overlayfs, detached: it stands in no mount table until someone attaches it."""

import functools
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wherry.linux import tree
from wherry.linux.mount import MOUNT_ATTR_RDONLY, detached, fsconfig_string, fsopen, mount_setattr
from wherry.model.errors import EngineError
from wherry.storage import worker
from wherry.storage.rootfs import bind

# As dockerd: what one layer's directory says must not depend on another's, nor on the kernel's defaults.
OPTIONS = (("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"))
LAYERS_MAX = 500  # OVL_MAX_STACK of fs/overlayfs
_STRING_MAX = 255  # of a value given to fsconfig(2)


@contextmanager
def stacked(
    lowers: Sequence[Path], upper: Path | None = None, work: Path | None = None, *, volatile: bool = False
) -> Iterator[int]:
    """The directories as one tree, the first of `lowers` on top: writable with `upper` and `work`, else read-only.

    `volatile`, where the kernel is new enough, makes fsync(2) inside and the end of the mount not wait for the disk.
    Gives the descriptor of a detached mount and closes it at the end. Raises OSError.
    """
    fd = _open(lowers, upper, work, volatile=volatile)
    try:
        if upper is None:
            mount_setattr("", dir_fd=fd, attributes=MOUNT_ATTR_RDONLY)
        yield fd
    finally:
        os.close(fd)


def _open(lowers: Sequence[Path], upper: Path | None, work: Path | None, *, volatile: bool) -> int:
    if work is not None:
        _allow_again(work)
    if upper is not None and not lowers:
        return bind(upper)
    if upper is None and len(lowers) == 1:
        return bind(lowers[0])
    layers = [*lowers, *(path for path in (upper, work) if path is not None)]
    if takes_layers_singly() and all(len(os.fsencode(path)) <= _STRING_MAX for path in layers):
        options = (*OPTIONS, ("volatile", None)) if volatile else OPTIONS
        return detached("overlay", (("source", "overlay"), *_layers(lowers, upper, work), *options))
    return worker.mount_overlay(lowers, upper, work, ",".join(f"{key}={value}" for key, value in OPTIONS))


def _allow_again(work: Path) -> None:
    """The kernel marks what was mounted volatile and refuses it from then on, lest the machine ended in between.

    Then what was fleeting is gone; when it is not, the machine did not end.
    """
    marked = work / "work"
    if (marked / "incompat").exists():
        fd = os.open(marked, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            tree.remove(fd, "incompat")
        finally:
            os.close(fd)


def _layers(lowers: Sequence[Path], upper: Path | None, work: Path | None) -> Iterator[tuple[str, str]]:
    for path in lowers:
        yield "lowerdir+", str(path)
    if upper is not None:
        yield "upperdir", str(upper)
        yield "workdir", str(work)


def why_not(directory: Path) -> str:
    """Why overlayfs cannot keep its layers in a directory, in the kernel's words; empty when it can.

    So it is on another overlay, on a network file system, or without the privilege to mount.
    """
    with tempfile.TemporaryDirectory(prefix="check-", dir=directory) as place:
        lower, upper, work = (Path(place, part) for part in ("lower", "upper", "work"))
        for path in (lower, upper, work):
            path.mkdir()
        (lower / "gone").touch()
        try:
            with stacked([lower], upper, work) as fd:
                os.unlink("gone", dir_fd=fd)
        except (OSError, EngineError) as error:
            return str(error)
    return ""


@functools.cache
def takes_layers_singly() -> bool:
    """Whether the kernel has `lowerdir+` (Linux 6.7); else all go into one string, by mount(2).

    Before Linux 6.5 overlayfs looks at no option until the mount is made, and takes any name.
    """
    return _takes("lowerdir+", "/") and not _takes("no-such-option", "/")


def _takes(key: str, value: str) -> bool:
    context = fsopen("overlay")
    try:
        fsconfig_string(context, key, value)
    except OSError:
        return False
    finally:
        os.close(context)
    return True
