"""Snapshots of a limited size: on XFS with quotas of projects, and the refusal everywhere else."""

import errno
import os
import signal
import subprocess
from itertools import count

import pytest
from tests.xfs import quota_disk, report

from wherry.linux.quota import put_into_project
from wherry.model.errors import EngineError
from wherry.storage import quota
from wherry.storage.overlay import Overlay
from wherry.storage.vfs import Vfs

SIZE = {"size": "8m"}
KIB = 8 << 10
XFS_ONLY = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
REFUSED = [
    (Overlay, {"size": "1G"}, XFS_ONLY),
    (Overlay, {"SIZE": "x"}, XFS_ONLY),
    (Overlay, {"size": "1G", "odd": "1"}, XFS_ONLY),
    (Overlay, {"Odd": "1"}, "Unknown option odd"),
    (Vfs, {"size": "1G"}, "Filesystem does not support, or has not enabled quotas"),
    (Vfs, {"Size": "1G"}, "Storage opt Size not supported"),
]
KINDS = pytest.mark.parametrize("kind", [Overlay, Vfs], ids=["overlay", "vfs"])


@pytest.fixture
def disk(root):
    path = root / "disk"
    path.mkdir()
    with quota_disk(path, root / "image"):
        yield path


def fill(driver, key, mebibytes):
    """Write so much into a snapshot; how much of it there was room for."""
    with driver.open(key) as rootfs:
        file = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=rootfs.fd)
        try:
            return sum(writes(file) for _ in range(mebibytes))
        finally:
            os.close(file)


def writes(file):
    """Whether another MiB finds room."""
    try:
        done = os.write(file, bytes(1 << 20))
        os.fsync(file)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return done == 1 << 20


def limits(disk):
    return sorted(most for _, most in report(disk).values())


@pytest.mark.parametrize(("kind", "options", "words"), REFUSED)
def test_without_quotas_sizes_are_refused_in_dockerds_words(root, kind, options, words):
    driver = kind(root / "snapshots")
    with pytest.raises(EngineError) as refusal:
        driver.prepare("c", None, options)
    assert str(refusal.value) == words
    assert type(refusal.value) is EngineError  # 500, as dockerd has it
    assert list(driver.keys()) == []


def test_the_size_of_an_option_is_read_in_any_case(disk):
    overlay = Overlay(disk / "snapshots")
    overlay.prepare("c", None, {"SIZE": "8M"})
    overlay.prepare("unlimited", None, {"size": "0"})
    assert limits(disk) == [KIB]
    with pytest.raises(EngineError, match=r"^invalid suffix: 'x'$"):
        overlay.prepare("d", None, {"size": "8x"})


@KINDS
def test_a_snapshot_takes_no_more_than_its_size_and_others_what_they_like(disk, kind):
    driver = kind(disk / "snapshots")
    driver.prepare("small", None, SIZE)
    driver.prepare("large", None)
    with driver.open("small") as rootfs:
        shown = os.statvfs(f"/proc/self/fd/{rootfs.fd}/.")
    assert shown.f_blocks * shown.f_frsize == 8 << 20
    assert fill(driver, "small", 12) in {7, 8}
    assert fill(driver, "large", 12) == 12
    with driver.open("small") as rootfs:
        os.unlink("file", dir_fd=rootfs.fd)
    assert fill(driver, "small", 4) == 4
    with driver.capture("small", None) as capture:
        capture.commit("sha256:" + "c" * 64)
    driver.remove("small")
    driver.purge()
    assert report(disk) == {}


@KINDS
def test_the_next_daemon_gives_nobody_the_project_of_another(disk, kind):
    taken = disk / "of-somebody-else"
    taken.mkdir()
    with quota.opened(taken) as fd:
        put_into_project(fd, 3)
    kind(disk / "snapshots").prepare("a", None, {"size": "1m"})
    kind(disk / "snapshots").prepare("b", None, {"size": "2m"})
    kind(disk / "snapshots").prepare("c", None, {"size": "3m"})
    assert {project: most for project, (_, most) in report(disk).items() if most} == {1: 1024, 2: 2048, 4: 3072}
    driver = kind(disk / "snapshots")
    driver.sweep(["b"])
    assert limits(disk) == [0, 2048]
    assert 3 in report(disk)


@KINDS
def test_killed_at_any_step_it_leaves_no_limit_behind(disk, kind):
    steps = ("put_into_project", "limit_project")
    for last in count(1):
        status = dies_at(steps, last, lambda: live_and_die(kind(disk / "snapshots")))
        kind(disk / "snapshots").sweep([])
        assert report(disk) == {}
        if status == 0:
            break
    # The marker's project, the limit, those of one or two directories, and the limit that goes.
    assert last == {Overlay: 6, Vfs: 5}[kind]


def live_and_die(driver):
    driver.prepare("c", None, SIZE)
    driver.remove("c")
    driver.purge()


def dies_at(names, last, act):
    """Act in a child that is killed after so many of these calls; its wait status."""
    pid = os.fork()
    if pid == 0:
        calls = count(1)
        for name in names:
            setattr(quota, name, dying(getattr(quota, name), calls, last))
        act()
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def dying(call, calls, last):
    def wrapped(*arguments, **options):
        call(*arguments, **options)
        if next(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return wrapped


@KINDS
def test_below_a_directory_of_a_project_all_goes_as_elsewhere(disk, kind):
    (disk / "snapshots").mkdir()
    command = ["xfs_quota", "-x", "-c", f"project -s -p {disk / 'snapshots'} 100", str(disk)]
    subprocess.run(command, check=True, capture_output=True)
    driver = kind(disk / "snapshots")
    driver.prepare("c", None, SIZE)
    assert limits(disk) == [0, KIB]
    assert max(report(disk)) == 101
    with driver.open("c") as rootfs:
        make_deep(rootfs.fd, 80)  # deeper than what is removed where it stands
    driver.remove("c")
    driver.purge()
    assert set(report(disk)) <= {100}


def make_deep(fd, depth):
    directory = os.dup(fd)
    for _ in range(depth):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)


def test_a_work_directory_that_is_made_again_belongs_to_its_snapshot(disk):
    driver = Overlay(disk / "snapshots")
    driver.prepare("c", None, SIZE)
    (disk / "snapshots/active/c/work").rmdir()
    (finding,) = driver.audit(["c"])
    driver.mend(finding)
    assert driver.audit(["c"]) == []
    assert fill(driver, "c", 4) == 4


def test_a_container_that_leaves_its_project_takes_no_limit_of_another_along(disk):
    driver = Overlay(disk / "snapshots")
    driver.prepare("a", None, {"size": "1m"})
    driver.prepare("b", None, {"size": "2m"})
    with quota.opened(disk / "snapshots/active/a/fs") as fd:
        put_into_project(fd, 2)
    driver.remove("a")
    driver.purge()
    assert limits(disk) == [2048]
