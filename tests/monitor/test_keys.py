"""Detach keys are found in any pieces, and nothing else is swallowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.monitor.keys import DetachKeys


def feed_all(keys, pieces):
    found, passed = DetachKeys(keys), b""
    for piece in pieces:
        data, done = found.feed(piece)
        passed += data
        if done:
            return passed, True
    return passed, False


@pytest.mark.parametrize("pieces", [[b"abc\x10\x11def"], [b"abc\x10", b"\x11"], [b"a", b"bc", b"\x10", b"\x11", b"x"]])
def test_they_end_the_input(pieces):
    assert feed_all(b"\x10\x11", pieces) == (b"abc", True)


def test_what_only_begins_like_them_goes_on():
    assert feed_all(b"\x10\x11", [b"\x10", b"a\x10\x10b"]) == (b"\x10a\x10\x10b", False)


def test_a_single_key_and_none():
    assert feed_all(b"q", [b"abqc"]) == (b"ab", True)
    assert feed_all(b"", [b"abqc"]) == (b"abqc", False)


@given(st.lists(st.binary(max_size=5)), st.binary(min_size=2, max_size=3))
def test_input_without_them_is_unchanged_but_for_what_is_held_back(pieces, keys):
    data = b"".join(pieces)
    passed, done = feed_all(keys, pieces)
    if not done:
        assert data.startswith(passed)
        assert keys.startswith(data[len(passed) :])
