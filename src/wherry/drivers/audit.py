"""Finding what monitors and the kernel keep of containers that this driver does not run, and ending it."""

import os
import re
import signal
import stat
import time
from collections.abc import Collection, Iterator

from wherry.libcontainer import cgroups
from wherry.model.errors import NotFound
from wherry.model.finding import Finding
from wherry.monitor import rundir

RUN_DIRECTORY = "runtime directory"
STRAY = "container process"
MONITOR = "monitor process"
CGROUP = "control group"

# Another engine may have made one and be about to put its container there.
CGROUP_SECONDS_MIN = 5.0
_ID = re.compile(r"[0-9a-f]{64}")
_MONITOR = "wherry-mon"


def audit(root: str, known: Collection[str], parents: Collection[str]) -> list[Finding]:
    """What is under `root`, or in the cgroups `parents`, of containers whose ids are not `known`. Changes nothing."""
    there = set(os.listdir(root))
    found = [_directory(root, name) for name in sorted(there - set(known))]
    for pid, name in _monitors(root):
        if name not in there and name not in known:
            problem = f"it watches container {name}, which no record knows"
            found.append(Finding(kind=MONITOR, name=str(pid), problem=problem, remedy="kill it with its container"))
    problem = "it is empty, and no record knows its container"
    found += [
        Finding(kind=CGROUP, name=path, problem=problem, remedy="remove it")
        for path in _empty_cgroups(parents, {*known, *there})
    ]
    return found


def remove_cgroup(path: str) -> None:
    """Remove an empty cgroup from every tree. Raises NotFound when something runs in it by now."""
    found = cgroups.directories(path)
    if any(map(cgroups.is_populated, found)):
        raise NotFound(f"control group {path} is in use by now")
    for directory in found:
        cgroups.remove_directory(directory)


def kill_monitor(pid: int, root: str) -> str:
    """Kill a monitor whose runtime directory is gone, and the container under it, whose id is returned.

    Raises NotFound, CgroupError.
    """
    container_id = dict(_monitors(root)).get(pid)
    if container_id is None:
        raise NotFound(f"process {pid} is no monitor of ours any more")
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = [int(word) for word in file.read().split()]
    paths = {path for child in children for path in _cgroups_of(child) if path.endswith(f"/{container_id}")}
    # The monitor first: it would start to tidy up, in a directory that is gone.
    for each in (pid, *children):
        os.kill(each, signal.SIGKILL)
    for path in paths:
        found = cgroups.open_existing(path)
        try:
            found.kill()
            found.remove()
        finally:
            found.close()
    return container_id


def _cgroups_of(pid: int) -> set[str]:
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return {line.rstrip("\n").split(":", 2)[2] for line in file}


def _directory(root: str, name: str) -> Finding:
    path = os.path.join(root, name)
    if stat.S_ISDIR(os.lstat(path).st_mode) and _is_watched(path):
        problem = f"it runs under a monitor in {path}, and no record knows it"
        return Finding(kind=STRAY, name=name, problem=problem, remedy="kill it")
    return Finding(kind=RUN_DIRECTORY, name=path, problem="no container that runs has it", remedy="remove it")


def _is_watched(path: str) -> bool:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rundir.connect(directory).close()
    except (ConnectionError, FileNotFoundError):
        return False
    else:
        return True
    finally:
        os.close(directory)


def _monitors(root: str) -> Iterator[tuple[int, str]]:
    """Every monitor that has a runtime directory under `root` open, also one that was removed; and its container."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                is_monitor = file.read().startswith(_MONITOR)
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")] if is_monitor else []
        except OSError:
            continue  # it ended meanwhile
        names = {link.removeprefix(f"{root}/").removesuffix(" (deleted)") for link in links if link.startswith(root)}
        yield from ((pid, name) for name in names if _ID.fullmatch(name))


def _empty_cgroups(parents: Collection[str], known: Collection[str]) -> list[str]:
    """Containers' cgroups that nothing is in, in no tree: `docker/<id>`. Those of other engines' containers are not."""
    before = time.time() - CGROUP_SECONDS_MIN
    found: dict[str, list[str]] = {}
    for parent in parents:
        for directory in cgroups.directories(parent):
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False) and _ID.fullmatch(entry.name) and entry.name not in known:
                        found.setdefault(f"{parent}/{entry.name}", []).append(entry.path)
    return sorted(
        path
        for path, directories in found.items()
        if not any(map(cgroups.is_populated, directories))
        and all(os.stat(each).st_mtime < before for each in directories)
    )
