"""Snapshots while others work: containers that swap what is being read, threads, and a daemon that dies."""

import ctypes
import io
import os
import signal
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

from wherry.model.errors import Conflict
from wherry.storage.overlay import Overlay

ROUNDS = 25
_RENAME_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def swapping():
    """Two names of a directory that change places all the time, until the test ends."""
    stop = Event()
    threads = []

    def swap(directory, first, second):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        while not stop.is_set():
            _libc.renameat2(fd, first, fd, second, _RENAME_EXCHANGE)
        os.close(fd)

    def swapping(directory, first, second):
        threads.append(Thread(target=swap, args=(directory, first, second)))
        threads[-1].start()

    yield swapping
    stop.set()
    for thread in threads:
        thread.join()


def test_a_container_that_swaps_directories_and_links_shows_nothing_of_the_host(driver, root, swapping):
    (root / "host/in").mkdir(parents=True)
    (root / "host/in/secret").write_text("the host's secret")
    driver.prepare("c", None)
    with driver.open("c") as rootfs:
        inside = Path(f"/proc/self/fd/{rootfs.fd}")
        (inside / "d/in").mkdir(parents=True)
        (inside / "d/in/secret").write_text("the container's")
        (inside / "link").symlink_to(root / "host")
        os.mknod(inside / "node", 0o20666, os.makedev(1, 5))
        (inside / "file").write_text("a file")
        swapping(str(inside), b"d", b"link")
        swapping(str(inside), b"file", b"node")
        for _ in range(ROUNDS):
            with driver.diff("c") as tar:
                assert b"the host's secret" not in tar.read()
            list(driver.changes("c"))
            driver.usage("c")


def test_one_of_many_that_commit_the_same_layer_wins(driver, layer, chain_id):
    text = layer().file("x", b"data").bytes()

    def commit(_):
        try:
            with driver.extract(None) as extraction:
                extraction.apply(io.BytesIO(text))
                extraction.commit(chain_id("a"))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(commit, range(8))) == 1
    assert driver.sweep([chain_id("a")]) == []


def test_containers_are_made_and_removed_by_many_threads(driver, layer, fill, chain_id):
    fill(driver, layer().file("x"), "a")

    def live(number):
        key = f"c{number}"
        driver.prepare(key, chain_id("a"))
        with driver.open(key) as rootfs:
            os.mkdir(f"/proc/self/fd/{rootfs.fd}/{number}")
        driver.remove(key)
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(live, range(32)))
    driver.purge()
    assert list(driver.keys()) == [chain_id("a")]


def test_a_daemon_killed_in_the_middle_of_a_layer_leaves_only_what_a_sweep_removes(root, layer):
    """The layer is half read when the whole process dies; the worker must go with it."""
    program = """
import sys
from pathlib import Path
from wherry.storage.overlay import Overlay
with Overlay(Path(sys.argv[1])).extract(None) as extraction:
    extraction.apply(sys.stdin.buffer.raw)
"""
    text = layer().file("first", b"x" * 5000).file("second", b"y" * 5000).bytes()
    command = [sys.executable, "-c", program, str(root / "snapshots")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True) as daemon:
        daemon.stdin.write(text[:7000])
        while not list((root / "snapshots").glob("new/*/fs/first")):
            os.sched_yield()
        daemon.send_signal(signal.SIGKILL)
    again = Overlay(root / "snapshots")
    assert list(again.keys()) == []
    assert len(again.sweep([])) == 1
    assert list((root / "snapshots/new").iterdir()) == []


def test_a_diff_of_a_file_that_shrinks_meanwhile_is_a_whole_tar(overlay, root):
    overlay.prepare("c", None)
    with overlay.open("c") as rootfs:
        path = Path(f"/proc/self/fd/{rootfs.fd}/log")
        path.write_bytes(b"x" * (32 << 20))
        with overlay.diff("c") as tar:
            start = tar.read(1 << 20)
            os.truncate(path, 0)
            text = start + tar.read()
    with tarfile.open(fileobj=io.BytesIO(text)) as members:
        assert [(member.name, member.size) for member in members] == [("log", 32 << 20)]
