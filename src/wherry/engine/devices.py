"""`--device`: nodes of the host, single or a whole directory of them, and all of them for `--privileged`."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wherry.model.config import HostConfig
from wherry.model.errors import EngineError, InvalidParameter
from wherry.oci.runtime import Device, DeviceRule

# moby oci HostDevices: not those that the container has of its own.
_OWN_DIRECTORIES = ("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev")
_OWN_NODES = ("console",)
_ACCESS = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A device to make in the container, and what may be done to it."""

    device: Device
    access: str


def nodes(host_config: HostConfig) -> tuple[Node, ...]:
    """All that must be made. Raises EngineError for what is no device or not there, InvalidParameter for an access."""
    found = {node.device.path: node for node in _of_host()} if host_config.privileged else {}
    for device in host_config.devices or ():
        access = device.cgroup_permissions or _ACCESS
        if not set(access) <= set(_ACCESS):
            raise InvalidParameter(f"invalid device mode: {access}")
        inside = device.path_in_container or device.path_on_host
        found |= {node.device.path: node for node in _named(device.path_on_host, inside, access)}
    return tuple(found.values())


def rules(found: Iterable[Node]) -> Iterator[DeviceRule]:
    """What the device cgroup must allow for them."""
    for node in found:
        device = node.device
        yield DeviceRule(allow=True, type=device.type, major=device.major, minor=device.minor, access=node.access)


def _of_host() -> Iterator[Node]:
    yield from _below("/dev", "/dev", _ACCESS)


def node_of(path: str, inside: str, access: str) -> Node:
    """One device of the host under another name. Raises EngineError when it is none."""
    found = _named(path, inside, access)
    if len(found) != 1:
        raise EngineError(f'error gathering device information while adding custom device "{path}": not a device node')
    return found[0]


def _named(path: str, inside: str, access: str) -> list[Node]:
    try:
        status = os.stat(path)
    except OSError as error:
        words = (error.strerror or "").lower()
        raise EngineError(f'error gathering device information while adding custom device "{path}": {words}') from None
    if stat.S_ISDIR(status.st_mode):
        found = list(_below(os.path.realpath(path), inside, access))
    else:
        node = _node(status, inside, access)
        found = [] if node is None else [node]
    if not found:
        raise EngineError(f'error gathering device information while adding custom device "{path}": not a device node')
    return found


def _below(path: str, inside: str, access: str) -> Iterator[Node]:
    with os.scandir(path) as entries:
        for entry in entries:
            target = f"{inside}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _OWN_DIRECTORIES:
                    yield from _below(entry.path, target, access)
            elif entry.name not in _OWN_NODES:
                node = _node(entry.stat(follow_symlinks=False), target, access)
                if node is not None:
                    yield node


def _node(status: os.stat_result, path: str, access: str) -> Node | None:
    kind = "c" if stat.S_ISCHR(status.st_mode) else "b" if stat.S_ISBLK(status.st_mode) else ""
    if not kind:
        return None
    device = Device(
        type=kind,
        path=path,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        file_mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )
    return Node(device=device, access=access)
