"""A mount's options: mount(8)'s words become flags, propagation and data for the file system."""

from msgspec import Struct

from wherry.linux import mount as kernel

_ALL_ATIME = kernel.MOUNT_ATTR_ATIME

# word -> (attributes to set, attributes to clear). atime is a field: setting it means clearing it first
# (mount_setattr(2)).
_ATTRIBUTES: dict[str, tuple[int, int]] = {
    "ro": (kernel.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, kernel.MOUNT_ATTR_RDONLY),
    "nosuid": (kernel.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, kernel.MOUNT_ATTR_NOSUID),
    "nodev": (kernel.MOUNT_ATTR_NODEV, 0),
    "dev": (0, kernel.MOUNT_ATTR_NODEV),
    "noexec": (kernel.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, kernel.MOUNT_ATTR_NOEXEC),
    "noatime": (kernel.MOUNT_ATTR_NOATIME, _ALL_ATIME),
    "relatime": (kernel.MOUNT_ATTR_RELATIME, _ALL_ATIME),
    "norelatime": (0, _ALL_ATIME),
    "strictatime": (kernel.MOUNT_ATTR_STRICTATIME, _ALL_ATIME),
    "nostrictatime": (0, _ALL_ATIME),
    "atime": (0, _ALL_ATIME),
    "nodiratime": (kernel.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, kernel.MOUNT_ATTR_NODIRATIME),
    "nosymfollow": (kernel.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, kernel.MOUNT_ATTR_NOSYMFOLLOW),
}

# The same words with an r before them act on submounts too (runtime-spec 1.1).
_RECURSIVE: dict[str, tuple[int, int]] = {f"r{word}": value for word, value in _ATTRIBUTES.items()}

# A copy is private unless asked otherwise, and what is asked holds for its submounts too: one that stayed shared
# with the host would show the host what the container mounts.
_PROPAGATION: dict[str, int] = {
    "private": kernel.MS_PRIVATE,
    "rprivate": kernel.MS_PRIVATE,
    "slave": kernel.MS_SLAVE,
    "rslave": kernel.MS_SLAVE,
    "shared": kernel.MS_SHARED,
    "rshared": kernel.MS_SHARED,
    "unbindable": kernel.MS_UNBINDABLE,
    "runbindable": kernel.MS_UNBINDABLE,
}

# Flags of the file system itself; they go to fsconfig(2) as they are.
_SUPERBLOCK = frozenset({"sync", "dirsync", "lazytime", "iversion", "mand", "silent"})
_IGNORED = frozenset({"defaults", "async", "nolazytime", "noiversion", "nomand", "loud", "remount"})


class Options(Struct, frozen=True, kw_only=True):
    """What the words of a mount's options mean."""

    is_bind: bool = False
    recursive: bool = False
    attributes: int = 0
    clear: int = 0
    attributes_recursive: int = 0
    clear_recursive: int = 0
    propagation: int = 0
    is_idmapped: bool = False
    idmap_recursive: bool = False
    copies_up: bool = False
    data: tuple[tuple[str, str | None], ...] = ()

    @property
    def is_readonly(self) -> bool:
        """Whether the mount itself is read-only."""
        return bool((self.attributes | self.attributes_recursive) & kernel.MOUNT_ATTR_RDONLY)


def known_words() -> list[str]:
    """Every word that is not handed to the file system."""
    binds = {"bind", "rbind", "idmap", "ridmap", "tmpcopyup"}
    return sorted(binds | {*_ATTRIBUTES, *_RECURSIVE, *_PROPAGATION, *_SUPERBLOCK, *_IGNORED})


def parse_options(words: tuple[str, ...]) -> Options:
    """Read a mount's options; later words win. What is no word of mount(8) is data for the file system."""
    own, recursive = _Bits(), _Bits()
    found: dict[str, int | bool] = {}
    data: list[tuple[str, str | None]] = []
    for word in words:
        if word in _ATTRIBUTES:
            own.change(*_ATTRIBUTES[word])
        elif word in _RECURSIVE:
            recursive.change(*_RECURSIVE[word])
        elif word in ("bind", "rbind"):
            found.update(is_bind=True, recursive=word == "rbind")
        elif word in _PROPAGATION:
            found["propagation"] = _PROPAGATION[word]
        elif word in ("idmap", "ridmap"):
            found.update(is_idmapped=True, idmap_recursive=word == "ridmap")
        elif word == "tmpcopyup":
            found["copies_up"] = True
        elif word not in _IGNORED:
            data.append(_datum(word))
    return Options(
        attributes=own.set,
        clear=own.clear,
        attributes_recursive=recursive.set,
        clear_recursive=recursive.clear,
        data=tuple(data),
        **found,  # type: ignore[arg-type]
    )


class _Bits:
    """Attributes to set and to clear, as they come together word by word."""

    def __init__(self) -> None:
        self.set = self.clear = 0

    def change(self, attributes: int, clear: int) -> None:
        self.set = self.set & ~clear | attributes
        self.clear = self.clear & ~attributes | clear


def _datum(word: str) -> tuple[str, str | None]:
    if word in _SUPERBLOCK:
        return word, None
    key, equals, value = word.partition("=")
    return key, value if equals else None
