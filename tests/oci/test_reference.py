"""Names of images, as distribution/reference reads them."""

import pytest

from wherry.oci.reference import InvalidReference, parse_any_reference, parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("typed", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("user/repo", "docker.io/user/repo", "user/repo"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x/y:z", "localhost:5000/x/y:z", "localhost:5000/x/y:z"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
        ("Registry/x", "Registry/x", "Registry/x"),
        ("ghcr.io/a/b@" + DIGEST, "ghcr.io/a/b@" + DIGEST, "ghcr.io/a/b@" + DIGEST),
        ("a:t@" + DIGEST, "docker.io/library/a:t@" + DIGEST, "a:t@" + DIGEST),
        ("a__b-c/e---f", "docker.io/a__b-c/e---f", "a__b-c/e---f"),
    ],
)
def test_a_name_has_a_canonical_and_a_familiar_form(typed, canonical, familiar):
    reference = parse_reference(typed)
    assert (str(reference), reference.familiar) == (canonical, familiar)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        ":",
        "x:",
        "-x",
        "x/",
        "/x",
        "x//y",
        "x:-t",
        "x@sha256:12",
        "x y",
        "x:" + "t" * 129,
        "a/../b",
        "é",
        "x@" + DIGEST + "0",
    ],
)
def test_what_is_no_name_is_refused(typed):
    with pytest.raises(InvalidReference, match="invalid reference format"):
        parse_reference(typed)


def test_refusals_say_what_is_wrong_as_docker_does():
    with pytest.raises(InvalidReference) as error:
        parse_reference("Busybox")
    assert str(error.value) == "invalid reference format: repository name (library/Busybox) must be lowercase"
    with pytest.raises(InvalidReference, match="cannot specify 64-byte hexadecimal strings"):
        parse_reference("a" * 64)
    with pytest.raises(InvalidReference, match="must not be more than 255 characters"):
        parse_reference("x/" + "y" * 255)


def test_a_digest_alone_and_64_digits_mean_an_image_not_a_name():
    assert parse_any_reference(DIGEST) == DIGEST
    assert parse_any_reference("a" * 64) == DIGEST
    assert str(parse_any_reference("sha256:abcdef")) == "docker.io/library/sha256:abcdef"


def test_tags_and_digests_are_put_on_and_checked():
    name = parse_reference("x")
    assert name.with_default_tag().tag == "latest"
    assert str(name.with_tag("1").with_digest(DIGEST)) == "docker.io/library/x@" + DIGEST
    with pytest.raises(InvalidReference, match="invalid tag format"):
        name.with_tag("a b")
