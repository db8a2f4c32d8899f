"""The numbers in a tar header: octal text, or base-256 for what octal cannot hold (GNU tar, POSIX pax)."""

INT64_MAX = (1 << 63) - 1
_DIGITS = b"01234567"


class TarError(ValueError):
    """A stream that is no well-formed tar; wording as Go's archive/tar where it has one."""


INVALID_HEADER = "archive/tar: invalid tar header"
UNEXPECTED_EOF = "unexpected EOF"


def parse_number(field: bytes) -> int:
    """The value of a numeric field; empty is 0. Raises TarError."""
    if field[0] & 0x80:
        return _parse_base256(field)
    text = field.strip(b"\0 ").partition(b"\0")[0]
    if text.strip(_DIGITS):
        raise TarError(INVALID_HEADER)
    return int(text, 8) if text else 0


def _parse_base256(field: bytes) -> int:
    # Bit 7 of the first byte marks the format, bit 6 is the sign of a two's complement number.
    value = int.from_bytes(field, "big") & ~(1 << (len(field) * 8 - 1))
    if field[0] & 0x40:
        value -= 1 << (len(field) * 8 - 1)
    if not -INT64_MAX - 1 <= value <= INT64_MAX:
        raise TarError(INVALID_HEADER)
    return value


def parse_decimal(text: bytes) -> int:
    """A decimal integer of a PAX record. Raises TarError."""
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 19:
        raise TarError(INVALID_HEADER)
    value = int(text)
    if abs(value) > INT64_MAX:
        raise TarError(INVALID_HEADER)
    return value


def parse_seconds(text: bytes) -> int:
    """A decimal number of seconds of a PAX record, in nanoseconds, cut after nine places. Raises TarError."""
    whole, _, fraction = text.partition(b".")
    nanoseconds = abs(parse_decimal(whole)) * 1_000_000_000
    if fraction:
        if not fraction.isdigit():
            raise TarError(INVALID_HEADER)
        nanoseconds += int(fraction[:9].ljust(9, b"0"))
    return -nanoseconds if whole.startswith(b"-") else nanoseconds


def has_right_checksum(block: bytes) -> bool:
    """Whether the sum of all bytes, the checksum field taken as blanks, is what the header says.

    Some old programs summed signed bytes; both are right (POSIX pax, "ustar Interchange Format").
    """
    try:
        said = parse_number(block[148:156])
    except TarError:
        return False
    unsigned = sum(block) - sum(block[148:156]) + 8 * 32
    if said == unsigned:
        return True
    return said == unsigned - 256 * sum(1 for byte in block[:148] + block[156:] if byte > 127)


def format_octal(value: int, width: int) -> bytes:
    """The number as octal text that fills the field but for a closing NUL; the caller knows that it fits."""
    return b"%0*o\0" % (width - 1, value)


def fits_octal(value: int, width: int) -> bool:
    """Whether `format_octal` can hold it."""
    return 0 <= value < 1 << (3 * (width - 1))
