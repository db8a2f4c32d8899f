"""Names of images."""

import pytest

from wherry.cli.errors import CommandError
from wherry.cli.reference import auth_key, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "registry", "familiar", "tag"),
    [
        ("busybox", "docker.io", "busybox", ""),
        ("docker.io/library/busybox:1", "docker.io", "busybox", "1"),
        ("me/app:x", "docker.io", "me/app", "x"),
        ("localhost/app", "localhost", "localhost/app", ""),
        ("host:5000/a/b:c", "host:5000", "host:5000/a/b", "c"),
        (f"host.x/a@{DIGEST}", "host.x", "host.x/a", ""),
    ],
)
def test_parts_of_a_reference(text, registry, familiar, tag):
    found = parse(text)
    assert (found.registry, found.familiar, found.tag) == (registry, familiar, tag)


@pytest.mark.parametrize("text", ["", "a//b", "a:b:c", "-a", "a/-b", "a:.x", f"a@{DIGEST}x", "a@md5:1", "a..b", "a:"])
def test_what_is_no_reference(text):
    with pytest.raises(CommandError, match="invalid reference format"):
        parse(text)


def test_upper_case_is_told():
    with pytest.raises(CommandError, match=r"repository name \(library/UP\) must be lowercase"):
        parse("UP")


def test_the_hub_keeps_its_old_key():
    assert auth_key("docker.io") == "https://index.docker.io/v1/"
    assert auth_key("host:5000") == "host:5000"
