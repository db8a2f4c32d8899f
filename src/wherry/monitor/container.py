"""The container as its monitor holds it, and how one is found again after another monitor's death."""

import contextlib
import os

from msgspec import Struct

from wherry.libcontainer import cgroups
from wherry.linux import process
from wherry.monitor import identity, rundir
from wherry.monitor.messages import Alive, Charge
from wherry.monitor.streams import Ends


class Container(Struct):
    """A living (or just dead) container. `pidfd` is -1 when it was dead before it could be had."""

    pid: int
    pidfd: int
    ends: Ends
    cgroups_path: str
    started_ns: int
    start_ticks: int
    _cgroup: cgroups.Cgroup | None = None

    @property
    def cgroup(self) -> cgroups.Cgroup | None:
        """Its cgroup, looked for when it is asked for; None where there is none, or when it was removed."""
        if self._cgroup is None and self.cgroups_path:
            with contextlib.suppress(FileNotFoundError):
                self._cgroup = cgroups.open_existing(self.cgroups_path)
        return self._cgroup


def find(directory: int, charge: Charge, pid: int, spares: dict[str, int]) -> Container:
    """Take up a container without a monitor by its pidfd and what the keeper had of its streams. Raises OSError."""
    alive = rundir.load_alive(directory)
    if alive is None or alive.pid != pid:
        raise FileNotFoundError(f"no container with pid {pid} is known in its runtime directory")
    pidfd = spares.get("pidfd")
    spares = {name: fd for name, fd in spares.items() if name not in {"pidfd", "status"}}
    if pidfd is None:
        pidfd = identity.open_process(alive.pid, alive.start_ticks, alive.boot_id)
    if pidfd is not None and not spares:
        spares = _reopen(pid)
    pidfd = -1 if pidfd is None else pidfd
    return Container(alive.pid, pidfd, Ends(**spares), charge.cgroups_path, alive.started_ns, alive.start_ticks)


def remember(directory: int, container: Container) -> None:
    """Write down who runs. Raises OSError."""
    record = Alive(
        pid=container.pid,
        start_ticks=container.start_ticks,
        boot_id=identity.boot_id(),
        started_ns=container.started_ns,
        monitor_pid=os.getpid(),
    )
    rundir.save(directory, rundir.ALIVE, record)


def exit_code(wait_status: int) -> int:
    """0-255, or 128 plus the signal's number."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def known_exit_code(pid: int, start_ticks: int, pidfd: int) -> int | None:
    """How a dead process that is no child of ours ended, when the kernel tells. `pidfd` is -1 where there is none."""
    # A zombie's status is in /proc; when it was reaped meanwhile, newer kernels keep it with the pidfd.
    status = identity.zombie_status(pid, start_ticks)
    if status is None and pidfd >= 0:
        status = process.exit_of(pidfd)
    return None if status is None else exit_code(status)


def remove_cgroup(cgroup: cgroups.Cgroup | None) -> None:
    """Kill what is left in a cgroup and remove it; one that is gone is fine."""
    if cgroup is None:
        return
    try:
        if cgroup.pids():
            cgroup.kill()
        cgroup.remove()
    except FileNotFoundError:
        pass
    finally:
        cgroup.close()


def _reopen(pid: int) -> dict[str, int]:
    """The streams through /proc, where nobody has spares: pipes can be had again, a terminal cannot."""
    spares = {}
    for number, name, flags in ((0, "stdin", os.O_WRONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_RDONLY)):
        path = f"/proc/{pid}/fd/{number}"
        try:
            if os.readlink(path).startswith("pipe:"):
                spares[name] = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue  # closed by the process itself
    return spares
