"""Looks up users and groups in a root file system's own /etc/passwd and /etc/group, trusting neither.

The rules are moby's `sys/user` ones: what is a number is a number and never a name (CVE-2026-30892, CVE-2026-46680),
the primary group always stands among the additional ones (CVE-2022-36109), and a file is read only when it is a
regular one of bounded size (CVE-2026-47262, CVE-2024-9676). Nothing of the C library's name service is asked.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wherry.linux.files import open_inside
from wherry.model.errors import InvalidParameter

ID_MAX = (1 << 31) - 1
FILE_BYTES_MAX = 4 << 20
_RANGE = f"uids and gids must be in range 0-{ID_MAX}"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom a process runs as, in numbers; `home` is `/` for a user without a line in passwd."""

    uid: int
    gid: int
    additional_gids: tuple[int, ...]
    home: str


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(rootfs: int, user: str, group_add: Sequence[str] = ()) -> User:
    """Whom `user[:group]` (names or numbers, empty for root) means in a root file system given by descriptor.

    `group_add` are further groups by name or number. Raises InvalidParameter in dockerd's words.
    """
    name, _, group = user.partition(":")
    account = _find_account(rootfs, name)
    groups = list(_groups(rootfs))
    if group:
        gid, own = _find_group(groups, group), []
    else:
        gid = account.gid
        own = [entry.gid for entry in groups if account.name and account.name in entry.members]
    added = [_find_group(groups, entry) for entry in group_add]
    gids = tuple(dict.fromkeys([gid, *own, *added]))
    if not all(0 <= number <= ID_MAX for number in (account.uid, *gids)):
        raise InvalidParameter(_RANGE)
    return User(uid=account.uid, gid=gid, additional_gids=gids, home=account.home or "/")


def read_small_file(rootfs: int, path: str, bytes_max: int = FILE_BYTES_MAX) -> bytes | None:
    """A regular file inside a root, None when there is none. Raises InvalidParameter for anything else or too much."""
    try:
        handle = open_inside(rootfs, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidParameter(f"open {path}: {os.strerror(error.errno or 0).lower()}") from error
    try:
        # Looked at before it is opened: opening a device or a fifo may itself do something, or wait.
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidParameter(f"{path} is not a regular file")
        if status.st_size > bytes_max:
            raise InvalidParameter(f"{path} is too large: {status.st_size} bytes, at most {bytes_max} are read")
        with open(f"/proc/self/fd/{handle}", "rb", buffering=0) as file:
            return file.read(bytes_max)
    finally:
        os.close(handle)


def _find_account(rootfs: int, name: str) -> _Account:
    number = _parse_id(name) if name else 0
    for account in _accounts(rootfs):
        # A number is only ever compared with numbers.
        if account.uid == number if number is not None else account.name == name:
            return account
    if number is None:
        raise InvalidParameter(f"unable to find user {name}: no matching entries in passwd file")
    return _Account("", number, 0, "")


def _find_group(groups: Sequence[_Group], name: str) -> int:
    number = _parse_id(name)
    if number is not None:
        return number
    for group in groups:
        if group.name == name:
            return group.gid
    raise InvalidParameter(f"unable to find group {name}: no matching entries in group file")


def _accounts(rootfs: int) -> Iterator[_Account]:
    for line in _lines(rootfs, "/etc/passwd"):
        fields = line.split(":")
        if len(fields) >= 4 and _is_number(fields[2]) and _is_number(fields[3]):
            yield _Account(fields[0], int(fields[2]), int(fields[3]), fields[5] if len(fields) > 5 else "")


def _groups(rootfs: int) -> Iterator[_Group]:
    for line in _lines(rootfs, "/etc/group"):
        fields = line.split(":")
        if not line.startswith("#") and len(fields) >= 3 and _is_number(fields[2]):
            yield _Group(fields[0], int(fields[2]), tuple(fields[3].split(",")) if len(fields) > 3 else ())


def _lines(rootfs: int, path: str) -> Iterator[str]:
    text = read_small_file(rootfs, path) or b""
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        if stripped := line.strip():
            yield stripped


def _parse_id(text: str) -> int | None:
    """The number that the text is (as Go's strconv.Atoi has it), None for a name. Raises InvalidParameter."""
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    # Long before the range matters to the kernel it does to 32-bit systems; and int() of a long text is slow.
    if len(digits.lstrip("0")) > 10 or not 0 <= int(text) <= ID_MAX:
        raise InvalidParameter(_RANGE)
    return int(text)


def _is_number(text: str) -> bool:
    # A longer one is no id, and int() of a very long one would raise.
    return text.isascii() and text.isdigit() and len(text) <= 20
