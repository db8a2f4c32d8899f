"""Reads the members of a tar: v7, ustar, GNU and PAX, as GNU tar, Go's archive/tar and POSIX write them."""

from collections.abc import Iterator

from wherry.storage import tarmember as kinds
from wherry.storage.tarmember import MAJOR_MAX, MINOR_MAX, UID_MAX, Member
from wherry.storage.tarnumbers import (
    INT64_MAX,
    INVALID_HEADER,
    TarError,
    has_right_checksum,
    parse_decimal,
    parse_number,
    parse_seconds,
)
from wherry.storage.tarsparse import check_map, read_old_map, read_pax_map
from wherry.storage.tarstream import RECORD, RecordStream

EXTENSION_SIZE_MAX = 1 << 20  # of one extension header, as Go's archive/tar
XATTR_PREFIX = b"SCHILY.xattr."

_END = bytes(RECORD)
_HEADER_ONLY = (kinds.HARD_LINK, kinds.SYMLINK, kinds.CHARACTER, kinds.BLOCK, kinds.DIRECTORY, kinds.FIFO)
_REGULAR_ALIASES = {b"\0": kinds.REGULAR, b"7": kinds.REGULAR}


class _Extensions:
    """What the headers before a member said about it."""

    __slots__ = ("link", "name", "numbers", "records")

    def __init__(self) -> None:
        self.name: bytes | None = None
        self.link: bytes | None = None
        self.records: dict[bytes, bytes] = {}
        self.numbers: list[bytes] = []


def read_members(stream: RecordStream) -> Iterator[Member]:
    """Each member in turn; its payload waits in the stream until the next is asked for. Raises TarError."""
    extensions = _Extensions()
    zeros = 0
    while zeros < 2 and (record := stream.record()):
        if record == _END:
            zeros += 1
            continue
        zeros = 0
        if not has_right_checksum(record):
            raise TarError(INVALID_HEADER)
        if _read_extension(stream, record, extensions):
            continue
        yield _read_member(stream, record, extensions)
        stream.finish_payload()
        extensions = _Extensions()


def _read_extension(stream: RecordStream, record: bytes, extensions: _Extensions) -> bool:
    kind = record[156:157]
    if kind not in b"xgLK" or kind == b"":
        return False
    size = parse_number(record[124:136])
    if not 0 <= size <= EXTENSION_SIZE_MAX:
        raise TarError(f"{INVALID_HEADER}: an extension of {size} bytes")
    stream.begin_payload(size)
    text = stream.read_payload(size)
    stream.finish_payload()
    if kind == b"x":
        extensions.records, extensions.numbers = _parse_records(text)
    elif kind == b"L":
        extensions.name = _until_nul(text)
    elif kind == b"K":
        extensions.link = _until_nul(text)
    return True  # a global header (`g`) concerns no single member; dockerd passes over it too


def _parse_records(text: bytes) -> tuple[dict[bytes, bytes], list[bytes]]:
    """PAX records (`length key=value`, newline), and the numbers of a sparse map of PAX 0.0, which repeats its keys."""
    records: dict[bytes, bytes] = {}
    numbers: list[bytes] = []
    while text:
        length_text, blank, _ = text[:8].partition(b" ")
        length = int(length_text) if blank and length_text.isdigit() else 0
        record = text[len(length_text) + 1 : length - 1]
        key, equals, value = record.partition(b"=")
        if not equals or not key or text[length - 1 : length] != b"\n":
            raise TarError(INVALID_HEADER)
        if key in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}:
            numbers.append(value)
        else:
            records[key] = value
        text = text[length:]
    return records, numbers


def _read_member(stream: RecordStream, record: bytes, extensions: _Extensions) -> Member:
    member = _parse_header(record)
    if extensions.name is not None:
        member.name = extensions.name
    if extensions.link is not None:
        member.link = extensions.link
    if member.kind == b"S":
        member.kind = kinds.REGULAR
        member.pieces, member.real_size = read_old_map(stream, record)
    if extensions.records:
        _override(member, extensions.records)
    if member.kind in _HEADER_ONLY:
        member.size = 0
    stream.begin_payload(member.size)
    if extensions.records and member.kind == kinds.REGULAR:
        read_pax_map(stream, member, extensions.records, extensions.numbers)
    _check(member)
    return member


def _parse_header(record: bytes) -> Member:
    member = Member()
    member.kind = _REGULAR_ALIASES.get(record[156:157], record[156:157])
    member.name = _until_nul(record[:100])
    member.link = _until_nul(record[157:257])
    member.mode = parse_number(record[100:108]) & 0o7777
    member.uid = parse_number(record[108:116])
    member.gid = parse_number(record[116:124])
    member.size = parse_number(record[124:136])
    member.mtime_ns = parse_number(record[136:148]) * 1_000_000_000
    member.major = member.minor = 0
    if member.kind in {kinds.CHARACTER, kinds.BLOCK}:
        member.major = parse_number(record[329:337])
        member.minor = parse_number(record[337:345])
    member.xattrs = {}
    member.pieces = None
    member.real_size = 0
    # GNU's magic is "ustar  \0" and has other fields where ustar has the prefix; star ends its own with "tar\0".
    if record[257:263] == b"ustar\0" and record[345]:
        prefix = record[345:476] if record[508:512] == b"tar\0" else record[345:500]
        member.name = _until_nul(prefix) + b"/" + member.name
    if record[156] == 0 and member.name.endswith(b"/"):
        member.kind = kinds.DIRECTORY
    return member


def _override(member: Member, records: dict[bytes, bytes]) -> None:
    """PAX records win over the header; an empty value takes nothing away from it (POSIX pax)."""
    for key, value in records.items():
        if key.startswith(XATTR_PREFIX):
            name = key[len(XATTR_PREFIX) :].decode("utf-8", "surrogateescape")
            if not name or "\0" in name:
                raise TarError(INVALID_HEADER)
            member.xattrs[name] = value
        elif not value:
            continue
        elif key == b"path":
            member.name = value
        elif key == b"linkpath":
            member.link = value
        elif key == b"mtime":
            member.mtime_ns = parse_seconds(value)
        elif key in {b"size", b"uid", b"gid"}:
            setattr(member, key.decode(), parse_decimal(value))


def _check(member: Member) -> None:
    if b"\0" in member.name or b"\0" in member.link:
        raise TarError(f"{INVALID_HEADER}: a name with a NUL byte")
    if not 0 <= member.size <= INT64_MAX or not 0 <= member.real_size <= INT64_MAX:
        raise TarError(f"{INVALID_HEADER}: a size of {member.size} bytes")
    if not 0 <= member.uid <= UID_MAX or not 0 <= member.gid <= UID_MAX:
        raise TarError(f"{INVALID_HEADER}: an owner of {member.uid}:{member.gid}")
    if not 0 <= member.major <= MAJOR_MAX or not 0 <= member.minor <= MINOR_MAX:
        raise TarError(f"{INVALID_HEADER}: a device {member.major}:{member.minor}")
    if member.pieces is not None:
        check_map(member)


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
