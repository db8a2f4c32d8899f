"""Which devices a cgroup allows: rules in, the effective list out.

The device cgroup knows a default (allow or deny) and exceptions to it. Rules are applied in order to such a list, the
list then becomes v1 writes or a v2 program, so both versions mean the same.
"""

from collections.abc import Iterable
from typing import NamedTuple

from wherry.libcontainer.cgroups.errors import LimitError
from wherry.libcontainer.cgroups.limits import Write, Writes
from wherry.oci.runtime import DeviceRule

ACCESS = "rwm"


class Node(NamedTuple):
    """Devices of type `b` or `c`; None is any number."""

    type: str
    major: int | None
    minor: int | None

    def __str__(self) -> str:
        major, minor = ("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{self.type} {major}:{minor}"


class DeviceList(NamedTuple):
    """The effective list: `allow` is what happens to every device but the exceptions, each with its accesses."""

    allow: bool
    exceptions: tuple[tuple[Node, str], ...]


NOTHING = DeviceList(allow=False, exceptions=())
EVERYTHING = DeviceList(allow=True, exceptions=())


def _allow(kind: str, major: int | None, minor: int | None, access: str = ACCESS) -> DeviceRule:
    return DeviceRule(allow=True, type=kind, major=major, minor=minor, access=access)


ALWAYS_ALLOWED = (
    # Any node may be made: only its use is guarded.
    _allow("c", None, None, "m"),
    _allow("b", None, None, "m"),
    _allow("c", 1, 3),  # null
    _allow("c", 1, 8),  # random
    _allow("c", 1, 7),  # full
    _allow("c", 5, 0),  # tty
    _allow("c", 1, 5),  # zero
    _allow("c", 1, 9),  # urandom
    _allow("c", 136, None),  # pts/*
    _allow("c", 5, 2),  # ptmx
    _allow("c", 5, 1),  # console
    _allow("c", 10, 200),  # net/tun
)
"""What every container may use, whatever its rules say (runtime-spec, "Default Devices"; runc adds console and tun)."""


def effective(rules: Iterable[DeviceRule]) -> DeviceList:
    """The list after the rules and ALWAYS_ALLOWED were applied in order to one that denies all.

    Raises LimitError for a rule that no list of exceptions can express.
    """
    result = NOTHING
    for rule in (*rules, *ALWAYS_ALLOWED):
        result = after(result, rule)
    return result


def after(devices: DeviceList, rule: DeviceRule) -> DeviceList:
    """The list after one more rule. Raises LimitError."""
    _check(rule)
    if rule.type == "a":
        # As in the kernel, a rule for all types is a rule for all devices: it forgets every exception.
        return EVERYTHING if rule.allow else NOTHING
    node = Node(rule.type, _number(rule.major), _number(rule.minor))
    exceptions = dict(devices.exceptions)
    if rule.allow != devices.allow:
        exceptions[node] = _ordered(exceptions.get(node, "") + rule.access)
        return devices._replace(exceptions=tuple(exceptions.items()))
    _refuse_partial(devices, node, rule)
    left = "".join(letter for letter in exceptions.pop(node, "") if letter not in rule.access)
    if left:
        exceptions[node] = left
    return devices._replace(exceptions=tuple(exceptions.items()))


def as_v1(devices: DeviceList) -> Writes:
    """The writes that bring any v1 device cgroup to this list."""
    default, exception = ("devices.allow", "devices.deny") if devices.allow else ("devices.deny", "devices.allow")
    # Writing `a` forgets all exceptions. A container that is updated is without its devices for a few microseconds,
    # which is why updates leave the list alone unless it is part of them.
    return (
        Write("devices", default, "a"),
        *(Write("devices", exception, f"{node} {access}") for node, access in devices.exceptions),
    )


def _check(rule: DeviceRule) -> None:
    if rule.type not in ("a", "b", "c"):
        raise LimitError(f'invalid device type "{rule.type}" in a device cgroup rule: it is a, b or c')
    if not rule.access or set(rule.access) - set(ACCESS):
        raise LimitError(f'invalid access "{rule.access}" in a device cgroup rule: it is made of r, w and m')


def _number(number: int | None) -> int | None:
    # -1 is how Go programs spell the wildcard.
    return None if number == -1 else number


def _ordered(access: str) -> str:
    return "".join(letter for letter in ACCESS if letter in access)


def _refuse_partial(devices: DeviceList, node: Node, rule: DeviceRule) -> None:
    """A part cannot be cut out of a wider exception: the kernel (v1) would silently change nothing."""
    for other, access in devices.exceptions:
        if other != node and _is_within(node, other) and set(access) & set(rule.access):
            verb = "allow" if rule.allow else "deny"
            raise LimitError(
                f'device rule "{verb} {node} {rule.access}" is only a part of the wider "{other} {access}"'
            )


def _is_within(node: Node, other: Node) -> bool:
    return node.type == other.type and other.major in (None, node.major) and other.minor in (None, node.minor)
