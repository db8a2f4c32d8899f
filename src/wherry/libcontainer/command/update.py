"""`update`: a living container's limits change."""

import sys
from typing import Any

import msgspec

from wherry.libcontainer import cgroups
from wherry.libcontainer.command import store
from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.command.flags import Arguments, Flag
from wherry.libcontainer.command.settings import Settings
from wherry.libcontainer.errors import reason
from wherry.oci.runtime import BlockIo, Cpu, Memory, Pids, Resources

# flag -> (record, field); each flag changes just that.
_NUMBERS = {
    "blkio-weight": ("block_io", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtime_period"),
    "cpu-rt-runtime": ("cpu", "realtime_runtime"),
    "cpu-idle": ("cpu", "idle"),
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "pids-limit": ("pids", "limit"),
}
_TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}
_RECORDS = {"block_io": BlockIo, "cpu": Cpu, "memory": Memory, "pids": Pids}
_SIZED = frozenset(("memory", "memory-reservation", "memory-swap"))
_UNITS = {"b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}

_FILE_HELP = "path to the file containing the resources to update or '-' to read from the standard input"
FLAGS = (
    Flag(("resources", "r"), _FILE_HELP, takes_value=True),
    *(Flag((name,), "as in the runtime-spec", takes_value=True) for name in (*_NUMBERS, *_TEXTS)),
)


def update(settings: Settings, arguments: Arguments) -> int:
    """Change the limits that are said, and no others."""
    container = store.load(settings.root, arguments.positional[0])
    path = arguments.value("resources")
    resources = _read(path) if path else _from_flags(arguments)
    if container.status() == "stopped":
        raise CommandError("container not running")
    group = container.open_cgroup()
    if group is None:
        raise CommandError("container has no cgroup")
    try:
        group.update(resources)
    except (cgroups.CgroupError, cgroups.LimitError) as error:
        raise CommandError(str(error)) from None
    finally:
        group.close()
    return 0


def _read(path: str) -> Resources:
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                data = file.read()
        return msgspec.json.decode(data, type=Resources)
    except OSError as error:
        raise CommandError(f"open {path}: {reason(error.errno or 0)}") from None
    except msgspec.DecodeError as error:
        raise CommandError(f"{path}: {error}") from None


def _from_flags(arguments: Arguments) -> Resources:
    said: dict[str, dict[str, Any]] = {}
    for name, (record, field) in _NUMBERS.items():
        if name in arguments.values:
            said.setdefault(record, {})[field] = _number(name, arguments)
    for name, (record, field) in _TEXTS.items():
        if name in arguments.values:
            said.setdefault(record, {})[field] = arguments.values[name]
    return Resources(**{record: _RECORDS[record](**fields) for record, fields in said.items()})


def _number(name: str, arguments: Arguments) -> int | None:
    text = arguments.values[name].lower().removesuffix("ib") if name in _SIZED else ""
    text = text.removesuffix("b") if text[-2:-1] in _UNITS else text
    if text and text[-1] in _UNITS and text[:-1].isdecimal():
        return int(text[:-1]) << _UNITS[text[-1]]
    return arguments.number(name)
