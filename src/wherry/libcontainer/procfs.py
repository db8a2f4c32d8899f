"""A procfs of our own that no path leads to: what is written here cannot be redirected by what a container mounts."""

import os

from wherry.libcontainer.errors import BirthError
from wherry.linux import files
from wherry.linux import mount as kernel

_ATTRIBUTES = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV | kernel.MOUNT_ATTR_NOEXEC

# A mount over a file, a symlink, another file system on the way: each would be somebody's trap.
_RESOLVE = files.RESOLVE_BENEATH | files.RESOLVE_NO_SYMLINKS | files.RESOLVE_NO_MAGICLINKS | files.RESOLVE_NO_XDEV


def open_procfs() -> int:
    """A detached procfs of the caller's pid namespace. Raises OSError."""
    return kernel.detached("proc", attributes=_ATTRIBUTES)


def write(proc_fd: int, path: str, text: str) -> None:
    """Write one file of it, whole. Raises OSError."""
    fd = files.openat2(proc_fd, path, os.O_WRONLY, resolve=_RESOLVE)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def write_own(proc_fd: int, name: str, text: str) -> None:
    """Write one file of the calling process's directory. Raises OSError."""
    write(proc_fd, f"{os.getpid()}/{name}", text)


def write_sysctls(proc_fd: int, sysctls: dict[str, str]) -> None:
    """Write sysctls by their dotted names; a slash stands for a dot inside a name (sysctl(8)). Raises BirthError."""
    for name, value in sysctls.items():
        try:
            fd = files.openat2(proc_fd, f"sys/{sysctl_path(name)}", os.O_WRONLY, resolve=_RESOLVE)
        except OSError as error:
            raise BirthError(f"open sysctl {name} file", error.errno or 0, sysctl_path(name)) from None
        try:
            os.write(fd, value.encode())
        except OSError as error:
            raise BirthError("write sysctl key", error.errno or 0, name) from None
        finally:
            os.close(fd)


def sysctl_path(name: str) -> str:
    """`net.ipv4.conf.eth0/1.forwarding` is net/ipv4/conf/eth0.1/forwarding; with a slash first, slashes separate."""
    first = next((character for character in name if character in "./"), ".")
    if first == "/":
        return name
    return name.replace("/", "\0").replace(".", "/").replace("\0", ".")
