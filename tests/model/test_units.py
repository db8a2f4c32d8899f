"""Sizes as people write them are read as go-units reads them, with its words for what is none."""

import pytest

from wherry.model.errors import InvalidParameter
from wherry.model.units import parse_bytes, parse_decimal_bytes

SIZES = {
    "0": 0, "512": 512, "1b": 1, "1k": 1024, "1KB": 1024, "2KiB": 2048, "10m": 10 << 20, "1.5 g": 3 << 29, "1 ": 1,
    ".5k": 512, "1T": 1 << 40, "1p": 1 << 50, "1e3": 1000, "9999999p": (1 << 63) - 1,
}  # fmt: skip
REFUSED = {
    "": "invalid size: ''",
    "x": "invalid size: 'x'",
    "-1": "invalid size: '-1'",
    "1x": "invalid suffix: 'x'",
    "1KX": "invalid suffix: 'kx'",
    "1bb": "invalid suffix: 'bb'",
    "1KiBy": "invalid suffix: 'KiBy'",
    "a1": 'strconv.ParseFloat: parsing "a1": invalid syntax',
    "1  k": 'strconv.ParseFloat: parsing "1 ": invalid syntax',
    "1.5.2g": 'strconv.ParseFloat: parsing "1.5.2": invalid syntax',
    "1_0": 'strconv.ParseFloat: parsing "1_0": invalid syntax',
    "1e999": 'strconv.ParseFloat: parsing "1e999": value out of range',
}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_a_size_is_read(text, size):
    assert parse_bytes(text) == size


def test_units_of_logs_are_powers_of_1000():
    assert parse_decimal_bytes("1.5m") == 1_500_000


@pytest.mark.parametrize(("text", "words"), REFUSED.items())
def test_what_is_no_size_is_refused_in_its_words(text, words):
    with pytest.raises(InvalidParameter) as refusal:
        parse_bytes(text)
    assert str(refusal.value) == words
