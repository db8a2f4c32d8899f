"""Sparse members in the forms GNU tar writes: its old header, and PAX 0.0, 0.1 and 1.0.

The forms are described in the GNU tar manual, "Storing Sparse Files".
"""

from wherry.storage.tarmember import Member
from wherry.storage.tarnumbers import INVALID_HEADER, TarError, parse_decimal, parse_number
from wherry.storage.tarstream import RECORD, RecordStream

PIECES_MAX = 1 << 18
_OLD_ENTRY = 24

Pieces = list[tuple[int, int]]


def read_old_map(stream: RecordStream, header: bytes) -> tuple[Pieces, int]:
    """The map of a GNU `S` header, its extension records included, and the real size. Raises TarError."""
    pieces: Pieces = []
    _take_old_entries(pieces, header[386:482])
    is_extended = header[482]
    while is_extended:
        record = stream.record()
        if not record or len(pieces) > PIECES_MAX:
            raise TarError(INVALID_HEADER)
        _take_old_entries(pieces, record[:504])
        is_extended = record[504]
    return pieces, parse_number(header[483:495])


def _take_old_entries(pieces: Pieces, fields: bytes) -> None:
    for start in range(0, len(fields), _OLD_ENTRY):
        if not fields[start]:
            return
        pieces.append((parse_number(fields[start : start + 12]), parse_number(fields[start + 12 : start + 24])))


def read_pax_map(stream: RecordStream, member: Member, records: dict[bytes, bytes], numbers: list[bytes]) -> None:
    """Make the member sparse when its PAX records say so; `numbers` is the map of PAX 0.0. Raises TarError."""
    if (name := records.get(b"GNU.sparse.name")) is not None:
        member.name = name
    real_size = records.get(b"GNU.sparse.realsize", records.get(b"GNU.sparse.size"))
    if real_size is None:
        return
    if records.get(b"GNU.sparse.major") == b"1" and records.get(b"GNU.sparse.minor") == b"0":
        member.pieces = _read_map_in_payload(stream, member)
    elif (text := records.get(b"GNU.sparse.map")) is not None:
        member.pieces = _pairs([parse_decimal(number) for number in text.split(b",") if number])
    elif numbers:
        member.pieces = _pairs([parse_decimal(number) for number in numbers])
    else:
        return
    member.real_size = parse_decimal(real_size)


def _read_map_in_payload(stream: RecordStream, member: Member) -> Pieces:
    """PAX 1.0: the payload starts with decimal lines, filled up to a whole record."""
    text = b""
    count = -1
    while count < 0 or text.count(b"\n") < 1 + 2 * count:
        if member.size < RECORD or len(text) > 44 * PIECES_MAX:
            raise TarError(INVALID_HEADER)
        text += stream.read_payload(RECORD)
        member.size -= RECORD
        if count < 0 and b"\n" in text:
            count = parse_decimal(text.partition(b"\n")[0])
            if not 0 <= count <= PIECES_MAX:
                raise TarError(INVALID_HEADER)
    lines = text.split(b"\n", 1 + 2 * count)[1 : 1 + 2 * count]
    return _pairs([parse_decimal(line) for line in lines])


def _pairs(numbers: list[int]) -> Pieces:
    if len(numbers) % 2 or len(numbers) > 2 * PIECES_MAX:
        raise TarError(INVALID_HEADER)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def check_map(member: Member) -> None:
    """Pieces must come in order, lie inside the file, and be all of the payload. Raises TarError."""
    end = 0
    stored = 0
    for offset, length in member.pieces or ():
        if offset < end or length < 0:
            raise TarError(INVALID_HEADER)
        end = offset + length
        stored += length
    if end > member.real_size or stored != member.size:
        raise TarError(INVALID_HEADER)
