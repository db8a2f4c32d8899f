"""A container's mounts in the order in which they are made: the system's, then the user's by depth."""

from collections.abc import Iterable
from pathlib import Path

from wherry.engine.plan.security import security_options
from wherry.model.config import HostConfig
from wherry.model.volume import MountPoint
from wherry.oci.runtime import Mount

INIT_IN_CONTAINER = "/sbin/docker-init"
ETC_FILES = ("resolv.conf", "hostname", "hosts")


def mounts(
    host_config: HostConfig,
    points: tuple[MountPoint, ...],
    *,
    files: Path | None,
    shm_source: str,
    init_path: str,
    extra: tuple[Mount, ...] = (),
) -> tuple[Mount, ...]:
    """The spec's list. `files` is the directory of hosts, hostname and resolv.conf, None for none.

    `shm_source` is another container's /dev/shm or the host's to bind, empty for an own one. `init_path` is the
    init program on the host, empty without `--init`. `extra` come with devices; the user's go before them.
    """
    wanted = [_user_mount(point) for point in points]
    taken = {mount.destination for mount in wanted}
    wanted += [mount for mount in extra if mount.destination not in taken]
    if files is not None:
        wanted += _etc_mounts(files, wanted, read_only=host_config.readonly_rootfs)
    if init_path:
        wanted.append(_bind(init_path, INIT_IN_CONTAINER, read_only=True))
    wanted.sort(key=_depth)
    taken = {mount.destination for mount in wanted}
    return (*_system_mounts(host_config, shm_source, taken), *wanted)


def _system_mounts(host_config: HostConfig, shm_source: str, taken: set[str]) -> list[Mount]:
    sys_access = "rw" if host_config.privileged else "ro"
    cgroup_access = "rw" if security_options(host_config, no_new_privileges=False).writable_cgroups else "ro"
    system = [
        Mount(destination="/proc", type="proc", source="proc", options=("nosuid", "noexec", "nodev")),
        Mount(
            destination="/dev",
            type="tmpfs",
            source="tmpfs",
            options=("nosuid", "strictatime", "mode=755", "size=65536k"),
        ),
        Mount(
            destination="/dev/pts",
            type="devpts",
            source="devpts",
            options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        ),
        Mount(destination="/sys", type="sysfs", source="sysfs", options=("nosuid", "noexec", "nodev", sys_access)),
        Mount(
            destination="/sys/fs/cgroup",
            type="cgroup",
            source="cgroup",
            options=(cgroup_access, "nosuid", "noexec", "nodev"),
        ),
        Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=("nosuid", "noexec", "nodev")),
        *_shm(host_config, shm_source),
    ]
    # Over a /dev of the user's nothing of ours is laid, nor over a destination that is taken (moby oci_linux.go).
    own_dev = "/dev" in taken
    return [
        mount
        for mount in system
        if mount.destination not in taken and not (own_dev and mount.destination.startswith("/dev/"))
    ]


def _shm(host_config: HostConfig, source: str) -> list[Mount]:
    if host_config.ipc_mode == "none":
        return []
    if source:
        return [_bind(source, "/dev/shm", read_only=False)]  # noqa: S108 - the container's
    size = f"size={host_config.shm_size}"
    return [
        Mount(
            destination="/dev/shm",  # noqa: S108 - the container's
            type="tmpfs",
            source="shm",
            options=("nosuid", "noexec", "nodev", "mode=1777", size),
        )
    ]


def _etc_mounts(files: Path, wanted: Iterable[Mount], *, read_only: bool) -> list[Mount]:
    taken = {mount.destination for mount in wanted}
    return [
        _bind(str(files / name), f"/etc/{name}", read_only=read_only)
        for name in ETC_FILES
        if f"/etc/{name}" not in taken
    ]


def _bind(source: str, destination: str, *, read_only: bool) -> Mount:
    return Mount(
        destination=destination,
        type="bind",
        source=source,
        options=("rbind", "ro" if read_only else "rw", "rprivate"),
    )


def _user_mount(point: MountPoint) -> Mount:
    if point.kind == "tmpfs":
        return Mount(
            destination=point.destination,
            type="tmpfs",
            source="tmpfs",
            options=("noexec", "nosuid", "nodev", *point.tmpfs_options),
        )
    # Since Docker 25 a read-only bind is read-only with all that is mounted below it, where the kernel can.
    access = "rw" if point.writable else "rro" if point.recursive_readonly else "ro"
    options = ("rbind" if point.recursive else "bind", access, point.propagation or "rprivate")
    return Mount(destination=point.destination, type="bind", source=point.source, options=options)


def _depth(mount: Mount) -> int:
    return mount.destination.count("/")
