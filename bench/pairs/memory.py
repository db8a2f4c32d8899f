"""Memory: what a running container costs beside its own processes, and what the idle engine costs."""

import time
from collections.abc import Iterator
from pathlib import Path

from bench import inputs
from bench.engines import Engine
from bench.pair import AtMost, Pair, Watch

BURST_MEGABYTES = 20
QUIET_SECONDS = 3  # both engines may give memory back when all is quiet


def private_of_idle(engine: Engine, watch: Watch) -> None:
    """The process that holds a container that has done nothing."""
    name = engine.said("run", "-d", "busybox", "/bin/sleep", "100000")
    watch.note(_private(_parent(_pid(engine, name))))
    engine.docker("rm", "-f", name)


def private_after_burst(engine: Engine, watch: Watch) -> None:
    """The same when it has taken 20 MB of output, and all is quiet again."""
    path = inputs.lines(engine.inputs, shortest=20, longest=60, megabytes=BURST_MEGABYTES)
    script = "cat /lines; echo all of it is said; exec sleep 100000"
    name = engine.said("run", "-d", "-v", f"{path}:/lines:ro", "busybox", "/bin/sh", "-c", script)
    while engine.said("logs", "--tail", "1", name) != "all of it is said":
        pass
    time.sleep(QUIET_SECONDS)
    watch.note(_private(_parent(_pid(engine, name))))
    engine.docker("rm", "-f", name)


def proportional_of_daemon(engine: Engine, watch: Watch) -> None:
    """All processes of the engine without a container, some while after it has had something to do."""
    engine.docker("run", "--rm", "busybox", "/bin/true")
    time.sleep(QUIET_SECONDS)
    watch.note(sum(_field(pid, "Pss") for pid in {*_family(engine.pid), *_outliving(engine)}))


def proportional_of(pid: int) -> float:
    """A process's share of its memory, in MiB."""
    return _field(pid, "Pss")


def _pid(engine: Engine, name: str) -> int:
    return int(engine.said("inspect", "--format", "{{.State.Pid}}", name))


def _private(pid: int) -> float:
    return _field(pid, "Private_Clean") + _field(pid, "Private_Dirty")


def _field(pid: int, name: str) -> float:
    """A field of proc_pid_smaps(5) in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no {name} of {pid}")


def _family(pid: int) -> Iterator[int]:
    yield pid
    for stat in Path("/proc").glob("[0-9]*/stat"):
        if _parent(int(stat.parent.name)) == pid:
            yield from _family(int(stat.parent.name))


def _outliving(engine: Engine) -> Iterator[int]:
    """Processes of the engine's that are no children of its daemon."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        if comm.read_text().startswith(f"{engine.name}-"):
            yield int(comm.parent.name)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


PAIRS = (
    Pair(
        name="memory-idle",
        title="private memory beside an idle container",
        measure=private_of_idle,
        goal=AtMost(2, "MiB"),
        unit="MiB",
        runs=5,
        pauses=False,
    ),
    Pair(
        name="memory-burst",
        title="the same after a burst of 20 MB of output",
        measure=private_after_burst,
        goal=AtMost(2, "MiB"),
        unit="MiB",
        runs=3,
        pauses=False,
    ),
    Pair(
        name="memory-daemon",
        title="proportional memory of the idle engine, all processes",
        measure=proportional_of_daemon,
        goal=AtMost(60, "MiB"),
        unit="MiB",
        runs=3,
        pauses=False,
    ),
)
