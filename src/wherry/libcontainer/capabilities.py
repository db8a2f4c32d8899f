"""A process's capabilities as the runtime-spec names them, put on in the order the kernel demands."""

from collections.abc import Iterable

from wherry.linux import capability
from wherry.linux.capability import NAMES, NUMBERS, Sets, last_capability
from wherry.oci.runtime import Capabilities


class UnknownCapability(ValueError):
    """A name that is no capability."""


def drop_bounding(capabilities: Capabilities) -> None:
    """Give up every capability outside the bounding set; call before leaving uid 0, which loses CAP_SETPCAP.

    Raises OSError, UnknownCapability.
    """
    kept = _mask(capabilities.bounding)
    for number in range(last_capability() + 1):
        if not kept >> number & 1:
            capability.drop_from_bounding_set(number)


def apply(capabilities: Capabilities) -> None:
    """Set the other four sets; call after setuid(2), with keep_capabilities on when the uid is not 0.

    Left out, as runc does, are names that only newer kernels know, and ambient ones that are not permitted and
    inheritable. Raises OSError, UnknownCapability.
    """
    sets = Sets(
        effective=_mask(capabilities.effective),
        permitted=_mask(capabilities.permitted),
        inheritable=_mask(capabilities.inheritable),
    )
    capability.clear_ambient()
    capability.capset(sets)
    # The kernel allows only what is permitted and inheritable; runc's own template asks for more and is let off.
    for number in capability.numbers_in(_mask(capabilities.ambient) & sets.permitted & sets.inheritable):
        capability.raise_ambient(number)


def supported() -> tuple[str, ...]:
    """The names of all capabilities that the running kernel has, by number. Raises OSError."""
    return NAMES[: last_capability() + 1]


def held() -> tuple[str, ...]:
    """The names of those this process can hand on: permitted, and still in its bounding set. Raises OSError."""
    permitted = capability.capget().permitted
    return tuple(
        name
        for number, name in enumerate(supported())
        if permitted >> number & 1 and capability.in_bounding_set(number)
    )


def _mask(names: Iterable[str]) -> int:
    last, bits = last_capability(), 0
    for name in names:
        number = NUMBERS.get(name.upper())
        if number is None:
            raise UnknownCapability(f'unknown capability "{name}"')
        if number <= last:
            bits |= 1 << number
    return bits
