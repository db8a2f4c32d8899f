"""Devices, their rules and rates, and ulimits."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.cli.flags import Kind
from wherry.cli.options.quantities import size, unsigned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The resources a container may be limited in, by docker's names (setrlimit(2) without RLIMIT_).
ULIMITS = frozenset(
    {
        "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
        "rtprio", "rttime", "sigpending", "stack",
    }
)  # fmt: skip


def device(text: str) -> dict[str, str]:
    """`host[:container][:permissions]` as the API has it. Raises CommandError."""
    parts = text.split(":")
    _check(text, parts)
    source, target, permissions = parts[0], "", "rwm"
    if len(parts) == 3:
        target, permissions = parts[1], parts[2]
    elif len(parts) == 2 and _are_permissions(parts[1]):
        permissions = parts[1]
    elif len(parts) == 2:
        target = parts[1]
    return {"PathOnHost": source, "PathInContainer": target or source, "CgroupPermissions": permissions}


def _check(text: str, parts: list[str]) -> None:
    if len(parts) > 3:
        raise CommandError(f"bad format for path: {text}")
    if len(parts) == 3 and not _are_permissions(parts[2]):
        raise CommandError(f"bad mode specified: {parts[2]}")
    target = parts[1] if len(parts) > 1 and not _are_permissions(parts[1]) else parts[0]
    if not target.startswith("/"):
        raise CommandError(f"{target} is not an absolute path")


def is_cdi(text: str) -> bool:
    """True for a device of the Container Device Interface."""
    kind, equals, name = text.partition("=")
    return bool(equals and name and "/" in kind and not text.startswith("/"))


def _are_permissions(text: str) -> bool:
    return bool(text) and not text.strip("rwm") and len(set(text)) == len(text)


def read_rule(text: str) -> str:
    """Check `--device-cgroup-rule`: `c 42:* rmw`. ValueError."""
    parts = text.split(" ")
    if len(parts) == 3 and parts[0] in ("a", "b", "c") and 1 <= len(parts[2]) <= 3 and not parts[2].strip("rwm"):
        numbers = parts[1].split(":")
        if len(numbers) == 2 and all(number == "*" or number.isdigit() for number in numbers):
            return text
    raise ValueError(f"invalid device cgroup format '{text}'")


def _path_and(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not colon or not path or ":" in value:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


def read_weight(text: str) -> dict[str, Any]:
    """`/dev/x:500`. ValueError."""
    path, value = _path_and(text)
    try:
        weight = unsigned(value, bits=16)
    except ValueError:
        raise ValueError(f"invalid weight for device: {text}") from None
    if weight and not 10 <= weight <= 1000:
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": weight}


def read_bps(text: str) -> dict[str, Any]:
    """`/dev/x:1mb`. ValueError."""
    path, value = _path_and(text)
    try:
        return {"Path": path, "Rate": size(value)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def read_iops(text: str) -> dict[str, Any]:
    """`/dev/x:100`. ValueError."""
    path, value = _path_and(text)
    try:
        return {"Path": path, "Rate": unsigned(value, bits=64)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        ) from None


def read_ulimit(text: str) -> dict[str, Any]:
    """`nofile=soft[:hard]`, -1 for no limit. ValueError."""
    name, equals, values = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = values.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    soft, hard = _limit(parts[0]), _limit(parts[-1])
    if hard != -1 and soft == -1:
        raise ValueError(
            f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
        )
    if hard != -1 and soft > hard:
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def _limit(text: str) -> int:
    digits = text[1:] if text.startswith(("-", "+")) else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


RULE = Kind("list", read_rule, gathers=True)
WEIGHT = Kind("list", read_weight, gathers=True)
BPS = Kind("list", read_bps, gathers=True)
IOPS = Kind("list", read_iops, gathers=True)
ULIMIT = Kind("ulimit", read_ulimit, gathers=True)
