"""Drivers on real file systems, filled with layers, and a look at what a test left behind."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from wherry.linux.mount import MNT_DETACH, mount, umount2
from wherry.storage.overlay import Overlay
from wherry.storage.vfs import Vfs


def chain(letter):
    return "sha256:" + letter * 64


@pytest.fixture
def chain_id():
    return chain


@pytest.fixture
def fill(layer):
    """Apply and commit a layer under a letter, on that of another."""

    def fill(driver, tar, letter, parent=None):
        with driver.extract(chain(parent) if parent else None) as extraction:
            extraction.apply(tar.stream() if isinstance(tar, layer) else tar)
            return extraction.commit(chain(letter))

    return fill


@pytest.fixture
def seen(tree_of):
    """What a snapshot shows, as describe_tree has it."""

    def seen(driver, key):
        with driver.open(key) as rootfs:
            return tree_of(f"/proc/self/fd/{rootfs.fd}/.")

    return seen


@pytest.fixture
def root():
    """A directory for a driver, on a real file system and with a mode that lets others through."""
    path = Path(tempfile.mkdtemp(prefix="wherry-storage-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=[Overlay, Vfs], ids=["overlay", "vfs"])
def driver(request, root):
    return request.param(root / "snapshots")


@pytest.fixture
def overlay(root):
    return Overlay(root / "snapshots")


@pytest.fixture
def small_disk(root):
    """A file system of 2 MiB."""
    path = root / "small"
    path.mkdir()
    mount("tmpfs", str(path), "tmpfs", 0, "size=2m")
    yield path
    umount2(str(path), MNT_DETACH)


@pytest.fixture(autouse=True)
def leaves_nothing():
    """No mount, descriptor or child process stays behind."""
    before = _holdings()
    yield
    assert _holdings() == before


def _holdings():
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "wherry-storage-" in line]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return mounts, children, len(os.listdir("/proc/self/fd"))


@pytest.fixture(scope="session")
def debian_tar():
    """A whole distribution's tree as a tar, or a good part of this machine's own."""
    given = os.environ.get("WHERRY_TEST_ROOTFS")
    if given:
        yield Path(given)
        return
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        subprocess.run(["tar", "-c", "-f", file.name, "-C", "/", "etc", "-C", "/usr/lib", "terminfo"], check=True)
        yield Path(file.name)
