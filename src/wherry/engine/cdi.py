"""Devices by name: `--device vendor.com/class=name` and the specifications that say what stands behind the names.

Container Device Interface 0.3 to 1.0 (cncf-tags/container-device-interface, SPEC.md): files of JSON or YAML in
directories of which a later one goes before an earlier one.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from wherry.engine import devices
from wherry.engine.edits import Edits
from wherry.model.errors import EngineError
from wherry.oci.runtime import Device, Hook, Hooks, Mount

log = logging.getLogger(__name__)

DRIVER = "cdi"
SUFFIXES = (".json", ".yaml", ".yml")
ACCESS = "rwm"
_BYTES_MAX = 4 << 20
_HOOK_NAMES = {
    "prestart": "prestart",
    "createRuntime": "create_runtime",
    "createContainer": "create_container",
    "startContainer": "start_container",
    "poststart": "poststart",
    "poststop": "poststop",
}


class DeviceNode(Struct, frozen=True, rename="camel"):
    """A device to make; what is not said is the host's."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class MountEdit(Struct, frozen=True, rename="camel"):
    """A bind mount, or one of another type."""

    host_path: str
    container_path: str
    options: tuple[str, ...] = ()
    type: str = ""


class HookEdit(Struct, frozen=True, rename="camel"):
    """A program of the host's to run at a point of a container's life; timeout in seconds."""

    hook_name: str = ""
    path: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int | None = None


class ContainerEdits(Struct, frozen=True, rename="camel"):
    """What a device changes in a container that gets it."""

    env: tuple[str, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[MountEdit, ...] = ()
    hooks: tuple[HookEdit, ...] = ()
    additional_gids: tuple[int, ...] = ()
    intel_rdt: dict[str, object] | None = None


class NamedDevice(Struct, frozen=True, rename="camel"):
    """One device of a kind."""

    name: str
    container_edits: ContainerEdits = ContainerEdits()


class Specification(Struct, frozen=True, rename="camel"):
    """One file."""

    kind: str
    devices: tuple[NamedDevice, ...]
    container_edits: ContainerEdits = ContainerEdits()


class Catalogue(NamedTuple):
    """Each device's full name, with what is common to its kind and what is its own; and files that are none, and why.

    Such files take only their own devices away.
    """

    devices: dict[str, tuple[ContainerEdits, ContainerEdits]]
    faults: dict[Path, str]


def edits(names: Sequence[str], directories: Iterable[str]) -> Edits:
    """What the named devices change. Blocks. Raises EngineError in dockerd's words."""
    if not names:
        return Edits()
    known, faults = catalogue(directories)
    missing = [name for name in names if name not in known]
    if missing:
        for path, fault in faults.items():
            log.warning("CDI: Error associated with spec file %s: %s", path, fault)
        raise EngineError(f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}")
    parts = [known[name] for name in dict.fromkeys(names)]
    # What a kind changes for all its devices it changes once, before the first of them.
    ordered = {id(part): part for pair in parts for part in pair}
    return _together(ordered.values())


def catalogue(directories: Iterable[str]) -> Catalogue:
    """What the specifications there say now. Blocks."""
    found: dict[str, tuple[ContainerEdits, ContainerEdits]] = {}
    faults: dict[Path, str] = {}
    for directory in directories:
        here: dict[str, tuple[ContainerEdits, ContainerEdits]] = {}
        clashing: set[str] = set()
        for specification in _specifications(Path(directory), faults):
            for device in specification.devices:
                name = f"{specification.kind}={device.name}"
                clashing |= {name} & here.keys()
                here[name] = (specification.container_edits, device.container_edits)
        # Of two in one directory nobody knows which is meant.
        found = {**found, **here}
        for name in clashing:
            del found[name]
    return Catalogue(found, faults)


def _specifications(directory: Path, faults: dict[Path, str]) -> Iterator[Specification]:
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix in SUFFIXES)
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        try:
            yield _read(path)
        except ImportError:
            faults[path] = "it is YAML, for which the Python package pyyaml is needed"
        except (OSError, msgspec.DecodeError) as error:
            faults[path] = str(error)


def _read(path: Path) -> Specification:
    """Raises ImportError for YAML without the library for it, OSError, DecodeError."""
    with path.open("rb") as file:
        data = file.read(_BYTES_MAX)
    if path.suffix == ".json":
        return msgspec.json.decode(data, type=Specification)
    return msgspec.yaml.decode(data, type=Specification)


def _together(parts: Iterable[ContainerEdits]) -> Edits:
    parts = list(parts)
    for part in parts:
        if part.intel_rdt:
            raise EngineError("CDI device injection failed: intelRdt of CDI specifications is not supported yet")
    return Edits(
        env=tuple(entry for part in parts for entry in part.env),
        nodes=tuple(_node(node) for part in parts for node in part.device_nodes),
        mounts=tuple(_mount(mount) for part in parts for mount in part.mounts),
        gids=tuple(gid for part in parts for gid in part.additional_gids if gid),
        hooks=_hooks([hook for part in parts for hook in part.hooks]),
    )


def _node(wish: DeviceNode) -> devices.Node:
    access = wish.permissions or ACCESS
    if wish.type and (wish.major or wish.type == "p"):
        device = Device(
            type=wish.type,
            path=wish.path,
            major=wish.major,
            minor=wish.minor,
            file_mode=wish.file_mode,
            uid=wish.uid,
            gid=wish.gid,
        )
        return devices.Node(device=device, access=access)
    found = devices.node_of(wish.host_path or wish.path, wish.path, access)
    replaced = {"file_mode": wish.file_mode, "uid": wish.uid, "gid": wish.gid}
    said = {name: value for name, value in replaced.items() if value is not None}
    return devices.Node(device=msgspec.structs.replace(found.device, **said), access=access)


def _hooks(wishes: list[HookEdit]) -> Hooks | None:
    """By the points at which they run, None for none. Raises EngineError in the words of dockerd's CDI library."""
    found: dict[str, list[Hook]] = {name: [] for name in _HOOK_NAMES}
    for wish in wishes:
        problem = _problem_of(wish)
        if problem:
            raise EngineError(f"CDI device injection failed: {problem}")
        found[wish.hook_name].append(Hook(path=wish.path, args=wish.args, env=wish.env, timeout=wish.timeout))
    if not wishes:
        return None
    return Hooks(**{field: tuple(found[name]) for name, field in _HOOK_NAMES.items()})


def _problem_of(wish: HookEdit) -> str:
    if wish.hook_name not in _HOOK_NAMES:
        return f'invalid hook name "{wish.hook_name}"'
    if not wish.path:
        return f'invalid hook "{wish.hook_name}" with empty path'
    wrong = [entry for entry in wish.env if entry.find("=") <= 0]
    return f'invalid hook "{wish.hook_name}": invalid environment variable "{wrong[0]}"' if wrong else ""


def _mount(wish: MountEdit) -> Mount:
    kind = wish.type or "bind"
    options = wish.options or ("rbind", "rprivate")
    if kind == "bind" and not {"bind", "rbind"} & set(options):
        options = ("rbind", *options)
    return Mount(destination=os.path.normpath(wish.container_path), type=kind, source=wish.host_path, options=options)
