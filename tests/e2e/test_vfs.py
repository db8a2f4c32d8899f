"""The verbs that concern a container's file system, with the storage driver that copies instead of stacking."""

import io
import tarfile
import time

import pytest
from tests.e2e.conftest import Daemon, serving

BRIDGE = "wherryvfs0"
CHANGE = "echo new > /tmp/new; echo more >> /etc/passwd; rm -r /home; mkdir -p /var/a/b; ln -s a /var/link"
CHANGED = ["A /tmp/new", "A /var/a", "A /var/a/b", "A /var/link", "C /etc", "C /etc/passwd", "C /tmp", "C /var"]


@pytest.fixture(scope="module")
def vfs_daemon(tmp_path_factory, busybox_tar):
    daemon = Daemon(tmp_path_factory.mktemp("vfs"), "--storage-driver=vfs", bridge=BRIDGE)
    with serving(daemon, "10.213.31.1/24", busybox_tar):
        yield daemon


def snapshots(daemon):
    """Without those that all containers of an image share, which stay as long as the image."""
    found = (daemon.root / "data/snapshots/vfs").glob("*/*")
    return sorted(path.name for path in found if not path.name.endswith("-init"))


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def test_the_life_of_a_container_and_of_its_image(vfs_daemon, leaves_no_trace, tmp_path):
    docker, out = vfs_daemon.docker, vfs_daemon.out
    before = snapshots(vfs_daemon)
    assert out("info", "--format", "{{.Driver}}") == "vfs"
    docker("run", "--name", "box", "busybox", "sh", "-c", CHANGE)
    assert sorted(out("diff", "box").splitlines()) == sorted([*CHANGED, "D /home"])
    (tmp_path / "in").write_text("from outside\n")
    docker("cp", tmp_path / "in", "box:/tmp/new")
    docker("cp", "box:/tmp/new", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "from outside\n"
    docker("commit", "box", "changed")
    assert out("image", "inspect", "--format", "{{len .RootFS.Layers}}", "changed") == "2"
    shown = ["sh", "-c", "cat /tmp/new; tail -n 1 /etc/passwd; readlink /var/link; ls -d /home"]
    again = docker("run", "--name", "again", "changed", *shown, check=False)
    assert again.stdout == "from outside\nmore\na\n"
    assert again.returncode == 1
    with tarfile.open(fileobj=io.BytesIO(docker("export", "again", text=False).stdout)) as archive:
        assert archive.extractfile("tmp/new").read() == b"from outside\n"
        assert "home" not in archive.getnames()
    docker("rm", "box", "again")
    docker("rmi", "changed")
    wait_until(lambda: snapshots(vfs_daemon) == before)
