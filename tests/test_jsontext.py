"""JSON without the json module, held against it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wherry.jsontext import compact, decode, encode, encode_html, indent

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_what_json_writes(value):
    assert encode(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert decode(encode(value)) == value


@given(VALUES)
def test_layout_is_that_of_json(value):
    text = json.dumps(value, ensure_ascii=False)
    assert indent(text) == json.dumps(value, ensure_ascii=False, indent=4)
    assert compact(text) == encode(value)


def test_numbers_and_escapes_keep_their_spelling():
    assert indent('{"a":[1.50,"\\u003c\\\\"]}') == '{\n    "a": [\n        1.50,\n        "\\u003c\\\\"\n    ]\n}'
    assert compact('[1.50, "a b\\""]') == '[1.50,"a b\\""]'


@pytest.mark.parametrize("text", ["", "  ", "{", "[1", "{} {}", "nul", '"a', '{"a"}'])
def test_broken_text_is_a_value_error(text):
    with pytest.raises(ValueError):
        decode(text)


def test_invalid_utf8_becomes_replacement_letters():
    assert decode(b'"a\xffb"') == "a\ufffdb"


def test_rows_escape_what_html_would_read():
    assert encode_html({"a": "<&>\u2028"}) == '{"a":"\\u003c\\u0026\\u003e\\u2028"}'


def test_what_json_cannot_hold_is_a_type_error():
    with pytest.raises(TypeError):
        encode({1, 2})
