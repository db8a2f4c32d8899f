"""Drivers that a package brings, installed as pip would, in engines of this process."""

import subprocess
import sys
from pathlib import Path

import pytest

import wherry

pytestmark = pytest.mark.usefixtures("without_foreman")

DRIVERS = """
from wherry.drivers.native import NativeDriver
from wherry.storage.vfs import Vfs
from wherry.volumes.local import Local


class Plain(Local):
    name = "plain"


class Copies(Vfs):
    name = "copies"


class Second(NativeDriver):
    name = "second"

    def __init__(self, root):
        super().__init__(str(root))


def broken(root):
    raise RuntimeError("it has no disk")
"""
ENTRY_POINTS = """
[wherry.volume_drivers]
plain = wherry_plain:Plain
broken = wherry_plain:broken
absent = wherry_plain:NoSuchThing
[wherry.storage_drivers]
copies = wherry_plain:Copies
[wherry.exec_drivers]
second = wherry_plain:Second
"""


@pytest.fixture
def package(tmp_path, monkeypatch, leaves_no_trace):
    """A site directory with a package of drivers, and the archive of an image."""
    site = tmp_path / "site"
    info = site / "wherry_plain-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "wherry_plain.py").write_text(DRIVERS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wherry-plain\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def test_a_volume_driver_is_loaded_when_it_is_named_and_its_volumes_are_found_again(package, root):
    with wherry.Engine.local(root, bridge="none") as engine:
        assert (
            engine.volumes.create("data", driver="plain").mountpoint == f"{root}/data/volume-drivers/plain/data/_data"
        )
        assert engine.volumes.create("other").driver == "local"
    with wherry.Engine.local(root, bridge="none") as engine:
        assert {volume.name: volume.driver for volume in engine.volumes.list()} == {"data": "plain", "other": "local"}
        engine.volumes.remove("data")
    assert list((root / "data/volume-drivers/plain").iterdir()) == []


def test_a_container_lives_on_snapshots_of_another_driver(package, root, layer):
    with wherry.Engine.local(root, bridge="none", storage_driver="copies") as engine:
        engine.images.import_(layer().file("program", b"x", mode=0o755).bytes(), "tiny")
        with engine.containers.create("tiny", "/program", volumes=["/data"]) as container:
            assert container.inspect().driver == engine.info().driver == "copies"
            assert list((root / "data/snapshots/copies").rglob("program"))


def test_what_cannot_be_loaded_is_refused_with_its_reason(package, root):
    with wherry.Engine.local(root, bridge="none") as engine:
        with pytest.raises(wherry.InvalidParameter, match="driver broken cannot be loaded: it has no disk"):
            engine.volumes.create("data", driver="broken")
        with pytest.raises(wherry.InvalidParameter, match=r"driver absent cannot be loaded: .*NoSuchThing"):
            engine.volumes.create("data", driver="absent")
        with pytest.raises(wherry.NotFound, match='plugin "nowhere" not found'):
            engine.volumes.create("data", driver="nowhere")
        with pytest.raises(wherry.NotFound, match="not found"):
            engine.volumes.create("data", driver="../plain")
    with pytest.raises(wherry.EngineFailed, match="driver not supported: nowhere"):
        wherry.Engine.local(root, bridge="none", storage_driver="nowhere").open()


def test_volumes_of_a_driver_that_is_gone_do_not_keep_the_engine_from_starting(package, root, monkeypatch):
    with wherry.Engine.local(root, bridge="none") as engine:
        engine.volumes.create("data", driver="plain")
    (package / "wherry_plain-1.0.dist-info/entry_points.txt").unlink()
    with wherry.Engine.local(root, bridge="none") as engine:
        assert [volume.driver for volume in engine.volumes.list()] == ["plain"]
        with pytest.raises(wherry.NotFound, match='plugin "plain" not found'):
            engine.volumes.remove("data")


@pytest.fixture
def busybox_tar():
    program = Path(__file__).parents[2] / "scripts/busybox_image.py"
    return subprocess.run([sys.executable, program], capture_output=True, check=True).stdout


def test_a_runtime_of_another_package_runs_containers_and_meets_them_again(package, root, busybox_tar):
    with wherry.Engine.local(root, bridge="none", keep=True) as engine:
        engine.images.import_(busybox_tar, "busybox")
        engine.run("busybox", ["sleep", "1000"], runtime="second", network="none", name="one")
        assert engine.call("busybox", "echo own", network="none").text == "own\n"
        assert (root / "exec/drivers/second/containers").is_dir()
    with wherry.Engine.local(root, bridge="none") as engine:
        container = engine.containers.get("one")
        assert container.exec("echo met").text == "met\n"
        assert container.inspect().raw["HostConfig"]["Runtime"] == "second"
        for unknown in ("nowhere", "native"):
            with pytest.raises(wherry.InvalidParameter, match=f"unknown or invalid runtime name: {unknown}"):
                engine.containers.create("busybox", runtime=unknown)


def test_containers_of_a_runtime_that_is_gone_can_be_removed_and_not_started(package, root, busybox_tar):
    with wherry.Engine.local(root, bridge="none", keep=True) as engine:
        engine.images.import_(busybox_tar, "busybox")
        engine.containers.create("busybox", "sh", runtime="second", network="none", name="one")
    (package / "wherry_plain-1.0.dist-info/entry_points.txt").unlink()
    with wherry.Engine.local(root, bridge="none") as engine:
        with pytest.raises(wherry.Unavailable, match="runtime second, which is not installed any more"):
            engine.containers.get("one").start()
        engine.containers.get("one").remove()
