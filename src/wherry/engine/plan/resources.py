"""Limits: from HostConfig to the spec's `linux.resources`."""

import os
from collections.abc import Callable, Iterable

from wherry.model.config import HostConfig, ThrottleDevice, WeightDevice
from wherry.model.errors import EngineError
from wherry.oci import runtime as oci

CPU_PERIOD_MICROSECONDS = 100_000
NANO = 1_000_000_000

# Gives (major, minor) of a block device by its path; raises OSError.
FindDevice = Callable[[str], tuple[int, int]]


def resources(
    host_config: HostConfig, device_rules: tuple[oci.DeviceRule, ...], find_device: FindDevice
) -> oci.Resources:
    """All limits; those not asked for are absent, so that the kernel's defaults stay. Raises EngineError."""
    return oci.Resources(
        devices=device_rules,
        memory=_memory(host_config),
        cpu=_cpu(host_config),
        pids=_pids(host_config),
        block_io=_block_io(host_config, find_device),
    )


def device_number(path: str) -> tuple[int, int]:
    """Major and minor of a device node on the host. Raises OSError."""
    status = os.stat(path)
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _memory(host_config: HostConfig) -> oci.Memory | None:
    memory = oci.Memory(
        limit=host_config.memory or None,
        reservation=host_config.memory_reservation or None,
        swap=host_config.memory_swap or None,
        swappiness=host_config.memory_swappiness,
        disable_oom_killer=host_config.oom_kill_disable or None,
        kernel_tcp=host_config.kernel_memory_tcp or None,
    )
    return None if memory == oci.Memory() else memory


def _cpu(host_config: HostConfig) -> oci.Cpu | None:
    quota, period = host_config.cpu_quota, host_config.cpu_period
    if host_config.nano_cpus:
        period = CPU_PERIOD_MICROSECONDS
        quota = host_config.nano_cpus * period // NANO
    cpu = oci.Cpu(
        shares=host_config.cpu_shares or None,
        quota=quota or None,
        period=period or None,
        realtime_runtime=host_config.cpu_realtime_runtime or None,
        realtime_period=host_config.cpu_realtime_period or None,
        cpus=host_config.cpuset_cpus,
        mems=host_config.cpuset_mems,
    )
    return None if cpu == oci.Cpu() else cpu


def _pids(host_config: HostConfig) -> oci.Pids | None:
    limit = host_config.pids_limit
    return oci.Pids(limit=limit if limit > 0 else -1) if limit else None


def _block_io(host_config: HostConfig, find: FindDevice) -> oci.BlockIo | None:
    block_io = oci.BlockIo(
        weight=host_config.blkio_weight or None,
        weight_device=tuple(_weights(host_config.blkio_weight_device or (), find)),
        throttle_read_bps_device=tuple(_throttles(host_config.blkio_device_read_bps or (), find)),
        throttle_write_bps_device=tuple(_throttles(host_config.blkio_device_write_bps or (), find)),
        throttle_read_iops_device=tuple(_throttles(host_config.blkio_device_read_i_ops or (), find)),
        throttle_write_iops_device=tuple(_throttles(host_config.blkio_device_write_i_ops or (), find)),
    )
    return None if block_io == oci.BlockIo() else block_io


def _weights(devices: Iterable[WeightDevice], find: FindDevice) -> Iterable[oci.WeightDevice]:
    for device in devices:
        major, minor = _number(device.path, find)
        yield oci.WeightDevice(major=major, minor=minor, weight=device.weight)


def _throttles(devices: Iterable[ThrottleDevice], find: FindDevice) -> Iterable[oci.ThrottleDevice]:
    for device in devices:
        major, minor = _number(device.path, find)
        yield oci.ThrottleDevice(major=major, minor=minor, rate=device.rate)


def _number(path: str, find: FindDevice) -> tuple[int, int]:
    try:
        return find(path)
    except OSError as error:
        raise EngineError(f"stat {path}: {(error.strerror or '').lower()}") from None
