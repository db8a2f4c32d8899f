"""Directories of cgroups: made from the root down, listed, and removed from the leaves up."""

import contextlib
import errno
import os
from collections.abc import Iterator

from wherry.libcontainer.cgroups.errors import CgroupError, LimitError, because

_FILE_BYTES = 4096


def clean(cgroups_path: str, container_id: str = "") -> str:
    """A cgroup's path below the root of its tree, such as `docker/0123`, from what the runtime-spec says.

    Relative paths start at the root too; `..` leads nowhere above it. An empty path is the container's id.
    Raises LimitError for the root itself: its limits are not a container's.
    """
    path = os.path.normpath(f"/{cgroups_path or container_id}").lstrip("/")
    if not path or "\0" in path:
        raise LimitError(f"cgroups path {cgroups_path!r} does not name a cgroup below the root")
    return path


def steps(root: str, path: str) -> Iterator[str]:
    """Every directory from the first below the root down to the path's own."""
    here = root
    for name in path.split("/"):
        here = f"{here}/{name}"
        yield here


def make(directory: str) -> bool:
    """Make one cgroup; False when it was there. Raises CgroupError."""
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        return False
    except OSError as error:
        raise because(error, f"make cgroup {directory}") from None
    return True


def make_leaf(directory: str) -> bool:
    """Make a cgroup whose parent is there; False when it was there, or its parent was not. Raises CgroupError."""
    try:
        return make(directory)
    except CgroupError as error:
        if error.errno != errno.ENOENT:
            raise
        return False


def read(file: str) -> bytes:
    """A short file of a cgroup. Raises OSError."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _FILE_BYTES)
    finally:
        os.close(fd)


def write(file: str, text: bytes) -> None:
    """Put a text into one, whole, as the kernel wants it. Raises OSError."""
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)


def open_directory(directory: str) -> int:
    """A descriptor of a cgroup's directory, for openat(2) and CLONE_INTO_CGROUP. Raises OSError."""
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def leaves_first(directory: str) -> list[str]:
    """A cgroup with everything below it, children before parents; empty when it is gone."""
    found: list[str] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        # Cgroup file systems hold no symbolic links, so nothing can lead elsewhere.
        for name in [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]:
            found += leaves_first(f"{directory}/{name}")
        found.append(directory)
    return found


def remove(directory: str) -> bool:
    """Remove a cgroup and those below it; False when a process is still in one. Raises CgroupError."""
    with contextlib.suppress(OSError):  # mostly there is nothing below it
        os.rmdir(directory)
        return True
    for each in leaves_first(directory):
        try:
            os.rmdir(each)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise because(error, f"remove cgroup {each}") from None
    return True


def is_populated(directory: str) -> bool:
    """Whether any process is in a cgroup or below it, one of a pid namespace that we cannot see too."""
    for each in leaves_first(directory):
        # What cannot be read is taken for populated, unless it is gone.
        try:
            with open(f"{each}/cgroup.procs", encoding="ascii") as file:
                if file.read(1):
                    return True
        except FileNotFoundError:
            continue
        except OSError:
            return True
    return False


def pids_below(directory: str, name: str = "cgroup.procs") -> list[int]:
    """The processes in a cgroup and those below it; those of pid namespaces we cannot see are left out."""
    pids: list[int] = []
    for each in leaves_first(directory):
        # A cgroup may go while we look, and a threaded one (EOPNOTSUPP) has its processes listed by its parent.
        with contextlib.suppress(OSError), open(f"{each}/{name}", encoding="ascii") as file:
            pids += [int(line) for line in file]
    return [pid for pid in pids if pid]
