"""Root file systems of busybox, specs like Docker's, and containers that are run to their end."""

import contextlib
import os
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from wherry.libcontainer import mounts
from wherry.libcontainer.birth import Plan, Stdio, spawn
from wherry.libcontainer.enter import enter
from wherry.linux import mount as kernel
from wherry.linux import process
from wherry.oci.runtime import Capabilities, Linux, Mount, Namespace, Process, Root, Spec

APPLETS = (
    *("sh", "cat", "ls", "id", "mount", "grep", "hostname", "sleep", "true", "false", "stat", "readlink", "pwd"),
    *("env", "test", "touch", "echo", "ps", "tty", "stty", "wc", "mkdir", "rm", "ln", "kill", "ip", "chmod"),
)

DOCKER_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP"),
        *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
    )
)
ALL_FIVE = {"bounding": DOCKER_CAPABILITIES, "effective": DOCKER_CAPABILITIES, "permitted": DOCKER_CAPABILITIES}


def _mount(destination, fstype, *options):
    return Mount(destination=destination, type=fstype, source=fstype, options=options)


DOCKER_MOUNTS = (
    _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
    _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
    _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    _mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
)
NAMESPACES = ("pid", "network", "mount", "ipc", "uts")
MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/proc/no-such", "/sys/firmware")
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys")


@dataclass
class Result:
    """How a container ended, and what it wrote."""

    code: int
    out: str
    err: str
    warnings: list[str] = field(default_factory=list)

    @property
    def lines(self):
        return self.out.splitlines()


class Cellar:
    """Runs containers on one root file system, and cleans up after them."""

    def __init__(self, rootfs: Path) -> None:
        self.rootfs = rootfs
        self.undo = contextlib.ExitStack()

    def spec(self, *args, mounts=DOCKER_MOUNTS, extra=(), namespaces=NAMESPACES, linux=None, process=None, **rest):
        spaces = tuple(one if isinstance(one, Namespace) else Namespace(type=one) for one in namespaces)
        section = {"namespaces": spaces, "masked_paths": MASKED, "readonly_paths": READONLY} | (linux or {})
        said = {"cwd": "/", "args": args, "env": ("PATH=/bin",), "capabilities": Capabilities(**ALL_FIVE)} | (
            process or {}
        )
        return Spec(
            oci_version="1.2.0",
            root=rest.pop("root", Root(path=str(self.rootfs))),
            process=Process(**said),
            mounts=(*mounts, *extra),
            linux=Linux(**section),
            **rest,
        )

    @contextlib.contextmanager
    def plan(self, spec, **rest):
        """A plan with everything of the host opened."""
        with contextlib.ExitStack() as opened:
            rootfs = kernel.open_tree(str(self.rootfs), recursive=True)
            opened.callback(os.close, rootfs)
            moved = []
            for one in spec.mounts:
                if not mounts.is_made_inside(one):
                    fd = mounts.open_mount(one)
                    opened.callback(os.close, fd)
                    moved.append((one.destination, fd))
            yield Plan(id="box", spec=spec, rootfs_fd=rootfs, mounts=tuple(moved), **rest)

    def start(self, spec, stdio=None, **rest):
        """A container that runs until the test ends."""
        with self.plan(spec, **rest) as plan:
            null = os.open(os.devnull, os.O_RDWR)
            try:
                child = spawn(plan, stdio or Stdio(stdin=null, stdout=null, stderr=null))
            finally:
                os.close(null)
        self.undo.callback(os.close, child.pidfd)
        if child.terminal is not None:
            self.undo.callback(os.close, child.terminal)
        self.undo.callback(self._end, child)
        return child

    def _end(self, child):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            process.pidfd_send_signal(child.pidfd, signal.SIGKILL)
            process.wait(child.pidfd)

    def run(self, *args, spec=None, plan=None, **changes):
        """Run a container to its end."""
        spec = spec or self.spec(*args, **changes)
        with self.plan(spec, **(plan or {})) as ready:
            return _collected(lambda stdio: spawn(ready, stdio))

    def enter(self, child, spec, *args, cgroup=None, seccomp_program=b"", **changes):
        """Run a further program in a container to its end."""
        said = msgspec.structs.replace(spec.process, args=args, terminal=False, **changes)
        return _collected(
            lambda stdio: enter(child.pidfd, spec, said, stdio, cgroup=cgroup, seccomp_program=seccomp_program)
        )


def _collected(make):
    """Give a process files for its output: no pipe that could fill up."""
    with contextlib.ExitStack() as opened:
        out, err = (os.memfd_create(name) for name in ("out", "err"))
        null = os.open(os.devnull, os.O_RDONLY)
        for fd in (out, err, null):
            opened.callback(os.close, fd)
        child = make(Stdio(stdin=null, stdout=out, stderr=err))
        code = process.wait(child.pidfd).code
        os.close(child.pidfd)
        if child.terminal is not None:
            os.close(child.terminal)
        texts = [os.pread(fd, 1 << 20, 0).decode(errors="replace") for fd in (out, err)]
        return Result(code, *texts, child.warnings)


def fill_root(path: Path) -> Path:
    """A root file system with busybox in it."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "var"):
        (path / name).mkdir(parents=True, exist_ok=True)
    shutil.copy("/usr/bin/busybox", path / "bin/busybox")
    for name in APPLETS:
        (path / "bin" / name).symlink_to("busybox")
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nsailor:x:1000:1000::/home/sailor:/bin/sh\n")
    return path


@pytest.fixture
def rootfs(tmp_path):
    return fill_root(tmp_path / "rootfs")


@pytest.fixture
def cellar(rootfs):
    cellar = Cellar(rootfs)
    with cellar.undo:
        yield cellar


@pytest.fixture
def canary(tmp_path):
    """Files of the host that no container may change, see or add to."""
    tree = tmp_path / "canary"
    (tree / "sub").mkdir(parents=True)
    (tree / "secret").write_text("host secret")
    (tree / "null").write_text("not a device")
    os.mkfifo(tree / "fifo")
    before = _listing(tree)
    yield tree
    assert _listing(tree) == before


def _listing(tree):
    found = []
    for path in sorted([tree, *tree.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found.append((str(path), status.st_ino, status.st_mode, status.st_uid, status.st_mtime_ns, content))
    return found


@pytest.fixture
def nothing_left(tmp_path):
    """Descriptors, children and mounts of the test process are as before."""
    before = _own()
    yield
    assert _own() == before
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def _own():
    fds = sorted(os.listdir("/proc/self/fd"))
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return len(fds), children
