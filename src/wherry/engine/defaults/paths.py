"""Paths of /proc and /sys that a container must not see or must not write (moby `oci/defaults.go`)."""

import functools
import glob

MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)

READONLY = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

_THERMAL = "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle"


@functools.cache
def masked_paths() -> tuple[str, ...]:
    """MASKED, and on hosts that have them the counters which tell what neighbours compute (GHSA-6fw5-f8r9-fgfm)."""
    return (*MASKED, *sorted(glob.glob(_THERMAL)))
