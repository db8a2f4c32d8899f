"""Containers of a limited size, with a daemon whose data root is on XFS with quotas of projects."""

import tarfile
import time

import pytest
from docker.errors import APIError
from tests.e2e.conftest import Daemon, serving
from tests.xfs import quota_disk, report

BRIDGE = "wherrytest3"
FULL = "No space left on device"
KIB = 16 << 10
WRITE = ["sh", "-c", "echo kept > /kept; dd if=/dev/zero of=/file bs=1M count=32"]


@pytest.fixture
def sized_daemon(tmp_path_factory, busybox_tar):
    daemon = Daemon(tmp_path_factory.mktemp("sized"), bridge=BRIDGE)
    disk = daemon.root / "data"
    disk.mkdir()
    with quota_disk(disk, daemon.root / "image"), serving(daemon, "10.213.10.1/24", busybox_tar):
        yield daemon


@pytest.fixture
def client(sized_daemon):
    client = sized_daemon.client()
    yield client
    client.close()


def limits(daemon):
    """In KiB."""
    return sorted(most for _, most in report(daemon.root / "data").values() if most)


# By a library, because each start of the command line takes its time in an emulated machine.
def test_a_container_takes_no_more_than_its_size_whatever_becomes_of_the_daemon(sized_daemon, client):
    box = client.containers.run("busybox", ["sleep", "1000"], detach=True, storage_opt={"size": "16m"})
    assert box.attrs["HostConfig"]["StorageOpt"] == {"size": "16m"}
    shown = box.exec_run(["df", "-k", "/"]).output.split()
    assert str(KIB).encode() in shown
    assert FULL in box.exec_run(WRITE).output.decode()
    # What the daemon puts into it counts as well.
    with pytest.raises(APIError, match=f"(?i){FULL}"):
        box.put_archive("/", tar_of_zeros(32 << 20))
    assert box.exec_run(["rm", "/file"]).exit_code == 0
    assert {"Path": "/kept", "Kind": 1} in box.diff()
    image = box.commit()
    lost = client.containers.create("busybox", WRITE, storage_opt={"size": "8m"})
    sized_daemon.kill()
    snapshots = sized_daemon.root / "data/snapshots/overlay"
    (snapshots / "active" / lost.id).rename(snapshots / "trash" / lost.id)
    sized_daemon.start()
    assert FULL in box.exec_run(WRITE).output.decode()
    lost.start()
    lost.wait()
    assert FULL in lost.logs().decode()
    assert client.containers.run(image, ["cat", "/kept"], remove=True, storage_opt={"size": "4m"}) == b"kept\n"
    wait_for(lambda: limits(sized_daemon) == [KIB // 2, KIB])
    lost.remove()
    box.remove(force=True)
    wait_for(lambda: report(sized_daemon.root / "data") == {})


def tar_of_zeros(size):
    file = tarfile.TarInfo("zeros")
    file.size = size
    return file.tobuf() + bytes(size) + bytes(1024)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert condition()
