"""One member of a tar as a value."""

REGULAR = b"0"
HARD_LINK = b"1"
SYMLINK = b"2"
CHARACTER = b"3"
BLOCK = b"4"
DIRECTORY = b"5"
FIFO = b"6"

UID_MAX = (1 << 32) - 2  # (uid_t)-1 means "leave it" to chown(2)

MAJOR_MAX = (1 << 12) - 1  # include/linux/kdev_t.h
MINOR_MAX = (1 << 20) - 1


class Member:
    """One file to be: everything but its payload.

    `size` is what is stored in the stream; a sparse file has `pieces` (offset, length) and a `real_size`.
    """

    __slots__ = (
        "gid",
        "kind",
        "link",
        "major",
        "minor",
        "mode",
        "mtime_ns",
        "name",
        "pieces",
        "real_size",
        "size",
        "uid",
        "xattrs",
    )

    name: bytes
    link: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    major: int
    minor: int
    xattrs: dict[str, bytes]
    pieces: list[tuple[int, int]] | None
    real_size: int
