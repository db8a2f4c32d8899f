"""Limits of this process, which the daemon inherits, and programs that some options want."""

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from wherry.bootstrap.doctor.check import Check, ok, warning
from wherry.engine.surroundings import INIT_PROGRAMS

FILES_MIN = 8192
PIDS_MIN = 4096


def checks() -> Iterator[Check]:
    """All of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = f"{_number(soft)}, up to {_number(hard)}"
    if 0 <= hard < FILES_MIN:
        meaning = "some ten are open for each container that runs, so that there can be few"
        yield warning("open files", shown, meaning, "ulimit -n 1048576, or LimitNOFILE=infinity in the unit")
    else:
        yield ok("open files", shown)
    pids = int(Path("/proc/sys/kernel/pid_max").read_text())
    if pids < PIDS_MIN:
        yield warning("processes", f"{pids} at most", "containers share them", "sysctl kernel.pid_max=4194304")
    else:
        yield ok("processes", f"{pids} at most")
    yield _program(INIT_PROGRAMS, "--init needs one", "install tini, or name a program by --init-path")
    beside = "beside dockerd, its firewall cannot be asked to let containers pass"
    yield _program(("iptables",), beside, "install iptables")


def _number(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def _program(names: tuple[str, ...], meaning: str, advice: str) -> Check:
    """One of these is as good as another."""
    found = [path for each in names if (path := shutil.which(each))]
    name = f"program {names[0]}"
    return ok(name, found[0]) if found else warning(name, "not installed", meaning, advice)
