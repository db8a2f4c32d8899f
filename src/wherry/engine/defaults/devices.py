"""Rules of the device cgroup: nothing, everything, or what --device-cgroup-rule adds.

The runtime itself adds what every container may use (null, zero, tty, pts and so on).
"""

import re
from collections.abc import Iterable

from wherry.model.errors import InvalidParameter
from wherry.oci.runtime import DeviceRule

NOTHING = DeviceRule(allow=False, access="rwm")
EVERYTHING = DeviceRule(allow=True, access="rwm")

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")


def device_rules(said: Iterable[str], *, privileged: bool) -> tuple[DeviceRule, ...]:
    """The rules of a container, before those of its --device nodes. Raises InvalidParameter as dockerd."""
    if privileged:
        return (EVERYTHING,)
    return (NOTHING, *(parse_rule(text) for text in said))


def parse_rule(text: str) -> DeviceRule:
    """`c 10:* rwm` as a rule. Raises InvalidParameter."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    return DeviceRule(allow=True, type=kind, major=_number(major), minor=_number(minor), access=access)


def _number(text: str) -> int | None:
    return None if text == "*" else int(text)
