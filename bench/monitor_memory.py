"""`python -m bench.monitor_memory`: what each idle container costs in memory, its monitor and the nursery's share."""

import asyncio
import os
import signal
import tempfile
from pathlib import Path

from wherry.drivers.driver import Birth, LogPlan
from wherry.drivers.native import NativeDriver
from wherry.linux import mount
from wherry.model.ids import new_id
from wherry.oci.runtime import Linux, Mount, Namespace, Process, Root, Spec

CONTAINERS = 10
BURST_LINES = 500_000
BUSYBOX = "/usr/bin/busybox"


def smaps(pid: int) -> tuple[int, int]:
    """(proportional, private) KiB."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        fields[name] = int(value)
    return fields["Pss:"], fields["Private_Clean:"] + fields["Private_Dirty:"]


def birth(root: Path, logs: Path, script: str) -> Birth:
    container_id = new_id()
    spec = Spec(
        oci_version="1.2.1",
        root=Root(path="rootfs"),
        process=Process(cwd="/", args=("/busybox", "sh", "-c", script), env=("PATH=/",)),
        mounts=(Mount(destination="/proc", type="proc", source="proc"),),
        linux=Linux(
            namespaces=tuple(Namespace(type=kind) for kind in ("pid", "network", "mount", "ipc", "uts")),
            cgroups_path=f"/wherry-bench/{container_id}",
        ),
    )
    log = LogPlan(driver="json-file", path=str(logs / f"{container_id}.log"), bytes_max=1_000_000)
    return Birth(id=container_id, spec=spec, rootfs_fd=mount.open_tree(str(root)), log=log)


async def measure(directory: Path) -> None:
    root, logs = directory / "rootfs", directory / "logs"
    for path in (root / "proc", logs):
        path.mkdir(parents=True)
    (root / "busybox").write_bytes(Path(BUSYBOX).read_bytes())
    (root / "busybox").chmod(0o755)
    driver = NativeDriver(str(directory / "exec"))
    await driver.open()
    idle = [await driver.start(birth(root, logs, "exec /busybox sleep 100000")) for _ in range(CONTAINERS)]
    # `read` on a closed input ends at once; the burst is over when the sleep runs.
    burst_script = f"/busybox seq 1 {BURST_LINES}; : > /done; exec /busybox sleep 100000"
    burst = await driver.start(birth(root, logs, burst_script))
    while not (root / "done").exists():  # noqa: ASYNC110 - a file says it
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)  # monitors give memory back after a second of quiet
    print(f"{'':24}{'proportional':>14}{'private':>10} KiB")
    show("nursery", driver._monitors.nursery.pid)  # noqa: SLF001
    for process in idle[:3]:
        show("monitor, idle", parent(process.pid))
    show(f"monitor, {BURST_LINES} lines", parent(burst.pid))
    for process in [*idle, burst]:
        await process.signal(signal.SIGKILL)
        await process.wait()
        await driver.forget(process.id)
    await driver.close()


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def show(name: str, pid: int) -> None:
    proportional, private = smaps(pid)
    print(f"{name:24}{proportional:14}{private:10}")


if __name__ == "__main__":
    os.umask(0o022)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        asyncio.run(measure(Path(directory)))
