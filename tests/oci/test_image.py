"""Manifests, indexes and configurations: strict where strangers write them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.oci.digest import DigestError, check_digest, digest_of, hasher, is_digest
from wherry.oci.image import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1_SIGNED,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    ImageSpecError,
    Index,
    Manifest,
    Platform,
    Schema1Error,
    encode,
    parse_config,
    parse_document,
)
from wherry.oci.platform import PlatformError, choose, format_platform, matches, parse_platform

D = "sha256:" + "b" * 64
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": D, "size": 2}


def manifest(**changes):
    return json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": [], **changes}).encode()


def test_a_manifest_and_an_index_are_told_apart():
    assert isinstance(parse_document(manifest(), OCI_MANIFEST), Manifest)
    index = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    assert isinstance(parse_document(index, DOCKER_INDEX), Index)
    assert isinstance(parse_document(index), Index)


@pytest.mark.parametrize(
    ("body", "served_as", "why"),
    [
        (manifest(manifests=[]), OCI_MANIFEST, "ambiguous"),
        (manifest(mediaType=OCI_INDEX), OCI_MANIFEST, "says it is"),
        (manifest(mediaType=DOCKER_MANIFEST), OCI_MANIFEST, "says it is"),
        (manifest(schemaVersion=3), OCI_MANIFEST, "schema version: 3"),
        (manifest(mediaType="text/html"), "", "media type"),
        (manifest(layers=[{"mediaType": "x", "digest": "../../etc", "size": 1}]), OCI_MANIFEST, "invalid digest"),
        (manifest(layers=[{"mediaType": "x", "digest": D, "size": -1}]), OCI_MANIFEST, "negative size"),
        (manifest(layers=[{"mediaType": "x", "digest": D, "size": "1"}]), OCI_MANIFEST, r"layers\[0\].size"),
        (manifest(layers=[{"mediaType": "x", "digest": D, "size": 1}] * 600), OCI_MANIFEST, "600 layers"),
        (b"{" * 100_000, OCI_MANIFEST, "invalid"),
        (b"[" * 4_000_000, OCI_MANIFEST, "invalid"),
        (b" " * 4_194_305, OCI_MANIFEST, "larger than"),
        (b"\xff", OCI_MANIFEST, "invalid"),
        (b"null", OCI_MANIFEST, "invalid"),
    ],
)
def test_what_could_be_read_in_two_ways_or_not_at_all_is_refused(body, served_as, why):
    with pytest.raises(ImageSpecError, match=why):
        parse_document(body, served_as)


def test_schema_1_is_an_error_of_its_own():
    for body, kind in ((b'{"schemaVersion":1,"fsLayers":[]}', ""), (b"{}", DOCKER_SCHEMA1_SIGNED)):
        with pytest.raises(Schema1Error):
            parse_document(body, kind)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_give_a_document_or_an_image_spec_error(body):
    for parse in (parse_document, parse_config):
        with contextlib.suppress(ImageSpecError):
            parse(body)


def test_a_configuration_may_say_null_where_go_does():
    config = parse_config(
        b'{"architecture":"amd64","os":"linux","config":null,"history":null,"rootfs":{"type":"layers","diff_ids":null}}'
    )
    assert config.diff_ids == ()
    with pytest.raises(ImageSpecError, match="diff_ids"):
        parse_config(b'{"rootfs":{"type":"layers","diff_ids":["sha256:../x"]}}')


def test_what_is_encoded_can_be_parsed_and_is_the_same_bytes_each_time():
    record = Manifest(
        schema_version=2, media_type=OCI_MANIFEST, config=Descriptor(media_type="x", digest=D, size=1), layers=()
    )
    assert parse_document(encode(record)) == record
    assert encode(record) == encode(record)


def test_digests_are_checked_before_they_are_used():
    assert is_digest(digest_of(b"x"))
    assert digest_of(b"", "sha512").startswith("sha512:cf83e1357e")
    for bad in (
        "",
        "sha256:",
        "md5:" + "0" * 32,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 64 + "\n",
    ):
        with pytest.raises(DigestError):
            check_digest(bad)
    with pytest.raises(DigestError):
        hasher("md5")


def offer(text, digest):
    return Descriptor(media_type=OCI_MANIFEST, digest="sha256:" + digest * 64, size=1, platform=parse_platform(text))


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/amd64", ["linux/386"], 0),
        ("linux/amd64", ["windows/amd64"], None),
        ("linux/amd64", ["unknown/unknown"], None),
        ("linux/s390x", ["linux/ppc64le", "linux/s390x"], 1),
    ],
)
def test_the_nearest_platform_below_is_chosen(wanted, offered, chosen):
    offers = [offer(text, digit) for text, digit in zip(offered, "0123456789", strict=False)]
    found = choose(offers, parse_platform(wanted))
    assert found is (None if chosen is None else offers[chosen])


def test_platforms_have_one_spelling():
    assert format_platform(parse_platform("linux/aarch64")) == "linux/arm64"
    assert format_platform(parse_platform("armhf")) == "linux/arm/v7"
    assert matches(parse_platform("linux/x86_64"), Platform(os="linux", architecture="amd64"))
    for bad, why in (
        ("", "is an invalid OS component"),
        ("a/b/c/d", "cannot parse platform specifier"),
        ("linux/", "is an invalid component"),
        ("li^x/amd64", 'must match "^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.%-]*)((?:\\\\+[A-Za-z0-9_.%-]+)*)\\\\))?$"'),
        ("foo", '"foo": unknown operating system or architecture: invalid argument'),
    ):
        with pytest.raises(PlatformError) as error:
            parse_platform(bad)
        assert why in str(error.value)
