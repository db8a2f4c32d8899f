"""Requests as values."""

from wherry.client import containers, images, system
from wherry.client.call import Call, escape, filters


def test_values_that_say_nothing_are_left_out_but_zero_is_said():
    query = {"a": None, "b": False, "c": "", "d": [], "e": True, "f": 0, "g": "x y", "h": ["1", "2&"]}
    assert Call("GET", "/x", query=query).target == "/x?e=1&f=0&g=x%20y&h=1&h=2%26"


def test_stop_now_is_not_stop_some_time():
    assert containers.stop("x", timeout_seconds=0).target == "/containers/x/stop?t=0"
    assert containers.stop("x").target == "/containers/x/stop"


def test_filters_are_maps_of_true():
    assert filters({"status": ["a", "b"]}) == '{"status":{"a":true,"b":true}}'
    assert filters({}) is None


def test_a_reference_keeps_its_slashes_in_the_path():
    assert images.inspect("host:5000/a/b@sha256:1 ?").target == "/images/host:5000/a/b@sha256:1%20%3F/json"


def test_letters_of_all_languages_are_escaped_as_utf8():
    assert escape("é/") == "%C3%A9%2F"


def test_json_bodies_say_so():
    call = system.check_auth({"a": 1})
    assert (call.body, call.headers) == (b'{"a":1}', {"Content-Type": "application/json"})
