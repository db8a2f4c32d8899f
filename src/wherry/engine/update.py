"""`POST /containers/{id}/update`: other limits and another restart policy for a container, running or not."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec.structs import replace

from wherry.crashpoints import crash_point
from wherry.drivers.driver import Process, ProcessGone
from wherry.engine.abilities import abilities
from wherry.engine.containers import find
from wherry.engine.engine import Engine
from wherry.engine.plan.resources import device_number, resources
from wherry.engine.request.check import check_restart, restarts_never
from wherry.engine.request.resources import adapt
from wherry.engine.telling import tell
from wherry.engine.wording import told
from wherry.model.config import HostConfig, UpdateRequest
from wherry.model.container import Container
from wherry.model.errors import Conflict, EngineError, InvalidParameter
from wherry.model.state import Status
from wherry.oci.runtime import Cpu, Memory, Pids, Resources

_MEMORY = frozenset(
    ("memory", "memory_swap", "memory_reservation", "memory_swappiness", "oom_kill_disable", "kernel_memory_tcp")
)
_CPU = frozenset(
    ("cpu_shares", "cpu_period", "cpu_quota", "nano_cpus", "cpuset_cpus", "cpuset_mems", "cpu_realtime_period",
     "cpu_realtime_runtime")
)  # fmt: skip
_IO = frozenset(
    ("blkio_weight", "blkio_weight_device", "blkio_device_read_bps", "blkio_device_write_bps",
     "blkio_device_read_i_ops", "blkio_device_write_i_ops")
)  # fmt: skip
_PIDS = frozenset(("pids_limit",))
_CHANGED = _MEMORY | _CPU | _IO | _PIDS

# What a cgroup has that was never limited.
_NO_MEMORY_LIMIT: dict[str, Any] = {"limit": -1, "swap": -1, "reservation": -1}
_NO_CPU_LIMIT: dict[str, Any] = {"shares": 1024, "quota": -1, "period": 100_000}

T = TypeVar("T", Memory, Cpu)

# dockerd takes these, and does nothing (moby Container.UpdateContainer).
_FIXED = {
    "CgroupParent": "cgroup_parent",
    "Devices": "devices",
    "DeviceCgroupRules": "device_cgroup_rules",
    "DeviceRequests": "device_requests",
    "Ulimits": "ulimits",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What is wished for, as far as the kernel can do it, and which fields of it are said."""

    wish: HostConfig
    said: frozenset[str]


async def update(engine: Engine, name: str, request: UpdateRequest) -> tuple[str, ...]:
    """Change a container; durable on return. The kernel has the new limits before the record says so.

    Gives warnings. Raises InvalidParameter, NotFound, Conflict, EngineError with the kernel's reason.
    """
    change, warnings = _understand(request)
    container = find(engine, name)
    live = engine.live_of(container.id)
    async with live.lock:
        container = find(engine, container.id)
        with told(f"Cannot update container {container.id}"):
            _check(container, change.wish)
            await _carry_out(engine, container, live.process, change)
    crash_point("update.recorded")
    tell(engine, container, "update")
    return warnings


async def undo_update(engine: Engine, container: Container, process: Process) -> None:
    """An update that a crash cut short did not happen: the kernel gets back the limits that are recorded."""
    wish = container.updating_to
    if wish is None:
        return
    said = frozenset(name for name in _CHANGED if getattr(wish, name) != getattr(container.host_config, name))
    with suppress(ProcessGone):
        await process.update(await asyncio.to_thread(_resources, container.host_config, said, whole=True))
    await engine.change(container.id, lambda now: replace(now, updating_to=None))


async def _carry_out(engine: Engine, container: Container, process: Process | None, change: _Change) -> None:
    updated = _merged(container.host_config, change)
    if process is not None and container.state.is_alive and change.said:
        await engine.change(container.id, lambda now: replace(now, updating_to=updated))
        crash_point("update.begun")
        try:
            await _apply(process, container.host_config, updated, change.said)
        except BaseException:
            await engine.change(container.id, lambda now: replace(now, updating_to=None))
            raise
        crash_point("update.applied")
    await engine.change(container.id, lambda now: replace(now, host_config=updated, updating_to=None))


def _understand(request: UpdateRequest) -> tuple[_Change, tuple[str, ...]]:
    """Raises InvalidParameter for what never works."""
    for name, field in _FIXED.items():
        if getattr(request, field):
            raise InvalidParameter(f"{name} cannot be changed by an update: create the container anew")
    wish = HostConfig(**{name: getattr(request, name) for name in UpdateRequest.__struct_fields__})
    if wish.memory_swappiness == -1:  # how older clients say nothing
        wish = replace(wish, memory_swappiness=None)
    if wish.restart_policy.name:
        check_restart(wish)
    wish, warnings = adapt(wish, abilities(), updating=True)
    said = frozenset(name for name in _CHANGED if getattr(wish, name) not in (None, 0, "", ()) or _is_said(wish, name))
    return _Change(wish=wish, said=said), warnings


def _is_said(wish: HostConfig, name: str) -> bool:
    """Of these, zero is a value, and None is nothing."""
    return name in {"pids_limit", "memory_swappiness", "oom_kill_disable"} and getattr(wish, name) is not None


def _check(container: Container, wish: HostConfig) -> None:
    """Raise Conflict for what does not go with what the container has."""
    has = container.host_config
    if container.state.status in {Status.REMOVING, Status.DEAD}:
        raise Conflict('container is marked for removal and cannot be "update"')
    conflicts = (
        (wish.nano_cpus and has.cpu_period, "Nano CPUs cannot be updated as CPU Period has already been set"),
        (wish.nano_cpus and has.cpu_quota, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        (wish.cpu_period and has.nano_cpus, "CPU Period cannot be updated as NanoCPUs has already been set"),
        (wish.cpu_quota and has.nano_cpus, "CPU Quota cannot be updated as NanoCPUs has already been set"),
    )
    for clash, words in conflicts:
        if clash:
            raise Conflict(f"Conflicting options: {words}")
    if wish.memory and wish.memory > has.memory_swap and not wish.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    if has.auto_remove and wish.restart_policy.name and not restarts_never(wish.restart_policy):
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")


def _merged(has: HostConfig, change: _Change) -> HostConfig:
    """The container's host configuration with what is said of the wish."""
    merged = replace(has, **{name: getattr(change.wish, name) for name in change.said})
    policy = change.wish.restart_policy
    return replace(merged, restart_policy=policy) if policy.name else merged


async def _apply(process: Process, before: HostConfig, updated: HostConfig, said: frozenset[str]) -> None:
    """Have the kernel keep the new limits, or the old ones when it refuses some. One that has ended needs none."""
    try:
        await process.update(await asyncio.to_thread(_resources, updated, said))
    except ProcessGone:
        return
    except EngineError:
        with suppress(EngineError):
            await process.update(await asyncio.to_thread(_resources, before, said, whole=True))
        raise


def _resources(config: HostConfig, said: frozenset[str], *, whole: bool = False) -> Resources:
    """The limits of those kinds of which something is said, whole: memory and swap depend on each other.

    With `whole` what has no limit is said to have none. Blocks. Raises InvalidParameter.
    """
    found = resources(config, (), device_number)
    memory, cpu = found.memory or Memory(), found.cpu or Cpu()
    if "oom_kill_disable" in said:
        memory = replace(memory, disable_oom_killer=bool(config.oom_kill_disable))
    if whole:
        memory, cpu = _with_defaults(memory, _NO_MEMORY_LIMIT), _with_defaults(cpu, _NO_CPU_LIMIT)
    return Resources(
        memory=memory if said & _MEMORY else None,
        cpu=cpu if said & _CPU else None,
        pids=Pids(limit=config.pids_limit or -1) if said & _PIDS else None,
        block_io=found.block_io if said & _IO else None,
    )


def _with_defaults(said: T, defaults: dict[str, Any]) -> T:
    return replace(said, **{name: value for name, value in defaults.items() if getattr(said, name) in (None, "")})
