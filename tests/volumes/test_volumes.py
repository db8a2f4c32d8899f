"""Volumes by name, and dockerd's words when that fails."""

import asyncio
import re
import stat

import pytest

from wherry.model.errors import Conflict, EngineError, InvalidParameter, NotFound
from wherry.model.volume import Volume
from wherry.records.ledger import Ledger
from wherry.records.shelf import Shelf
from wherry.volumes.local import Local
from wherry.volumes.volumes import Volumes


async def test_a_volume_is_a_directory_with_dockers_modes(volumes, root):
    volume = await volumes.create("data", labels={"a": "b"})
    assert volume == Volume(
        name="data",
        driver="local",
        mountpoint=str(root / "volumes/data/_data"),
        created_ns=42,
        labels={"a": "b"},
    )
    modes = [stat.S_IMODE((root / path).stat().st_mode) for path in ("volumes", "volumes/data", "volumes/data/_data")]
    assert modes == [0o701, 0o701, 0o755]
    assert volumes.inspect("data") == volume
    assert volumes.list() == [volume]


async def test_an_anonymous_volume_has_64_hex_digits_and_a_label(volumes):
    volume = await volumes.create()
    assert re.fullmatch("[0-9a-f]{64}", volume.name)
    assert volume.anonymous
    assert volume.labels == {"com.docker.volume.anonymous": ""}


async def test_creating_one_again_gives_the_one_that_is_there(volumes):
    first, second = await asyncio.gather(volumes.create("data"), volumes.create("data", labels={"ignored": "yes"}))
    assert first == second
    assert await volumes.create("data", driver="local") == first


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a", "create a: volume name is too short, names should be at least two alphanumeric characters"),
        (
            "x/y",
            'create x/y: "x/y" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
            "are allowed. If you intended to pass a host directory, use absolute path",
        ),
    ],
)
async def test_bad_names_are_refused_in_dockerds_words(volumes, name, words):
    with pytest.raises(InvalidParameter) as caught:
        await volumes.create(name)
    assert str(caught.value) == words
    assert volumes.list() == []


@pytest.mark.parametrize("name", ["..", "../x", ".hidden", "-x", "a b", "aé", "a\0b", "a\n", "x" * 256])
async def test_no_name_leads_out_of_the_volumes(volumes, root, name):
    with pytest.raises(InvalidParameter):
        await volumes.create(name)
    assert list((root / "volumes").iterdir()) == []


async def test_unknown_drivers_are_named(volumes):
    with pytest.raises(NotFound, match=r'^create vol: error looking up volume plugin nfs: plugin "nfs" not found$'):
        await volumes.create("vol", driver="nfs")


async def test_a_name_belongs_to_one_driver(ledger, local, root):
    other = Local(root / "other")
    other.name = "other"
    volumes = Volumes(Shelf(ledger, "volumes", Volume), {"local": local, "other": other})
    await volumes.create("data")
    with pytest.raises(Conflict) as caught:
        await volumes.create("data", driver="other")
    assert str(caught.value) == "create data: driver 'local' already has volume 'data': volume name must be unique"


async def test_missing_volumes_are_named(volumes):
    for call in (volumes.remove("nope"), volumes.acquire("nope", "c")):
        with pytest.raises(NotFound, match=r"^get nope: no such volume$"):
            await call
    with pytest.raises(NotFound, match=r"^get nope: no such volume$"):
        volumes.inspect("nope")
    assert await volumes.remove("nope", force=True) is None


async def test_a_volume_in_use_is_not_removed(volumes):
    await volumes.create("data")
    with pytest.raises(Conflict, match=r"^remove data: volume is in use - \[c1, c2\]$"):
        await volumes.remove("data", users=["c1", "c2"])
    assert volumes.inspect("data")


async def test_removing_takes_the_data_with_it(volumes, root):
    volume = await volumes.create("data")
    deep = root / "volumes/data/_data" / "d/e"
    deep.mkdir(parents=True)
    (deep / "f").write_text("x")
    assert await volumes.usage("data") == 1
    assert await volumes.remove("data") == volume
    assert volumes.list() == []
    await volumes.purge()
    assert list((root / "volumes").iterdir()) == []
    assert await volumes.create("data") == volume


async def test_records_outlive_the_daemon(volumes, ledger, root, local):
    volume = await volumes.create("data", options={"type": "tmpfs", "device": "tmpfs"})
    ledger.close()
    again = Ledger(root / "wherry.db")
    try:
        assert Volumes(Shelf(again, "volumes", Volume), {"local": local}).inspect("data") == volume
    finally:
        again.close()


async def test_a_directory_whose_record_was_lost_in_a_crash_is_taken_up_again(volumes, root):
    lost = root / "volumes/data/_data"
    lost.mkdir(parents=True)
    (lost / "precious").touch()
    await volumes.create("data")
    assert (lost / "precious").exists()


async def test_a_volume_opens_as_a_descriptor(volumes, root):
    await volumes.create("data")
    (root / "volumes/data/_data/sub").mkdir()
    (root / "volumes/data/_data/out").symlink_to("/etc")
    (root / "volumes/data/_data/in").symlink_to("sub")
    with volumes.open("data") as whole, volumes.open("data", "sub") as part, volumes.open("data", "in") as same:
        assert len({whole, part, same}) == 3
    for subpath in ("out", "../..", "sub/../../..", "/etc"):
        with pytest.raises(InvalidParameter), volumes.open("data", subpath):
            pass
    with (
        pytest.raises(NotFound, match="cannot access path nope: No such file or directory"),
        volumes.open("data", "nope"),
    ):
        pass


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"foo": "bar"}, 'create vol: invalid option: "foo"'),
        ({"type": "tmpfs"}, 'create vol: missing required option: "device"'),
        ({"device": "/x"}, 'create vol: missing required option: "type"'),
        ({"o": "bind"}, 'create vol: missing required option: "device"'),
        ({"size": "10m"}, "create vol: quota size requested but no quota support"),
        (
            {"type": "cifs", "device": "//host:445/share"},
            "create vol: port not allowed in CIFS device URL, include 'port' in 'o='",
        ),
    ],
)
async def test_bad_options_are_refused_in_dockerds_words(volumes, options, words):
    with pytest.raises(InvalidParameter) as caught:
        await volumes.create("vol", options=options)
    assert str(caught.value) == words


async def test_a_mounted_volume_is_there_from_its_first_holder_to_its_last(volumes, root):
    await volumes.create("vol", options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m,nosuid,mode=711"})
    data = root / "volumes/vol/_data"
    try:
        await volumes.acquire("vol", "c1")
        assert data.is_mount()
        assert stat.S_IMODE(data.stat().st_mode) == 0o711
        (data / "x").touch()
        await volumes.acquire("vol", "c2")
        await volumes.acquire("vol", "c2")
        await volumes.release("vol", "c1")
        assert (data / "x").exists()
        with pytest.raises(EngineError, match=r"^remove vol: volume has active mounts$"):
            await volumes.remove("vol")
    finally:
        await volumes.release("vol", "c2")
    assert not data.is_mount()
    await volumes.remove("vol")


async def test_the_next_daemon_finds_the_mount_and_ends_it(volumes, root, local):
    options = {"type": "tmpfs", "device": "tmpfs"}
    await volumes.create("vol", options=options)
    await volumes.acquire("vol", "c1")
    (root / "volumes/vol/_data/x").touch()
    again = Local(root / "volumes")
    again.acquire("vol", "c1", options)
    assert (root / "volumes/vol/_data/x").exists()
    again.release("vol", "c1", options)
    assert not (root / "volumes/vol/_data").is_mount()


async def test_a_bind_volume_shows_the_device_and_can_be_read_only(volumes, root):
    (root / "source").mkdir()
    (root / "source/file").touch()
    await volumes.create("vol", options={"type": "none", "device": str(root / "source"), "o": "bind,ro"})
    data = root / "volumes/vol/_data"
    await volumes.acquire("vol", "c1")
    try:
        assert (data / "file").exists()
        with pytest.raises(OSError, match="Read-only"):
            (data / "other").touch()
    finally:
        await volumes.release("vol", "c1")
    await volumes.remove("vol")
    await volumes.purge()
    assert (root / "source/file").exists()


async def test_a_mount_that_fails_says_what_was_tried_and_no_password(volumes, root):
    options = {"type": "none", "device": "/nonexistent", "o": "bind,password=secret"}
    volume = await volumes.create("vol", options=options)
    with pytest.raises(EngineError) as caught:
        await volumes.acquire("vol", "c1")
    assert str(caught.value) == (
        f"error while mounting volume '{volume.mountpoint}': failed to mount local volume: "
        f"mount /nonexistent:{volume.mountpoint}, flags: 0x1000, data: password=********: no such file or directory"
    )
