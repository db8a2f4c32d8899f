"""Sizes, durations and numbers with units, and the flag kinds that take them."""

from __future__ import annotations

from wherry.cli.flags import Kind, read_int

NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
UNITS = "kmgtp"
DIGITS = "0123456789"
SIGNED_MAX = (1 << 63) - 1


def size(text: str) -> int:
    """Bytes in `512`, `10m`, `1.5 GiB`: units of 1024. ValueError in docker's words."""
    last = max((text.rfind(letter) for letter in DIGITS + ". "), default=-1)
    if last < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, unit = (text[:last] if text[last] == " " else text[: last + 1]), text[last + 1 :].lower()
    try:
        value = float(number if number.strip() == number and "_" not in number else "")
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{number}": invalid syntax') from None
    if value < 0:
        raise ValueError(f"invalid size: '{text}'")
    if unit in ("", "b"):
        return int(value)
    if unit[0] not in UNITS or unit[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{text[last + 1 :]}'")
    return int(value * 1024 ** (UNITS.index(unit[0]) + 1))


def size_or_unlimited(text: str) -> int:
    """The same, with -1 for no limit."""
    return -1 if text == "-1" else size(text)


def duration(text: str) -> int:
    """Nanoseconds in Go's `1h2m3.5s`. ValueError in Go's words."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") and len(text) > 1 else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    total = 0.0
    exact = 0
    while rest:
        number, unit, rest = _term(text, rest)
        if "." in number:
            total += float(number) * NANOSECONDS[unit]
        else:
            exact += int(number) * NANOSECONDS[unit]
    whole = exact + round(total)
    if whole > SIGNED_MAX:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * whole


def _term(text: str, rest: str) -> tuple[str, str, str]:
    """The number and unit that `rest` begins with, and what follows."""
    after = rest.lstrip(DIGITS + ".")
    number = rest[: len(rest) - len(after)]
    if not number.strip(".") or number.count(".") > 1:
        raise ValueError(f'time: invalid duration "{text}"')
    end = next((index for index, letter in enumerate(after) if letter in DIGITS + "."), len(after))
    unit = after[:end]
    if not unit:
        raise ValueError(f'time: missing unit in duration "{text}"')
    if unit not in NANOSECONDS:
        raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
    return number, unit, after[end:]


def cpus(text: str) -> int:
    """Billionths of a CPU in a decimal number. ValueError in docker's words."""
    numerator, slash, denominator = text.partition("/")
    if slash and not (numerator.strip(DIGITS) or denominator.strip(DIGITS)) and numerator and int(denominator or 0):
        exact, rest = divmod(int(numerator) * 10**9, int(denominator))
        if rest:
            raise ValueError("value is too precise")
        return exact
    whole, _, fraction = text.lstrip("+-").partition(".")
    if not (whole + fraction) or (whole + fraction).strip(DIGITS):
        raise ValueError(f"failed to parse {text} as a rational number")
    if fraction.rstrip("0")[9:]:
        raise ValueError("value is too precise")
    value = int(whole or 0) * 10**9 + int((fraction[:9]).ljust(9, "0"))
    return -value if text.startswith("-") else value


def unsigned(text: str, *, bits: int) -> int:
    """A number of at most `bits` bits. ValueError in Go's words."""
    try:
        value = read_int(text)
    except ValueError:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax') from None
    if value < 0:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if value >= 1 << bits:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return value


BYTES = Kind("bytes", size)
BYTES_OR_UNLIMITED = Kind("bytes", size_or_unlimited)
DURATION = Kind("duration", duration)
DECIMAL = Kind("decimal", cpus)
UINT16 = Kind("uint16", lambda text: unsigned(text, bits=16))
UINT = Kind("uint", lambda text: unsigned(text, bits=64))
