"""Defaults filled in, so that inspect shows what is really in force (moby `adaptContainerSettings`)."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from wherry.logs.options import CACHE_OPTIONS
from wherry.model.config import Config, HostConfig, LogConfig, RestartPolicy
from wherry.model.ids import short_id

SHM_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What the daemon's settings and the host say where a client says nothing."""

    log_driver: str
    log_options: dict[str, str]
    log_defaults: Mapping[str, Mapping[str, str]]
    shm_bytes: int
    runtime: str
    cgroupns: str
    masked_paths: tuple[str, ...]
    readonly_paths: tuple[str, ...]
    can_disable_oom_kill: bool = False


def normal_config(config: Config, host_config: HostConfig, container_id: str, *, host_name: str) -> Config:
    """The host name decided: the host's own with its network, otherwise the short id; the working directory's path."""
    hostname = host_name if host_config.network_mode == "host" else short_id(container_id)
    working_dir = posixpath.normpath(config.working_dir) if config.working_dir else ""
    return replace(config, hostname=config.hostname or hostname, working_dir=working_dir)


def normal_host_config(host_config: HostConfig, defaults: Defaults) -> HostConfig:
    """Every default said."""
    log = host_config.log_config
    confined = not host_config.privileged
    return replace(
        host_config,
        log_config=_log_config(log, defaults),
        network_mode="bridge" if host_config.network_mode in {"", "default"} else host_config.network_mode,
        restart_policy=replace(host_config.restart_policy, name=host_config.restart_policy.name or "no")
        if host_config.restart_policy != RestartPolicy()
        else RestartPolicy(name="no"),
        memory_swap=max(host_config.memory_swap, -1) or (host_config.memory * 2 if host_config.memory > 0 else 0),
        memory_swappiness=None if host_config.memory_swappiness == -1 else host_config.memory_swappiness,
        ipc_mode=host_config.ipc_mode or "private",
        cgroupns_mode=host_config.cgroupns_mode or ("host" if host_config.privileged else defaults.cgroupns),
        shm_size=host_config.shm_size or defaults.shm_bytes,
        runtime=host_config.runtime or defaults.runtime,
        masked_paths=_paths(host_config.masked_paths, defaults.masked_paths, confined=confined),
        readonly_paths=_paths(host_config.readonly_paths, defaults.readonly_paths, confined=confined),
        oom_kill_disable=_oom_kill_disable(host_config, defaults),
        security_opt=_security_opt(host_config),
    )


def _oom_kill_disable(host_config: HostConfig, defaults: Defaults) -> bool | None:
    """Said where the kernel has it, which is cgroup v1."""
    if host_config.oom_kill_disable is None and defaults.can_disable_oom_kill:
        return False
    return host_config.oom_kill_disable


def _security_opt(host_config: HostConfig) -> tuple[str, ...] | None:
    """Who shares the host's processes or is privileged has no SELinux label (moby generateSecurityOpt)."""
    shares = host_config.privileged or "host" in {host_config.ipc_mode, host_config.pid_mode}
    if host_config.security_opt is None and shares:
        return ("label=disable",)
    return host_config.security_opt


def _log_config(said: LogConfig, defaults: Defaults) -> LogConfig:
    """The daemon's driver unless another is said; its options fill in those of the same driver (moby logs.go).

    Whoever says no size gets a rotation.
    """
    driver = said.type or defaults.log_driver
    of_daemon = defaults.log_options
    if driver != defaults.log_driver:  # those of the cache are for all drivers
        of_daemon = {name: value for name, value in of_daemon.items() if name in CACHE_OPTIONS}
    options = {**of_daemon, **(said.config or {})}
    own = defaults.log_defaults.get(driver, {})
    if "max-size" not in options:
        options = {**own, **options}
    return LogConfig(type=driver, config=options)


def _paths(said: tuple[str, ...] | None, default: tuple[str, ...], *, confined: bool) -> tuple[str, ...] | None:
    if said is not None:
        return said
    return default if confined else None
