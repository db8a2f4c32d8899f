"""Addresses as users type them."""

import pytest

from wherry.client.address import DEFAULT, from_environment, parse, tls_in
from wherry.client.errors import BadAddress


@pytest.mark.parametrize(
    ("text", "tls", "shown"),
    [
        ("unix:///run/x.sock", False, "unix:///run/x.sock"),
        ("unix://", False, DEFAULT),
        ("tcp://", False, "tcp://localhost:2375"),
        ("tcp://", True, "tcp://localhost:2376"),
        ("host", False, "tcp://host:2375"),
        ("host:99", False, "tcp://host:99"),
        ("tcp://[::1]:99", False, "tcp://[::1]:99"),
        ("tcp://host:99/prefix/", False, "tcp://host:99/prefix"),
        ("ssh://me@host:22", False, "ssh://me@host:22"),
    ],
)
def test_an_address_is_shown_whole(text, tls, shown):
    assert parse(text, tls=tls).text == shown


def test_ssh_addresses_have_their_parts():
    address = parse("ssh://me@host:2222")
    assert (address.user, address.host, address.port) == ("me", "host", 2222)


@pytest.mark.parametrize(
    "text",
    [
        "xyz://a",
        "tcp://a:b",
        "tcp://a:99999",
        "tcp://[::1",
        "ssh://",
        "ssh://a:b@c",
        "ssh://a/path",
        "ssh://-oX=y@h",
        "ssh://-x",
    ],
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(BadAddress):
        parse(text)


def test_our_own_variable_wins_over_dockers():
    assert from_environment({}) == DEFAULT
    assert from_environment({"DOCKER_HOST": "a"}) == "a"
    assert from_environment({"DOCKER_HOST": "a", "WHERRY_HOST": "b"}) == "b"


def test_certificates_are_used_where_they_are(tmp_path):
    (tmp_path / "ca.pem").touch()
    tls = tls_in(str(tmp_path), verify=True)
    assert (tls.ca, tls.certificate, tls.key) == (str(tmp_path / "ca.pem"), "", "")
