"""Limits that a user asks for: what never works is refused, what this kernel cannot do is discarded with a warning.

Rules, words and their order as moby's `verifyPlatformContainerResources` and `validateResources` have them.
"""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from wherry.engine.abilities import NUMBER_MAX, Abilities, parse_numbers
from wherry.model.config import HostConfig
from wherry.model.errors import InvalidParameter

BYTES_MIN = 6 * 1024 * 1024
CPU_PERIOD_MICROSECONDS = range(1000, 1_000_001)
CPU_QUOTA_MICROSECONDS_MIN = 1000
NANO = 1_000_000_000
WEIGHTS = range(10, 1001)
SWAPPINESS = range(101)

_UNMOUNTED = "or the cgroup is not mounted"

# (what is said, the discarding warning); what a field has when nothing is said is its default.
_Discards = Iterator[tuple[dict[str, Any], str]]


def adapt(host_config: HostConfig, able: Abilities, *, updating: bool = False) -> tuple[HostConfig, tuple[str, ...]]:
    """The limits that can be had, and warnings of what was discarded.

    `updating` is of a container that is there: its other limits stay. Raises InvalidParameter.
    """
    warnings: list[str] = []
    for changes, words in _discards(host_config, able):
        host_config = replace(host_config, **changes)
        if words:
            warnings.append(words)
    _check_memory(host_config, updating=updating)
    if host_config.oom_kill_disable and not host_config.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    _check_cpu(host_config, able)
    _check_io(host_config, updating=updating)
    return host_config, tuple(warnings)


def _discards(said: HostConfig, able: Abilities) -> _Discards:
    if said.memory > 0 and not able.memory:
        words = f"Your kernel does not support memory limit capabilities {_UNMOUNTED}. Limitation discarded."
        yield {"memory": 0, "memory_swap": -1}, words
    elif said.memory > 0 and said.memory_swap != -1 and not able.swap:
        words = f"Your kernel does not support swap limit capabilities {_UNMOUNTED}. Memory limited without swap."
        yield {"memory_swap": -1}, words
    if said.memory_swappiness not in {None, -1} and not able.swappiness:
        words = f"Your kernel does not support memory swappiness capabilities {_UNMOUNTED}. "
        yield {"memory_swappiness": None}, f"{words}Memory swappiness discarded."
    if said.memory_reservation > 0 and not able.reservation:
        words = f"Your kernel does not support memory soft limit capabilities {_UNMOUNTED}. Limitation discarded."
        yield {"memory_reservation": 0}, words
    yield from _discards_of_the_past(said, able)
    if said.oom_kill_disable is not None and not able.oom_kill_disable:
        # Who did not want it loses nothing.
        words = "Your kernel does not support OomKillDisable. OomKillDisable discarded."
        yield {"oom_kill_disable": None}, words if said.oom_kill_disable else ""
    if said.pids_limit is not None and not able.pids:
        words = f"Your kernel does not support PIDs limit capabilities {_UNMOUNTED}. PIDs limit discarded."
        yield {"pids_limit": None}, words if said.pids_limit > 0 else ""
    yield from _discards_of_processors(said, able)
    yield from _discards_of_io(said, able)


def _discards_of_the_past(said: HostConfig, able: Abilities) -> _Discards:
    """Kernel memory has no limit of its own since Linux 5.16; dockerd still takes it, and does nothing."""
    if 0 < said.kernel_memory < BYTES_MIN:
        raise InvalidParameter("Minimum kernel memory limit allowed is 6MB")
    if said.kernel_memory:
        words = f"Your kernel does not support kernel memory limit capabilities {_UNMOUNTED}. Limitation discarded."
        yield {"kernel_memory": 0}, words
    if said.kernel_memory_tcp and not able.kernel_memory_tcp:
        words = f"Your kernel does not support kernel memory TCP limit capabilities {_UNMOUNTED}. "
        yield {"kernel_memory_tcp": 0}, f"{words}Limitation discarded."


def _discards_of_processors(said: HostConfig, able: Abilities) -> _Discards:
    if said.cpu_shares > 0 and not able.shares:
        yield {"cpu_shares": 0}, f"Your kernel does not support CPU shares {_UNMOUNTED}. Shares discarded."
    if (said.cpu_period or said.cpu_quota) and not able.quota:
        words = "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."
        yield {"cpu_period": 0, "cpu_quota": 0}, words
    if said.cpu_percent:
        yield {"cpu_percent": 0}, "linux does not support CPU percent. Percent discarded."
    if said.cpu_count:
        # dockerd says nothing, and does nothing either: it is for Windows.
        yield {"cpu_count": 0}, "linux does not support CPU count. Count discarded."
    if (said.cpuset_cpus or said.cpuset_mems) and not able.cpusets:
        words = f"Your kernel does not support cpuset {_UNMOUNTED}. Cpuset discarded."
        yield {"cpuset_cpus": "", "cpuset_mems": ""}, words


def _discards_of_io(said: HostConfig, able: Abilities) -> _Discards:
    if said.blkio_weight and not able.io_weight:
        yield {"blkio_weight": 0}, f"Your kernel does not support Block I/O weight {_UNMOUNTED}. Weight discarded."
    if said.blkio_weight_device and not able.io_weight_device:
        words = f"Your kernel does not support Block I/O weight_device {_UNMOUNTED}. Weight-device discarded."
        yield {"blkio_weight_device": ()}, words
    limits = (
        ("blkio_device_read_bps", "BPS Block I/O read limit", "Block I/O BPS read limit"),
        ("blkio_device_write_bps", "BPS Block I/O write limit", "Block I/O BPS write limit"),
        ("blkio_device_read_i_ops", "IOPS Block read limit", "Block I/O IOPS read limit"),
        ("blkio_device_write_i_ops", "IOPS Block write limit", "Block I/O IOPS write limit"),
    )
    for field, what, discarded in limits:
        if getattr(said, field) and not able.io_throttles:
            yield {field: ()}, f"Your kernel does not support {what} {_UNMOUNTED}. {discarded} discarded."


def _check_memory(said: HostConfig, *, updating: bool) -> None:
    memory, swap = said.memory, said.memory_swap
    if memory and memory < BYTES_MIN:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not memory and swap > 0 and not updating:
        raise InvalidParameter("You should always set the Memory limit when using Memoryswap limit, see usage")
    swappiness = said.memory_swappiness
    if swappiness is not None and swappiness != -1 and swappiness not in SWAPPINESS:
        raise InvalidParameter(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    reservation = said.memory_reservation
    if reservation and reservation < BYTES_MIN:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if memory and reservation and memory < reservation:
        raise InvalidParameter("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpu(said: HostConfig, able: Abilities) -> None:
    if said.nano_cpus:
        _check_nano_cpus(said, able)
    if said.cpu_shares < 0:
        raise InvalidParameter(f"invalid CPU shares ({said.cpu_shares}): value must be a positive integer")
    if said.cpu_period and said.cpu_period not in CPU_PERIOD_MICROSECONDS:
        raise InvalidParameter("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < said.cpu_quota < CPU_QUOTA_MICROSECONDS_MIN:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if (said.cpu_realtime_period or said.cpu_realtime_runtime) and not able.realtime:
        raise InvalidParameter("kernel does not support CPU real-time scheduler")
    if 0 < said.cpu_realtime_period < said.cpu_realtime_runtime:
        raise InvalidParameter("cpu real-time runtime cannot be higher than cpu real-time period")
    _check_set("cpus", "CPUs", said.cpuset_cpus, able.cpus)
    _check_set("mems", "memory nodes", said.cpuset_mems, able.memory_nodes)


def _check_nano_cpus(said: HostConfig, able: Abilities) -> None:
    if said.cpu_period:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if said.cpu_quota:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if not able.quota:
        raise InvalidParameter(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    cpus = len(able.cpus)
    if not 0 < said.nano_cpus <= cpus * NANO:
        raise InvalidParameter(f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")


def _check_set(what: str, words: str, text: str, available: frozenset[int]) -> None:
    if not text:
        return
    try:
        wanted = parse_numbers(text)
    except ValueError:
        raise InvalidParameter(f"Invalid value {text} for cpuset {what}: invalid format: {text}") from None
    except OverflowError:
        raise InvalidParameter(
            f"Invalid value {text} for cpuset {what}: value of out range, maximum is {NUMBER_MAX}"
        ) from None
    if not wanted <= available:
        have = _ranges(available)
        raise InvalidParameter(f"Requested {words} are not available - requested {text}, available: {have}")


def _ranges(numbers: frozenset[int]) -> str:
    """`{0, 1, 2, 4}` as `0-2,4`."""
    starts = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number for number in numbers if number + 1 not in numbers)
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in zip(starts, ends, strict=True))


def _check_io(said: HostConfig, *, updating: bool) -> None:
    if said.blkio_weight and said.blkio_weight not in WEIGHTS:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    if updating and (said.io_maximum_i_ops or said.io_maximum_bandwidth):
        words = "linux does not support Maximum IO Bandwidth or Maximum IO IOps"
        raise InvalidParameter(f"Invalid QoS settings: {words}")
    for limit, name in ((said.io_maximum_i_ops, "IOPs"), (said.io_maximum_bandwidth, "bandwidth")):
        if limit:
            raise InvalidParameter(f"invalid option: QoS maximum {name} configuration is not supported on linux")
