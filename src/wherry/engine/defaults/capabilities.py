"""Docker's default capabilities, and what --cap-add, --cap-drop and --privileged make of them (moby `oci/caps`)."""

import functools
from collections.abc import Collection, Iterable

from wherry.linux import capability
from wherry.model.errors import InvalidParameter
from wherry.oci.runtime import Capabilities

DEFAULT = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

ALL = "ALL"

Names = tuple[str, ...]


@functools.cache
def available() -> Names:
    """What this process can give: its own effective capabilities, by number, which stay as they are. Raises OSError."""
    return tuple(capability.NAMES[number] for number in _known(capability.capget().effective))


@functools.cache
def lacking() -> Names:
    """What the kernel has and this process cannot give; a privileged container is without it. Raises OSError."""
    ours = available()
    return tuple(name for name in capability.NAMES[: capability.last_capability() + 1] if name not in ours)


def check(cap_add: Iterable[str], cap_drop: Iterable[str], available: Collection[str]) -> None:
    """Raise InvalidParameter in dockerd's words for the first name that cannot be added or dropped."""
    for field, names in (("CapAdd", cap_add), ("CapDrop", cap_drop)):
        try:
            normal(names, available)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid {field}: {error}") from None


def normal(names: Iterable[str], available: Collection[str]) -> Names:
    """`chown` as CAP_CHOWN, `all` as ALL; `cap_all` is nothing. Raises InvalidParameter."""
    return tuple(_normal(name.upper(), available) for name in names)


def granted(cap_add: Iterable[str], cap_drop: Iterable[str], *, privileged: bool, available: Collection[str]) -> Names:
    """What the container may have at most. Raises InvalidParameter.

    Privileged means all that is available, whatever is added or dropped. `ALL` in the additions leaves only what
    is dropped by name; `ALL` in the drops leaves only what is added by name. Defaults that the daemon itself lacks
    are left out: the kernel would refuse them.
    """
    if privileged:
        return tuple(available)
    added, dropped = normal(cap_add, available), normal(cap_drop, available)
    if ALL in added:
        names = [name for name in available if name not in dropped]
    elif ALL in dropped:
        names = list(added)
    else:
        names = [name for name in DEFAULT if name in available and name not in dropped]
        names += added
    return tuple(dict.fromkeys(names))


def capability_sets(names: Names, *, uid: int) -> Capabilities:
    """The five sets of a process: nothing is ever inheritable (CVE-2022-29162), nothing effective but for root."""
    if uid != 0:
        return Capabilities(bounding=names)
    return Capabilities(bounding=names, effective=names, permitted=names)


def _normal(name: str, available: Collection[str]) -> str:
    if name == ALL:
        return name
    if not name.startswith("CAP_"):
        name = f"CAP_{name}"
    if name not in capability.NUMBERS:
        raise InvalidParameter(f'unknown capability: "{name}"')
    if name not in available:
        raise InvalidParameter(
            f'capability not supported by your kernel or not available in the current environment: "{name}"'
        )
    return name


def _known(bits: int) -> Iterable[int]:
    return (number for number in capability.numbers_in(bits) if number < len(capability.NAMES))
