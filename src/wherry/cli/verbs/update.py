"""`update`: other limits and another restart policy for containers that are there."""

from __future__ import annotations

from wherry.cli.each import each
from wherry.cli.errors import CommandError
from wherry.cli.flags import LIST, STRING, Flag, Verb
from wherry.cli.options import ports
from wherry.cli.options.declared import SHARED
from wherry.cli.options.environment import environment
from wherry.cli.options.spec import restart_policy
from wherry.cli.output import complain, line
from wherry.client import containers
from wherry.jsontext import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given
    from wherry.cli.session import Session

# Flag -> the API's field; each changes just that.
FIELDS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "kernel-memory": "KernelMemory",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
}

NO_POLICY = {"Name": "", "MaximumRetryCount": 0}

# Those of `run` that go beyond docker's update.
OWN = ("env", "mount", "publish")


def _update(session: Session, given: Given, names: list[str]) -> int:
    if not given.changed:
        raise CommandError("you must provide one or more flags when using this command")
    body: dict[str, Any] = {field: given[flag] for flag, field in FIELDS.items() if flag in given.changed}
    # As docker, which always sends one: an empty one changes nothing.
    body["RestartPolicy"] = restart_policy(given["restart"]) if "restart" in given.changed else NO_POLICY
    own = _own(given)
    if own:
        body["Wherry"] = own
    warnings: list[str] = []

    def done(name: str, answer: bytes) -> None:
        line(name)
        warnings.extend(decode(answer).get("Warnings") or ())

    status = each(session, names, lambda name: containers.update(name, body), done=done)
    if warnings:
        complain("\n".join(warnings))
    return status


def _own(given: Given) -> dict[str, Any]:
    """What docker's update does not have: ports at once, variables and mounts at the next start."""
    said: dict[str, Any] = {
        "Publish": ports.published(given["publish"])[1],
        "Unpublish": ports.published(given["publish-rm"])[1],
        "Env": environment([], given["env"]),
        "EnvRemove": given["env-rm"],
        "Mounts": given["mount"],
        "MountsRemove": given["mount-rm"],
    }
    return {name: value for name, value in said.items() if value}


UPDATE = Verb(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    _update,
    *(flag for flag in SHARED if flag.name in FIELDS),
    Flag("restart", "", STRING, "When to restart: no, always, unless-stopped, on-failure[:count]"),
    *(flag for flag in SHARED if flag.name in OWN),
    Flag("env-rm", "", LIST, "Take an environment variable away"),
    Flag("mount-rm", "", LIST, "Take away what is mounted at a path of the container"),
    Flag("publish-rm", "", LIST, "Publish a port no more ([[address:][hostPort]:]containerPort[/protocol])"),
    arguments=(1, None),
)
