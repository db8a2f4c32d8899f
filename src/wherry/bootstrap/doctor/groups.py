"""Control groups: which version, which controllers, and whether one can be made."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from wherry.bootstrap.doctor.check import Check, missing, ok, warning
from wherry.linux.cgroup import Hierarchy, hierarchies

LIMITS = {
    "memory": "--memory",
    "cpu": "--cpus and --cpu-shares",
    "cpuset": "--cpuset-cpus",
    "pids": "--pids-limit",
    "devices": "which devices a container may use",
}
_V1_ONLY = ("devices",)


def checks() -> Iterator[Check]:
    """All of them."""
    trees = hierarchies()
    if not trees:
        meaning = "containers can neither be limited nor be ended whole"
        advice = "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
        yield missing("control groups", "no tree is mounted", meaning, advice)
        return
    version = 1 if any(tree.version == 1 and not _is_named(tree) for tree in trees) else 2
    yield _making(trees, version)
    there = _controllers(trees, version)
    for controller, limit in LIMITS.items():
        if controller not in there and not (version == 2 and controller in _V1_ONLY):
            meaning = f"{limit}: cannot be limited"
            yield warning("control groups", f"no controller {controller}", meaning, "enable it in the kernel's options")


def _is_named(tree: Hierarchy) -> bool:
    return all("=" in controller for controller in tree.controllers)


def _making(trees: tuple[Hierarchy, ...], version: int) -> Check:
    there = sorted(_controllers(trees, version))
    for tree in trees:
        if tree.version == version:
            failure = _why_not_in(Path(tree.directory))
            if failure:
                meaning, advice = "no container can be put into one of its own", "mount the trees writable"
                return missing("control groups", failure, meaning, advice)
    return ok("control groups", f"version {version}: {', '.join(there)}")


def _controllers(trees: tuple[Hierarchy, ...], version: int) -> set[str]:
    if version == 1:
        return {name for tree in trees if tree.version == 1 for name in tree.controllers if "=" not in name}
    unified = next(tree for tree in trees if tree.version == 2)
    return set(Path(unified.directory, "cgroup.controllers").read_text().split())


def _why_not_in(directory: Path) -> str:
    place = directory / f"wherry-doctor-{secrets.token_hex(4)}"
    try:
        place.mkdir()
    except OSError as error:
        return f"mkdir {place}: {os.strerror(error.errno or 0)}"
    place.rmdir()
    return ""
