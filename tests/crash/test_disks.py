"""The disk under the data root is full, turns read-only or loses its power: nothing is lost or half there."""

import array
import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

IMAGE = "busybox:latest"
BLOCK = 4096
# linux/fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: every later access is EIO, and what the
# journal did not write is lost, as when the power fails.
SHUTDOWN, AT_ONCE = 0x8004587D, 2
REFUSED = ("no space left on device", "database or disk is full", "disk I/O error", "input/output error",
           "read-only file system", "attempt to write a readonly database", "unable to open database file")  # fmt: skip
# A verb before it was refused for the disk's sake, so this one cannot be done.
OF_STATE = ("is not paused", "is not running", "is already paused", "is paused")


class Disk:
    """A small ext4 in a file, mounted on a directory."""

    def __init__(self, file, place, *, megabytes=256, inodes=2000):
        self.file, self.place = file, place
        place.mkdir()
        with file.open("wb") as sparse:
            sparse.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), file], check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop,errors=remount-ro", self.file, self.place], check=True)
        self.device = os.stat(self.place).st_dev

    def is_attached(self):
        """Whether it is mounted anywhere, if only in the namespace of somebody who is about to end."""
        return str(self.file) in subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout

    def fill(self):
        """Until not a byte more can be written."""
        with (self.place / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, BLOCK, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))

    def crowd(self):
        """Until there is no inode left."""
        crowd = self.place / "crowd"
        crowd.mkdir()
        with contextlib.suppress(OSError):
            for number in range(10_000):
                (crowd / str(number)).touch()

    def spoil(self):
        """Make the kernel find an error in it: it is read-only from now on."""
        name = Path(f"/sys/dev/block/{os.major(self.device)}:{os.minor(self.device)}").resolve().name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")

    def cut_power(self):
        """All that is not on the disk by now is lost."""
        root = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(root, SHUTDOWN, array.array("I", [AT_ONCE]))
        finally:
            os.close(root)

    def empty(self):
        """Take away what `fill` and `crowd` put there."""
        (self.place / "filler").unlink(missing_ok=True)
        subprocess.run(["rm", "-rf", self.place / "crowd"], check=True)


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk", tmp_path / "data")
    yield made
    # Lazily, because a monitor that was just killed may still hold it for a moment.
    subprocess.run(["umount", "-l", made.place], check=True)


@pytest.fixture
def daemon(make_daemon, disk, rootfs, tmp_path):
    daemon = make_daemon(tmp_path)
    assert daemon.start()
    daemon.do("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", rootfs)
    yield daemon
    if daemon.process.poll() is not None:
        assert daemon.start()
    daemon.clear()
    daemon.stop()


VERBS = [
    ("POST", "/containers/create?name=new", {"Image": IMAGE, "Cmd": ["true"], "Volumes": {"/v": {}}}),
    ("POST", "/containers/old/start", None),
    ("POST", "/containers/old/rename?name=older", None),
    ("POST", "/containers/older/rename?name=old", None),
    ("POST", "/containers/web/exec", {"Cmd": ["true"], "AttachStdout": True}),
    ("POST", "/containers/web/pause", None),
    ("POST", "/containers/web/unpause", None),
    ("POST", "/containers/web/restart?t=0", None),
    ("POST", "/containers/web/stop?t=0", None),
    ("POST", "/containers/web/kill", None),
    ("POST", "/volumes/create", {"Name": "added"}),
    ("POST", "/images/busybox/tag?repo=second&tag=1", None),
    ("DELETE", "/containers/gone", None),
    ("DELETE", "/volumes/kept", None),
]


def try_all(daemon):
    """Each verb is done or refused for the disk's sake, and the daemon lives."""
    for method, path, body in VERBS:
        status, answer = daemon.ask(method, path, body)
        message = str(answer["message"] if isinstance(answer, dict) and "message" in answer else answer)
        allowed = (
            status < 400
            or status in (404, 409)
            or any(word.lower() in message.lower() for word in (*REFUSED, *OF_STATE))
        )
        assert allowed, f"{method} {path}: {status} {answer}"
        assert daemon.ask("GET", "/_ping") == (200, "OK")
        assert {"web", "gone"} & set(daemon.names()), daemon.names()
    status, answer = daemon.ask("POST", "/images/create?fromSrc=-&repo=more&tag=1", os.urandom(1 << 20))
    assert status >= 400 or "errorDetail" in str(answer)


def prepare(daemon):
    daemon.do("POST", "/volumes/create", {"Name": "kept"})
    daemon.create("sleep", "1000", name="old")
    daemon.create("sleep", "1000", name="gone")
    daemon.run("sh", "-c", "while :; do echo line; sleep 0.1; done", name="web")


@pytest.mark.parametrize("exhaust", [Disk.fill, Disk.crowd])
def test_a_full_disk_is_told_and_nothing_is_lost(daemon, disk, exhaust):
    prepare(daemon)
    daemon.create(name="extra", volumes=["/v"])
    exhaust(disk)
    # Whoever makes room must not need any.
    daemon.do("DELETE", "/containers/extra?v=1")
    try_all(daemon)
    daemon.kill()
    assert daemon.start()
    try_all(daemon)
    disk.empty()
    whole(daemon)


def test_a_daemon_starts_on_a_full_disk_and_its_containers_run_on(daemon, disk):
    prepare(daemon)
    pid = daemon.pid("web")
    disk.fill()
    daemon.kill()
    assert daemon.start()
    assert daemon.pid("web") == pid
    disk.empty()
    lines = len(logged(daemon))
    eventually(lambda: len(logged(daemon)) > lines, "it logs no more")


@pytest.mark.parametrize("verb", ["pause", "unpause"])
def test_what_cannot_be_recorded_is_taken_back(daemon, disk, verb):
    prepare(daemon)
    pid, state = daemon.pid("web"), freezer_of(daemon, "web")
    if verb == "unpause":
        daemon.do("POST", "/containers/web/pause")
    before = state.read_text()
    disk.spoil()
    status, answer = daemon.ask("POST", f"/containers/web/{verb}")
    assert status == 500, answer
    assert "wherry.db" in answer["message"]
    assert state.read_text() == before
    daemon.kill()
    state.write_text("THAWED" if V1 else "0")
    os.kill(pid, signal.SIGKILL)
    repair(disk)
    assert daemon.start()
    whole(daemon)


V1 = Path("/sys/fs/cgroup/freezer").is_dir()


def freezer_of(daemon, name):
    """The file that says whether the kernel runs a container's processes."""
    container = daemon.inspect(name)["Id"]
    legacy = Path("/sys/fs/cgroup/freezer/docker", container, "freezer.state")
    return legacy if V1 else Path("/sys/fs/cgroup/docker", container, "cgroup.freeze")


def test_a_disk_that_turns_read_only_is_told(daemon, disk):
    prepare(daemon)
    disk.spoil()
    try_all(daemon)
    assert set(daemon.names()) >= {"old", "web"}
    daemon.kill()
    repair(disk)
    assert daemon.start()
    whole(daemon)


@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_what_a_power_failure_leaves_is_whole(daemon, disk, archive, rounds):
    """At a random moment; what had been answered before is there, what was under way is there wholly or not at all."""
    chance = random.Random(rounds)
    for number in range(rounds):
        known = set()
        worker = threading.Thread(target=work, args=(daemon, archive, known, number))
        worker.start()
        time.sleep(chance.random() * 0.7)
        answered = set(known)
        disk.cut_power()
        daemon.kill()
        worker.join()
        repair(disk)
        assert daemon.start()
        assert answered <= {*daemon.names(), *daemon.images(), *daemon.volumes()}
        for image in daemon.images():
            daemon.run("true", name="of", image=image)
            daemon.do("DELETE", "/containers/of?force=1")
        whole(daemon)
        daemon.clear()


def work(daemon, archive, known, number):
    """What a user does, until the power is gone; `known` gets the names of what was answered to be there."""
    with contextlib.suppress(AssertionError, Exception):
        daemon.create("sleep", "1000", name=f"a{number}", volumes=["/v"])
        known.add(f"a{number}")
        daemon.do("POST", f"/containers/a{number}/start")
        daemon.do("POST", "/volumes/create", {"Name": f"v{number}"})
        known.add(f"v{number}")
        daemon.do("POST", "/images/load", archive)
        known.add("loaded:1")
        daemon.run(name=f"b{number}", image="loaded:1")
        known.add(f"b{number}")
        daemon.do("POST", "/containers/create?name=c", {"Image": "loaded:2"})
        known.add("c")


def repair(disk):
    """Power took the processes along too; mount it again as after a reboot, when the journal is played."""
    deadline = time.monotonic() + 30
    while disk.is_attached():
        subprocess.run(["umount", disk.place], capture_output=True)
        assert time.monotonic() < deadline, f"somebody holds the disk: {list(holders(disk))}"
        for pid in holders(disk):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for cgroup in Path("/sys/fs/cgroup").glob("*/docker/*/"):
        with contextlib.suppress(OSError):  # those of others hold processes
            cgroup.rmdir()
    assert subprocess.run(["e2fsck", "-fp", disk.file], capture_output=True).returncode <= 2
    disk.mount()


def holders(disk):
    """Monitors and containers with a file of the disk open, or with it among their mounts."""
    number = f" {os.major(disk.device)}:{os.minor(disk.device)} "
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            opened = [os.readlink(fd) for fd in (process / "fd").iterdir()]
            ours = os.readlink(process / "ns/mnt") == os.readlink("/proc/self/ns/mnt")
            inside = not ours and number in (process / "mountinfo").read_text()
            if inside or any(path.startswith(f"{disk.place}/") for path in opened):
                yield int(process.name)


def whole(daemon):
    """Every container can be started, stopped and removed; no document is empty or cut."""
    for path in documents(daemon.data):
        with contextlib.suppress(FileNotFoundError):
            json.loads(path.read_text())
    for name in daemon.names():
        if daemon.inspect(name)["State"]["Status"] != "running":
            daemon.do("POST", f"/containers/{name}/start")
        daemon.do("POST", f"/containers/{name}/stop?t=0")
        daemon.do("DELETE", f"/containers/{name}?v=1")
    assert daemon.names() == []
    daemon.run("true", name="last")
    assert daemon.do("POST", "/containers/last/wait") == {"StatusCode": 0}
    daemon.do("DELETE", "/containers/last")


def documents(root):
    """JSON files of the engine's own; what is just being deleted is passed over."""
    for directory, below, names in os.walk(root):
        below[:] = [name for name in below if name not in ("fs", "_data")]
        yield from (Path(directory, name) for name in names if name.endswith(".json"))


def logged(daemon):
    return daemon.do("GET", "/containers/web/logs?stdout=1")


def eventually(true, what):
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
