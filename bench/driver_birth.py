"""`python -m bench.driver_birth`: the native driver without a daemon: a birth, a process beside it."""

import argparse
import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from wherry.drivers.driver import Birth, ExecBirth, LogPlan
from wherry.drivers.native import NativeDriver
from wherry.drivers.process import NativeProcess
from wherry.engine.defaults.capabilities import DEFAULT, capability_sets
from wherry.engine.defaults.devices import NOTHING
from wherry.engine.defaults.paths import READONLY, masked_paths
from wherry.engine.defaults.seccomp import seccomp_filter
from wherry.engine.defaults.sysctls import NETWORK
from wherry.linux import mount
from wherry.model.ids import new_id
from wherry.oci.runtime import Linux, Mount, Namespace, Process, Resources, Root, Spec, User

PAUSES_SECONDS = (0.0, 0.003, 0.15)
_NAMES = ("resolv.conf", "hostname", "hosts")

Times = list[tuple[float, float]]


class House:
    """A root file system of busybox, a network namespace, and births like those of `docker run busybox`."""

    def __init__(self, directory: Path) -> None:
        """Fill the directory."""
        self.logs = directory / "logs"
        self.root = directory / "root"
        for path in (self.logs, *(self.root / name for name in ("bin", "proc", "dev", "sys", "etc"))):
            path.mkdir(parents=True)
        for name in _NAMES:
            (directory / name).touch()
            (self.root / "etc" / name).touch()
        self._files = directory
        shutil.copy2("/usr/bin/busybox", self.root / "bin/true")
        shutil.copy2("/usr/bin/busybox", self.root / "bin/sleep")
        with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdin
            assert holder.stdout
            holder.stdin.write(b"here\n")
            holder.stdin.flush()
            holder.stdout.readline()
            self._netns = os.open(f"/proc/{holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def birth(self, *args: str) -> Birth:
        """With everything that Docker gives a container by default."""
        container_id = new_id()
        return Birth(
            id=container_id,
            spec=self._spec(container_id, args),
            rootfs_fd=mount.open_tree(str(self.root)),
            log=LogPlan(driver="json-file", path=str(self.logs / f"{container_id}.log")),
            netns_fd=os.dup(self._netns),
        )

    def process(self, *args: str) -> Process:
        """Root with Docker's capabilities."""
        sets = capability_sets(DEFAULT, uid=0)
        env = ("PATH=/bin", "HOME=/root")
        return Process(cwd="/", args=args, env=env, user=User(additional_gids=(0,)), capabilities=sets, oom_score_adj=0)

    def _spec(self, container_id: str, args: tuple[str, ...]) -> Spec:
        return Spec(
            oci_version="1.2.1",
            root=Root(path="rootfs"),
            process=self.process(*args),
            hostname=container_id[:12],
            mounts=(*_MOUNTS, *(self._bind(name) for name in _NAMES)),
            linux=Linux(
                namespaces=tuple(Namespace(type=kind) for kind in ("mount", "uts", "ipc", "pid", "network")),
                cgroups_path=f"/wherry-bench/{container_id}",
                resources=Resources(devices=(NOTHING,)),
                seccomp=seccomp_filter("", DEFAULT),
                sysctl=NETWORK,
                masked_paths=masked_paths(),
                readonly_paths=READONLY,
            ),
        )

    def _bind(self, name: str) -> Mount:
        options = ("rbind", "rw", "rprivate")
        return Mount(destination=f"/etc/{name}", type="bind", source=str(self._files / name), options=options)


_MOUNTS = (
    Mount(destination="/proc", type="proc", source="proc", options=("nosuid", "noexec", "nodev")),
    Mount(
        destination="/dev", type="tmpfs", source="tmpfs", options=("nosuid", "strictatime", "mode=755", "size=65536k")
    ),
    Mount(
        destination="/dev/pts",
        type="devpts",
        source="devpts",
        options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    Mount(destination="/sys", type="sysfs", source="sysfs", options=("nosuid", "noexec", "nodev", "ro")),
    Mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup", options=("ro", "nosuid", "noexec", "nodev")),
    Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=("nosuid", "noexec", "nodev")),
    Mount(
        destination="/dev/shm",
        type="tmpfs",
        source="shm",
        options=("nosuid", "noexec", "nodev", "mode=1777", "size=67108864"),
    ),
)


async def bear(driver: NativeDriver, house: House) -> tuple[float, float]:
    """(until it runs, until its end is known) of `true`, in milliseconds."""
    birth = house.birth("/bin/true")
    begun = time.perf_counter()
    process = await driver.start(birth)
    running = time.perf_counter()
    status = await process.wait()
    ended = time.perf_counter()
    assert status.code == 0, status
    await driver.forget(birth.id)
    return (running - begun) * 1000, (ended - begun) * 1000


async def visit(container: NativeProcess, house: House) -> tuple[float, float]:
    """The same of `true` beside a process that runs."""
    birth = ExecBirth(id=new_id(), process=house.process("/bin/true"))
    begun = time.perf_counter()
    running = await container.exec(birth)
    started = time.perf_counter()
    status = await running.wait()
    ended = time.perf_counter()
    assert status.code == 0, status
    return (started - begun) * 1000, (ended - begun) * 1000


async def repeat(what: Callable[[], Awaitable[tuple[float, float]]], runs: int, pause: float) -> Times:
    """Measure so many times, with a pause before each."""
    times = []
    await what()
    for _ in range(runs):
        await asyncio.sleep(pause)
        times.append(await what())
    return times


async def measure(directory: Path, exec_root: str, runs: int) -> None:
    """Print the table."""
    house = House(directory)
    driver = NativeDriver(exec_root)
    await driver.open()
    sleeper = house.birth("/bin/sleep", "100000")
    container = await driver.start(sleeper)
    print(f"{'ms: median (90th percentile)':34}{'until it runs':>18}{'until it ended':>18}")
    for pause in PAUSES_SECONDS:
        after = f"pauses of {pause * 1000:.0f} ms"
        show(f"start of `true`, {after}", await repeat(lambda: bear(driver, house), runs, pause))
        show(f"exec of `true`, {after}", await repeat(lambda: visit(container, house), runs, pause))
    await container.signal(signal.SIGKILL)
    await container.wait()
    await driver.forget(sleeper.id)
    await driver.close()


def show(name: str, times: Times) -> None:
    """One row."""
    columns = ([pair[place] for pair in times] for place in (0, 1))
    print(f"{name:34}" + "".join(f"{statistics.median(each):10.2f} ({percentile(each):5.1f})" for each in columns))


def percentile(values: list[float]) -> float:
    """The ninetieth."""
    return sorted(values)[len(values) * 9 // 10]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args()
    os.umask(0o022)
    # Memory is where a daemon's exec-root is, too.
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory(dir="/run") as volatile:
        asyncio.run(measure(Path(made), volatile, options.runs))
