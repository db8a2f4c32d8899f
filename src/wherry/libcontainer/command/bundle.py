"""A bundle on disk becomes a plan: config read, root and mounts opened, cgroup made, filter compiled."""

import os
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from wherry.libcontainer import cgroups, mounts, seccomp
from wherry.libcontainer.command.errors import CommandError
from wherry.libcontainer.errors import InvalidSpec, at, reason
from wherry.libcontainer.seccomp import FilterError
from wherry.libcontainer.validate import validate
from wherry.linux import mount as kernel
from wherry.oci.runtime import Resources, Root, Spec, SpecError, parse_spec

_PROGRAM_NAME = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle's absolute path and its spec, the root's path made absolute too."""

    path: str
    spec: Spec


def load(path: str, config: str) -> Bundle:
    """Go to the bundle, where relative paths are at home, and read its spec. Raises CommandError."""
    try:
        os.chdir(path or ".")
    except OSError as error:
        raise CommandError(f"chdir {path}: {reason(error.errno or 0)}") from None
    try:
        with open(config or _PROGRAM_NAME, "rb") as file:
            spec = parse_spec(file.read())
    except FileNotFoundError:
        raise CommandError(f"JSON specification file {config or _PROGRAM_NAME} not found") from None
    except SpecError as error:
        raise CommandError(str(error)) from None
    root = spec.root and Root(path=os.path.abspath(spec.root.path), readonly=spec.root.readonly)
    spec = msgspec.structs.replace(spec, root=root)
    try:
        validate(spec)
    except InvalidSpec as error:
        raise CommandError(str(error)) from None
    return Bundle(path=os.getcwd(), spec=spec)


def open_root(spec: Spec, undo: ExitStack) -> int:
    """The root file system as a detached mount. Raises CommandError."""
    path = spec.root.path if spec.root else ""
    try:
        fd = kernel.open_tree(path, recursive=True)
    except OSError as error:
        raise CommandError(f"invalid rootfs: stat {path}: {reason(error.errno or 0)}") from None
    undo.callback(os.close, fd)
    return fd


def open_mounts(spec: Spec, undo: ExitStack) -> tuple[tuple[str, int], ...]:
    """Every mount that comes from outside, as a detached mount. Raises BirthError."""
    found = []
    for mount in spec.mounts:
        if mounts.is_made_inside(mount):
            continue
        try:
            fd = mounts.open_mount(mount)
        except OSError as error:
            raise at(f'error mounting "{mount.source}" to rootfs at "{mount.destination}"', error) from None
        undo.callback(os.close, fd)
        found.append((mount.destination, fd))
    return tuple(found)


def make_cgroup(spec: Spec, container_id: str, undo: ExitStack) -> cgroups.Cgroup:
    """Its cgroup, limited. Raises CommandError."""
    linux = spec.linux
    try:
        group = cgroups.create(linux.cgroups_path if linux else "", container_id)
        undo.callback(remove_cgroup, group)
        group.apply((linux.resources if linux else None) or Resources())
    except (cgroups.CgroupError, cgroups.LimitError) as error:
        raise CommandError(
            f"unable to start container process: unable to apply cgroup configuration: {error}"
        ) from None
    return group


def remove_cgroup(group: cgroups.Cgroup) -> None:
    """End everything in a cgroup and remove it. Raises CgroupError."""
    group.kill()
    group.remove()
    group.close()


def compile_filter(spec: Spec) -> tuple[bytes, int]:
    """The seccomp filter and its flags. Raises CommandError."""
    profile = spec.linux.seccomp if spec.linux else None
    if profile is None:
        return b"", 0
    try:
        return seccomp.compile_program(profile), seccomp.filter_flags(profile)
    except FilterError as error:
        raise CommandError(f"unable to init seccomp: {error}") from None


def with_listen_fds(spec: Spec, preserved: int) -> tuple[Spec, int]:
    """Take over what socket activation gave to this program (sd_listen_fds(3)): its descriptors and variables."""
    listening = os.environ.get("LISTEN_FDS", "")
    if not listening.isdecimal() or spec.process is None:
        return spec, preserved
    # The program is the container's first process, whatever number it has outside.
    env = (*spec.process.env, f"LISTEN_FDS={listening}", "LISTEN_PID=1")
    process = msgspec.structs.replace(spec.process, env=env)
    return msgspec.structs.replace(spec, process=process), preserved + int(listening)
