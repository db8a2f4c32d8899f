"""Mounts are parsed from all three spellings, with dockerd's words for wrong ones."""

import pytest

from wherry.engine.request.mounts import parse_volumes_from, requested_mounts
from wherry.model.config import (
    BindOptions,
    Config,
    DriverConfig,
    HostConfig,
    MountRequest,
    TmpfsOptions,
    VolumeOptions,
)
from wherry.model.errors import InvalidParameter


def parse(*binds, **other):
    return requested_mounts(Config(), HostConfig(binds=binds, **other))


def test_a_bind_with_all_its_words():
    (mount,) = parse("/a//b/:/c/../d:ro,rslave,z")
    assert (mount.kind, mount.source, mount.destination) == ("bind", "/a/b", "/d")
    assert (mount.writable, mount.propagation, mount.mode) == (False, "rslave", "ro,rslave,z")


def test_named_and_anonymous_volumes():
    named, anonymous = parse("data:/data:nocopy", "/cache")
    assert (named.kind, named.name, named.mode, named.no_copy) == ("volume", "data", "nocopy", True)
    assert parse("data:/data")[0].mode == "z"
    assert (anonymous.kind, anonymous.name, anonymous.destination) == ("volume", "", "/cache")


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        ("a", "mount path must be absolute"),
        ("/a:b", "mount path must be absolute"),
        ("/a:/", "destination can't be '/'"),
        ("/a:/b:rw,ro", "invalid mode: rw,ro"),
        ("/a:/b:nonsense", "invalid mode: nonsense"),
        ("a:/b", "volume name is too short"),
        ("a/b:/c", "includes invalid characters for a local volume name"),
        ("name:/b:rslave", "field BindOptions must not be specified"),
        ("/a:/b:nocopy", "field VolumeOptions must not be specified"),
        ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
        (":/b", "invalid volume specification: ':/b'"),
    ],
)
def test_a_wrong_bind_is_refused(bind, words):
    with pytest.raises(InvalidParameter) as caught:
        parse(bind)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (MountRequest(type="bind", target="/x"), "field Source must not be empty"),
        (MountRequest(type="bind", source="rel", target="/x"), "mount path must be absolute"),
        (MountRequest(type="volume", target=""), "field Target must not be empty"),
        (MountRequest(type="nonsense", target="/x"), "mount type unknown"),
        (MountRequest(type="tmpfs", source="/s", target="/x"), "field Source must not be specified"),
        (
            MountRequest(type="bind", source="/s", target="/x", bind_options=BindOptions(propagation="odd")),
            "invalid propagation mode: odd",
        ),
        (
            MountRequest(type="bind", source="/s", target="/x", volume_options=VolumeOptions(no_copy=True)),
            "must not be specified",
        ),
    ],
)
def test_a_wrong_mount_is_refused(request_, words):
    with pytest.raises(InvalidParameter) as caught:
        parse(mounts=(request_,))
    assert words in str(caught.value)


def test_a_volume_is_to_be_made_as_its_mount_says():
    options = VolumeOptions(labels={"a": "b"}, driver_config=DriverConfig(name="local", options={"o": "size=1m"}))
    request = MountRequest(type="volume", source="vv", target="/x", volume_options=options)
    (mount,) = requested_mounts(Config(), HostConfig(mounts=(request,)))
    assert (mount.driver, mount.labels, mount.driver_options) == ("local", {"a": "b"}, {"o": "size=1m"})


def test_mounts_of_another_container_may_be_made_read_only_and_labelled():
    for text, writable in {"box": True, "box:rw": True, "box:ro": False, "box:ro,Z": False, "box:z": True}.items():
        assert parse_volumes_from(text) == ("box", writable)


def test_an_image_is_always_read_only():
    (mount,) = parse(mounts=(MountRequest(type="image", source="x", target="/y"),))
    assert (mount.kind, mount.name, mount.destination, mount.writable) == ("image", "x", "/y", False)


def test_two_mounts_at_one_place_clash_but_an_images_volume_gives_way():
    with pytest.raises(InvalidParameter, match="Duplicate mount point: /x"):
        parse("/a:/x", tmpfs={"/x": ""})
    (mount,) = requested_mounts(Config(volumes={"/x": {}}), HostConfig(binds=("/a:/x",)))
    assert mount.kind == "bind"


def test_tmpfs_options_of_both_spellings():
    request = MountRequest(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=4096, mode=0o700))
    first, second = parse(mounts=(request,), tmpfs={"/u": "rw,size=1m"})
    assert first.tmpfs_options == ("mode=700", "size=4096")
    assert second.tmpfs_options == ("rw", "size=1m")
