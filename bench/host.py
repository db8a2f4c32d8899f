"""A host of one's own for a command: namespaces and control groups that end with it, so that nothing can stay.

dockerd leaves tables of iptables behind, a bridge, directories of control groups, a key in /etc. Here they all go with
the namespaces. What is mounted anew: /sys and its control groups, /proc, /run, and a layer over /etc.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from wherry.linux import cgroup, mount, namespaces, prctl

# The most that the kernel allows: what else runs on the machine is to disturb as little as it can.
_SHARES = (("cpu.shares", "262144"), ("cpu.weight", "10000"))
_KINDS = ("mnt", "pid", "net", "ipc", "uts", "cgroup")


def run_apart(deed: Callable[[Path], None]) -> int:
    """Call it with an empty directory in a host of its own; its exit code. Everything it has made is gone then."""
    directory = Path(tempfile.mkdtemp(prefix="wherry-bench-"))
    groups = [Path(found.directory) / directory.name for found in cgroup.hierarchies()]
    for group in groups:
        _make_group(group)
    try:
        child = os.fork()
        if child == 0:
            _exit_with(lambda: _become_host(directory, groups, deed))
        return os.waitstatus_to_exitcode(_wait(child))
    finally:
        for group in groups:
            _remove_group(group)
        shutil.rmtree(directory, ignore_errors=True)


def _become_host(directory: Path, groups: list[Path], deed: Callable[[Path], None]) -> int:
    prctl.set_parent_death_signal(signal.SIGKILL)
    for group in groups:
        (group / "cgroup.procs").write_text("0")
    flags = 0
    for kind in _KINDS:
        flags |= namespaces.KINDS[kind]
    namespaces.unshare(flags)
    first = os.fork()
    if first == 0:
        _exit_with(lambda: _be_first(directory, deed))
    return os.waitstatus_to_exitcode(_wait(first))


def _be_first(directory: Path, deed: Callable[[Path], None]) -> int:
    """As process 1: reap what others leave, and end with the one that does the deed."""
    prctl.set_parent_death_signal(signal.SIGKILL)
    _mount_anew()
    os.environ["TMPDIR"] = str(directory)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    doer = os.fork()
    if doer == 0:
        _exit_with(lambda: deed(directory))
    while True:
        pid, status = os.wait()
        if pid == doer:
            return os.waitstatus_to_exitcode(status)


def _mount_anew() -> None:
    found = cgroup.hierarchies()
    mount.mount("none", "/", None, mount.MS_REC | mount.MS_PRIVATE)
    mount.umount2("/sys", mount.MNT_DETACH)
    mount.mount("sysfs", "/sys", "sysfs")
    if any(one.version == 1 for one in found):
        mount.mount("tmpfs", "/sys/fs/cgroup", "tmpfs")
    for one in found:
        os.makedirs(one.directory, exist_ok=True)
        if one.version == 1:
            controllers = [word for word in one.controllers if not word.startswith("name=")]
            options = ",".join([*controllers, *(["none"] if not controllers else []), *_names(one)])
            mount.mount("cgroup", one.directory, "cgroup", 0, options)
        else:
            mount.mount("cgroup2", one.directory, "cgroup2")
            _leave_the_root(Path(one.directory))
    mount.mount("proc", "/proc", "proc")
    mount.mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    for directory in ("lock", "netns", "upper", "work"):
        os.mkdir(f"/run/{directory}")
    mount.mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/run/upper,workdir=/run/work")


def _names(one: cgroup.Hierarchy) -> list[str]:
    return [word for word in one.controllers if word.startswith("name=")]


def _leave_the_root(root: Path) -> None:
    """A group of version 2 that has processes hands no controllers on (cgroups(7)); ours is the root here."""
    leaf = root / "bench"
    leaf.mkdir()
    for pid in (root / "cgroup.procs").read_text().split():
        (leaf / "cgroup.procs").write_text(pid)


def _make_group(group: Path) -> None:
    group.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group of version 1, which then takes no process
        value = group.parent / name
        if value.exists() and (group / name).exists():
            (group / name).write_text(value.read_text())
    for name, most in _SHARES:
        if (group / name).exists():
            (group / name).write_text(most)


def _remove_group(group: Path) -> None:
    for directory, _, _ in os.walk(group, topdown=False):
        os.rmdir(directory)


def _wait(pid: int) -> int:
    while True:
        try:
            return os.waitpid(pid, 0)[1]
        except KeyboardInterrupt:
            os.kill(pid, signal.SIGKILL)


def _exit_with(deed: Callable[[], int | None]) -> None:
    """Run and end the process, whatever happens."""
    code = 1
    try:
        code = deed() or 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if 0 <= code <= 255 else 1)
