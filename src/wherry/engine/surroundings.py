"""Looking around before a birth: users, devices, namespaces, privileges; all a spec needs beyond the record."""

import shutil
from dataclasses import replace
from pathlib import Path

from wherry.engine import devices
from wherry.engine.defaults.capabilities import available, capability_sets, granted
from wherry.engine.defaults.devices import device_rules
from wherry.engine.defaults.seccomp import BUILTIN, seccomp_filter
from wherry.engine.device_requests import requested
from wherry.engine.engine import Engine
from wherry.engine.joining import namespace_owner, namespace_paths
from wherry.engine.links import environment_of
from wherry.engine.plan.process import Privileges, rlimits
from wherry.engine.plan.resources import device_number, resources
from wherry.engine.plan.security import SecurityOptions, security_options
from wherry.engine.plan.spec import Surroundings
from wherry.model.config import HostConfig
from wherry.model.container import Container
from wherry.model.errors import Conflict, InvalidParameter
from wherry.storage.lookup import resolve_user

APPARMOR = Path("/sys/kernel/security/apparmor")
CGROUP_PARENT = "/docker"
INIT_PROGRAMS = ("docker-init", "tini-static")
HOST_SHM = "/dev/shm"  # noqa: S108 - the host's own, as --ipc=host asks for


def look_around(engine: Engine, container: Container, *, root_fd: int) -> Surroundings:
    """Everything of the host and the image that the container's spec depends on. Blocks. Raises EngineError."""
    config, host_config = container.config, container.host_config
    user = resolve_user(root_fd, config.user, host_config.group_add or ())
    edits = requested(host_config, engine.settings.cdi_spec_dirs)
    names = capability_names(host_config)
    options = security_options(host_config, no_new_privileges=engine.settings.no_new_privileges)
    nodes = (*devices.nodes(host_config), *edits.nodes)
    rules = (
        *device_rules(host_config.device_cgroup_rules or (), privileged=host_config.privileged),
        *devices.rules(nodes),
    )
    return Surroundings(
        user=replace(user, additional_gids=tuple(dict.fromkeys((*user.additional_gids, *edits.gids)))),
        privileges=Privileges(
            capabilities=capability_sets(names, uid=user.uid),
            no_new_privileges=options.no_new_privileges,
            apparmor_profile=_apparmor(options),
        ),
        seccomp=seccomp_filter(_seccomp_text(engine, options), names),
        resources=resources(host_config, rules, device_number),
        devices=tuple(node.device for node in nodes),
        namespace_paths=namespace_paths(engine, container),
        cgroups_path=f"{host_config.cgroup_parent or engine.settings.cgroup_parent or CGROUP_PARENT}/{container.id}",
        default_rlimits=rlimits(engine.settings.default_ulimits, ()),
        shm_source=_shm_source(engine, container),
        init_path=_init_path(engine, host_config),
        extra_env=edits.env,
        extra_mounts=edits.mounts,
        hooks=edits.hooks,
        link_environment=environment_of(engine, container),
    )


def capability_names(host_config: HostConfig) -> tuple[str, ...]:
    """What the container may have at most; what the daemon itself lacks is left out. Raises InvalidParameter."""
    return granted(
        host_config.cap_add or (),
        host_config.cap_drop or (),
        privileged=host_config.privileged,
        available=available(),
    )


def _seccomp_text(engine: Engine, options: SecurityOptions) -> str:
    """The container's own choice, else the daemon's."""
    return options.seccomp or engine.settings.seccomp_profile or BUILTIN


def _apparmor(options: SecurityOptions) -> str:
    """The profile; none on a kernel without AppArmor, as with dockerd."""
    return "" if options.apparmor == "unconfined" or not APPARMOR.exists() else options.apparmor


def _shm_source(engine: Engine, container: Container) -> str:
    """The /dev/shm to bind where IPC is shared: the host's, or another container's. Raises Conflict."""
    if container.host_config.ipc_mode == "host":
        return HOST_SHM
    owner = namespace_owner(engine, container, "ipc")
    if owner is None:
        return ""
    if owner.host_config.ipc_mode == "host":
        return HOST_SHM
    if owner.host_config.ipc_mode != "shareable":
        raise Conflict(
            f"failed to join IPC namespace: container {owner.id}: "
            "non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        )
    return f"/proc/{owner.state.pid}/root{HOST_SHM}"


def _init_path(engine: Engine, host_config: HostConfig) -> str:
    wanted = engine.settings.init if host_config.init is None else host_config.init
    # Where process 1 is somebody else's, an init would adopt nothing (moby oci_linux.go).
    if not wanted or host_config.pid_mode:
        return ""
    candidates = (engine.settings.init_path,) if engine.settings.init_path else INIT_PROGRAMS
    for name in candidates:
        found = shutil.which(name)
        if found:
            return found
    raise InvalidParameter(f'exec: "{candidates[0]}": executable file not found in $PATH (package tini has one)')
