"""The options of a local volume as mount(8) spells them: flags, propagation and what is left for the file system.

The words are those of moby/sys `mount`, so that `-o o=…` means the same as with dockerd.
"""

from typing import NamedTuple

from wherry.linux.mount import MS_BIND, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE

MS_RDONLY = 1
_MS_NOSUID = 2
_MS_NODEV = 4
_MS_NOEXEC = 8
_MS_SYNCHRONOUS = 16
_MS_REMOUNT = 32
_MS_MANDLOCK = 64
_MS_DIRSYNC = 128
_MS_NOATIME = 1024
_MS_NODIRATIME = 2048
_MS_RELATIME = 1 << 21
_MS_STRICTATIME = 1 << 24

# What a word sets, and what it clears.
_FLAGS: dict[str, tuple[int, int]] = {
    "defaults": (0, 0),
    "ro": (MS_RDONLY, 0),
    "rw": (0, MS_RDONLY),
    "suid": (0, _MS_NOSUID),
    "nosuid": (_MS_NOSUID, 0),
    "dev": (0, _MS_NODEV),
    "nodev": (_MS_NODEV, 0),
    "exec": (0, _MS_NOEXEC),
    "noexec": (_MS_NOEXEC, 0),
    "sync": (_MS_SYNCHRONOUS, 0),
    "async": (0, _MS_SYNCHRONOUS),
    "dirsync": (_MS_DIRSYNC, 0),
    "remount": (_MS_REMOUNT, 0),
    "mand": (_MS_MANDLOCK, 0),
    "nomand": (0, _MS_MANDLOCK),
    "atime": (0, _MS_NOATIME),
    "noatime": (_MS_NOATIME, 0),
    "diratime": (0, _MS_NODIRATIME),
    "nodiratime": (_MS_NODIRATIME, 0),
    "bind": (MS_BIND, 0),
    "rbind": (MS_BIND | MS_REC, 0),
    "relatime": (_MS_RELATIME, 0),
    "norelatime": (0, _MS_RELATIME),
    "strictatime": (_MS_STRICTATIME, 0),
    "nostrictatime": (0, _MS_STRICTATIME),
}
_PROPAGATION = {
    "private": MS_PRIVATE,
    "rprivate": MS_PRIVATE | MS_REC,
    "shared": MS_SHARED,
    "rshared": MS_SHARED | MS_REC,
    "slave": MS_SLAVE,
    "rslave": MS_SLAVE | MS_REC,
    "unbindable": MS_UNBINDABLE,
    "runbindable": MS_UNBINDABLE | MS_REC,
}


class MountOptions(NamedTuple):
    """Bits for mount(2), a propagation to be set afterwards (0 for none), and the file system's own options."""

    flags: int
    propagation: int
    data: str


def parse_mount_options(text: str) -> MountOptions:
    """The words of an `o=` option; later ones win over earlier ones."""
    flags = propagation = 0
    data: list[str] = []
    for word in text.split(","):
        if word in _FLAGS:
            sets, clears = _FLAGS[word]
            flags = flags & ~clears | sets
        elif word in _PROPAGATION:
            propagation = _PROPAGATION[word]
        elif word:
            data.append(word)
    return MountOptions(flags, propagation, ",".join(data))
