"""Queries: dockerd's leniency with flags, Go's words for numbers, both spellings of filters."""

import pytest

from wherry.api.forms import Form
from wherry.model.errors import InvalidParameter


@pytest.mark.parametrize("text", ["", "0", "no", "false", "none", "FALSE", " None "])
def test_few_words_are_false(text):
    assert not Form(f"all={text}").flag("all")
    assert not Form(f"all={text}").flag("all", default=True)


@pytest.mark.parametrize("text", ["1", "true", "abc", "-1", "False!"])
def test_every_other_word_is_true(text):
    assert Form(f"all={text}").flag("all")


def test_a_flag_that_is_not_said_has_its_default():
    assert not Form("").flag("all")
    assert Form("").flag("all", default=True)


def test_numbers_are_refused_in_the_words_of_go():
    assert Form("t=-5").number("t") == -5
    assert Form("").number("t") is None
    for text, why in [("abc", "invalid syntax"), ("1.5", "invalid syntax"), ("9" * 19 + "9", "value out of range")]:
        with pytest.raises(InvalidParameter) as refused:
            Form(f"t={text}").number("t")
        assert str(refused.value) == f'strconv.Atoi: parsing "{text}": {why}'


def test_times_have_nanoseconds():
    assert Form("since=12.5").time_ns("since") == 12_500_000_000
    assert Form("since=12.000000001").time_ns("since") == 12_000_000_001
    with pytest.raises(InvalidParameter, match=r'strconv.ParseInt: parsing "abc": invalid syntax'):
        Form("since=abc").time_ns("since")


def test_filters_are_lists_or_maps_of_flags():
    assert Form('filters={"status":["a","b"]}').filters() == {"status": ["a", "b"]}
    assert Form('filters={"status":{"a":true,"b":false}}').filters() == {"status": ["a", "b"]}
    assert Form("filters=null").filters() == {}
    assert Form("").filters() == {}


@pytest.mark.parametrize("text", ["xx", "{", "[]", '{"a":"b"}', '{"a":{"b":1}}', '{"a":[1]}', "[" * 100000])
def test_filters_of_any_other_form_are_invalid(text):
    with pytest.raises(InvalidParameter, match=r"^invalid filter$"):
        Form(f"filters={text}").filters()


def test_a_name_may_be_repeated():
    form = Form("names=a&names=b")
    assert form.texts("names") == ["a", "b"]
    assert form.text("names") == "a"
