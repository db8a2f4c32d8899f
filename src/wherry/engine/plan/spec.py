"""The runtime-spec of a container: a pure function of its record and of what the host showed."""

from dataclasses import dataclass

from msgspec.structs import replace

from wherry.engine.defaults.sysctls import default_sysctls
from wherry.engine.plan.mounts import INIT_IN_CONTAINER
from wherry.engine.plan.namespaces import namespaces
from wherry.engine.plan.process import Privileges, process
from wherry.model.config import HostConfig
from wherry.model.container import Container
from wherry.model.errors import InvalidParameter
from wherry.oci.runtime import (
    OCI_VERSION,
    Device,
    Hooks,
    Linux,
    Mount,
    Resources,
    Rlimit,
    Root,
    Seccomp,
    Spec,
)
from wherry.storage.lookup import User

IPC_SYSCTLS = ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
               "kernel.shmmni", "kernel.shm_rmid_forced")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """All that a spec needs beyond the container's record, looked up beforehand.

    `namespace_paths` maps types to files of namespaces to join. `shm_source` is a directory to bind at /dev/shm,
    `init_path` the init program on the host; both empty where there is none. `hooks`, `extra_env`
    and `extra_mounts` come with devices.
    """

    user: User
    privileges: Privileges
    seccomp: Seccomp | None
    resources: Resources
    devices: tuple[Device, ...]
    namespace_paths: dict[str, str]
    cgroups_path: str
    default_rlimits: tuple[Rlimit, ...]
    shm_source: str = ""
    init_path: str = ""
    hooks: Hooks | None = None
    extra_env: tuple[str, ...] = ()
    extra_mounts: tuple[Mount, ...] = ()
    link_environment: tuple[str, ...] = ()


def runtime_spec(container: Container, around: Surroundings, mounts: tuple[Mount, ...]) -> Spec:
    """The whole `config.json`. Raises InvalidParameter for sysctls of namespaces that are not the container's."""
    config, host_config = container.config, container.host_config
    return Spec(
        oci_version=OCI_VERSION,
        root=Root(path="rootfs", readonly=host_config.readonly_rootfs),
        process=process(
            # What the user says of a variable that a link has as well counts.
            replace(config, env=(*around.link_environment, *(config.env or ()), *around.extra_env)),
            host_config,
            around.user,
            args=_arguments(container, around),
            privileges=around.privileges,
            default_rlimits=around.default_rlimits,
            terminal_size=host_config.console_size,
        ),
        hostname="" if host_config.uts_mode == "host" else config.hostname,
        domainname="" if host_config.uts_mode == "host" else config.domainname,
        mounts=mounts,
        hooks=around.hooks,
        annotations=host_config.annotations or None,
        linux=Linux(
            namespaces=namespaces(host_config, around.namespace_paths),
            devices=around.devices,
            cgroups_path=around.cgroups_path,
            resources=around.resources,
            seccomp=around.seccomp,
            sysctl=sysctls(container) or None,
            masked_paths=host_config.masked_paths or (),
            readonly_paths=host_config.readonly_paths or (),
            rootfs_propagation=_propagation(mounts),
        ),
    )


def _arguments(container: Container, around: Surroundings) -> tuple[str, ...]:
    command = (container.path, *container.args)
    return (INIT_IN_CONTAINER, "--", *command) if around.init_path else command


def sysctls(container: Container) -> dict[str, str]:
    """Kernel parameters of the container's own namespaces. Raises InvalidParameter for others."""
    host_config = container.host_config
    own_network = host_config.network_mode != "host" and not host_config.network_mode.startswith("container:")
    for name in host_config.sysctls or {}:
        _check_sysctl(name, host_config)
    if container.config.domainname:
        _check_sysctl("kernel.domainname", host_config)
    return {**default_sysctls(own_network=own_network, own_users=False), **(host_config.sysctls or {})}


def _check_sysctl(name: str, host_config: HostConfig) -> None:
    """Only what a namespace holds that is not the host's may be set (runc configs/validate)."""
    if name.startswith("net."):
        if host_config.network_mode == "host":
            raise InvalidParameter(f'sysctl "{name}" not allowed in host network namespace')
    elif name in IPC_SYSCTLS or name.startswith("fs.mqueue."):
        if host_config.ipc_mode == "host":
            raise InvalidParameter(f'sysctl "{name}" is not allowed in the hosts ipc namespace')
    elif name not in {"kernel.domainname", "kernel.hostname"} or host_config.uts_mode == "host":
        raise InvalidParameter(f'sysctl "{name}" is not in a separate kernel namespace')


def _propagation(mounts: tuple[Mount, ...]) -> str:
    """Shared and slave binds only work below a root that propagates (moby `WithMounts`)."""
    words = {word for mount in mounts for word in mount.options}
    if words & {"shared", "rshared"}:
        return "shared"
    return "rslave" if words & {"slave", "rslave"} else ""
