"""Makes the headers of a tar: plain ustar, with a PAX header before it for what ustar cannot say.

The choice is that of Go's archive/tar (long or non-ASCII names, large numbers, xattrs), so that the same tree gives
the same bytes on every machine.
"""

from wherry.storage import tarmember as kinds
from wherry.storage.tarmember import Member
from wherry.storage.tarnumbers import fits_octal, format_octal
from wherry.storage.tarread import XATTR_PREFIX
from wherry.storage.tarstream import RECORD

END_OF_TAR = bytes(2 * RECORD)


def new_member(name: bytes, kind: bytes) -> Member:
    """A member owned by root, from the epoch, empty; the caller sets what differs."""
    member = Member()
    member.name = name
    member.kind = kind
    member.link = b""
    member.mode = 0o755 if kind == kinds.DIRECTORY else 0o644
    member.uid = member.gid = member.size = member.mtime_ns = member.major = member.minor = 0
    member.xattrs = {}
    member.pieces = None
    member.real_size = 0
    return member


def header(member: Member) -> bytes:
    """The header records of a member, its PAX header included; times are cut to seconds, as dockerd does."""
    records: list[tuple[bytes, bytes]] = []
    name = _place_name(member, records)
    link = member.link
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
        link = _ascii(link)[:100]
    seconds = member.mtime_ns // 1_000_000_000
    numbers = {b"uid": member.uid, b"gid": member.gid, b"size": member.size, b"mtime": seconds}
    for key, value in numbers.items():
        if not fits_octal(value, 12 if key in {b"size", b"mtime"} else 8):
            records.append((key, b"%d" % value))
            numbers[key] = 0
    records.extend(
        (XATTR_PREFIX + key.encode("utf-8", "surrogateescape"), value) for key, value in sorted(member.xattrs.items())
    )
    main = _block(name, link, member, numbers)
    return _pax_header(member.name, sorted(records)) + main if records else main


def padding(size: int) -> bytes:
    """The zeros after a payload of so many bytes."""
    return bytes(-size % RECORD)


def _place_name(member: Member, records: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """The name as ustar's (prefix, name); a record too when it does not fit."""
    name = member.name
    if name.isascii():
        if len(name) <= 100:
            return b"", name
        cut = name.find(b"/", max(0, len(name) - 101), min(len(name) - 1, 156))
        if cut > 0:
            return name[:cut], name[cut + 1 :]
    records.append((b"path", name))
    return b"", _ascii(name)[:100]


def _ascii(name: bytes) -> bytes:
    return bytes(byte for byte in name if byte < 128)


def _pax_header(name: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_pax_record(key, value) for key, value in records)
    if any(not _is_utf8(value) for key, value in records if key in {b"path", b"linkpath"}):
        body = _pax_record(b"hdrcharset", b"BINARY") + body
    short = _ascii(name.rstrip(b"/").rpartition(b"/")[2])
    carrier = new_member(b"", b"x")
    numbers = {b"uid": 0, b"gid": 0, b"size": len(body), b"mtime": 0}
    return _block((b"", (b"PaxHeaders.0/" + short)[:100]), b"", carrier, numbers) + body + padding(len(body))


def _pax_record(key: bytes, value: bytes) -> bytes:
    """`length key=value` and a newline, where the length counts its own digits."""
    size = len(key) + len(value) + 3
    length = size + len(str(size))
    length = size + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _block(name: tuple[bytes, bytes], link: bytes, member: Member, numbers: dict[bytes, int]) -> bytes:
    is_device = member.kind in {kinds.CHARACTER, kinds.BLOCK}
    block = b"".join(
        (
            name[1].ljust(100, b"\0"),
            format_octal(member.mode, 8),
            format_octal(numbers[b"uid"], 8),
            format_octal(numbers[b"gid"], 8),
            format_octal(numbers[b"size"], 12),
            format_octal(numbers[b"mtime"], 12),
            b"        ",
            member.kind,
            link.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            format_octal(member.major, 8) if is_device else format_octal(0, 8),
            format_octal(member.minor, 8) if is_device else format_octal(0, 8),
            name[0].ljust(155, b"\0"),
            bytes(12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
