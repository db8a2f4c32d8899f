"""Any member that is written is read back the same, and numbers are what the format's documents say."""

import contextlib
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wherry.storage import tarmember as kinds
from wherry.storage.source import PipeSource
from wherry.storage.tarmember import UID_MAX
from wherry.storage.tarnumbers import TarError, format_octal, parse_decimal, parse_number, parse_seconds
from wherry.storage.tarread import read_members
from wherry.storage.tarstream import RecordStream
from wherry.storage.tarwrite import END_OF_TAR, header, new_member, padding

NAMES = some.binary(min_size=1, max_size=400).map(lambda name: name.replace(b"\0", b"/").strip(b"/") or b"x")
KINDS = some.sampled_from([kinds.REGULAR, kinds.HARD_LINK, kinds.SYMLINK, kinds.CHARACTER, kinds.FIFO])
XATTRS = some.dictionaries(
    some.text(some.characters(codec="ascii", exclude_characters="=\0"), min_size=1, max_size=20),
    some.binary(max_size=99),
)


def _read(text):
    fd = os.memfd_create("tar")
    try:
        os.write(fd, text)
        os.lseek(fd, 0, os.SEEK_SET)
        return list(read_members(RecordStream(PipeSource(fd))))
    finally:
        os.close(fd)


@given(
    name=NAMES,
    link=NAMES,
    kind=KINDS,
    owner=some.integers(0, UID_MAX),
    mode=some.integers(0, 0o7777),
    seconds=some.integers(-(10**11), 10**11),
    data=some.binary(max_size=2000),
    xattrs=XATTRS,
)
def test_a_member_is_read_as_it_was_written(name, link, kind, owner, mode, seconds, data, xattrs):
    member = new_member(name, kind)
    member.link = link if kind in {kinds.HARD_LINK, kinds.SYMLINK} else b""
    member.mode, member.uid, member.gid = mode, owner, UID_MAX - owner
    member.mtime_ns = seconds * 1_000_000_000
    member.size = len(data) if kind == kinds.REGULAR else 0
    member.xattrs = {f"user.{key}": value for key, value in xattrs.items()}
    payload = data + padding(len(data)) if kind == kinds.REGULAR else b""
    first, second = _read((header(member) + payload) * 2 + END_OF_TAR)
    for field in ("name", "link", "kind", "mode", "uid", "gid", "size", "mtime_ns", "xattrs"):
        assert getattr(first, field) == getattr(second, field) == getattr(member, field)


@given(text=some.binary(max_size=3000))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_its_own_error(text):
    with contextlib.suppress(TarError):
        _read(text)


@given(
    position=some.integers(0, 1535),
    value=some.integers(0, 255),
    form=some.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_no_changed_byte_makes_the_reader_fail_otherwise(position, value, form):
    member = tarfile.TarInfo("name/" + ("é" if form == tarfile.PAX_FORMAT else "e"))
    member.size = 5
    text = bytearray(member.tobuf(form) + b"data!".ljust(512, b"\0") + END_OF_TAR)
    text[position % len(text)] = value
    with contextlib.suppress(TarError):
        _read(bytes(text))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b"   644 \0", 0o644),
        (b"644\0junk", 0o644),
        (bytes(8), 0),
        (b"        ", 0),
        (b"\x80\0\0\0\0\0\1\0", 256),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", -1),
        (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
    ],
)
def test_numbers_are_octal_text_or_base_256(field, value):
    assert parse_number(field) == value


@pytest.mark.parametrize(
    "field", [b"0o17\0\0\0\0", b"8\0\0\0\0\0\0\0", b"-1\0\0\0\0\0\0", b"1_0\0\0\0\0\0", b"+7 \0\0\0\0\0"]
)
def test_what_python_would_take_for_a_number_is_none(field):
    with pytest.raises(TarError):
        parse_number(field)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1", 10**9),
        (b"1.5", 15 * 10**8),
        (b"-1.5", -15 * 10**8),
        (b"0.123456789999", 123456789),
        (b"-0.5", -(5 * 10**8)),
    ],
)
def test_times_are_cut_after_nanoseconds(text, value):
    assert parse_seconds(text) == value


@pytest.mark.parametrize("text", [b"", b"-", b"1e9", b" 1", b"1_0", b"\xd9\xa1", b"9" * 20, b"1.x", b"nan"])
def test_other_times_and_numbers_are_refused(text):
    with pytest.raises(TarError):
        parse_seconds(text)
    if b"." not in text:
        with pytest.raises(TarError):
            parse_decimal(text)


def test_octal_fills_its_field():
    assert format_octal(0o644, 8) == b"0000644\0"
