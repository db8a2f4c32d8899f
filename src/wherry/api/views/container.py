"""Containers on the wire: `docker ps`, `docker inspect`, execs."""

import base64
from typing import Any

from msgspec.structs import replace

from wherry.api.detachkeys import detach_key_bytes
from wherry.api.versions import Version
from wherry.api.views.config import config_view, host_config_view
from wherry.api.views.durations import human_duration
from wherry.api.views.network_settings import network_settings_view, networks_view, ports_view
from wherry.engine.exec_record import Exec
from wherry.engine.inspect import Inspection
from wherry.engine.listing import Summary
from wherry.engine.request.mac import main_endpoint
from wherry.engine.sizes import Sizes
from wherry.model.clock import NANOSECONDS, NEVER, rfc3339
from wherry.model.config import Config
from wherry.model.container import Container, State
from wherry.model.health import Health, HealthStatus
from wherry.model.state import Status
from wherry.model.volume import MountPoint


def summary_view(summary: Summary, version: Version, *, now_ns: int) -> dict[str, Any]:
    """One row of `GET /containers/json`. The status counts from `now_ns`."""
    container = summary.container
    return {
        "Id": container.id,
        "Names": sorted([f"/{container.name}", *summary.link_names]),
        "Image": container.image_name,
        "ImageID": container.image_id,
        "Command": _command(container),
        "Created": container.created_ns // NANOSECONDS,
        "Ports": ports_view(container),
        **_sizes(summary.sizes, omit_zero=True),
        "Labels": container.config.labels or {},
        "State": str(container.state.status),
        "Status": status_words(container.state, now_ns=now_ns),
        "HostConfig": _summary_host_config(container, version),
        "NetworkSettings": {"Networks": networks_view(container)},
        "Mounts": mounts_view(container),
    }


def inspection_view(inspection: Inspection, *, sandbox_key: str) -> dict[str, Any]:
    """The body of `GET /containers/{id}/json`. `sandbox_key` is the path of its network namespace."""
    container = inspection.container
    return {
        "Id": container.id,
        "Created": rfc3339(container.created_ns),
        "Path": container.path,
        "Args": list(container.args),
        "State": state_view(container.state),
        "Image": container.image_id,
        "ResolvConfPath": inspection.resolv_conf_path,
        "HostnamePath": inspection.hostname_path,
        "HostsPath": inspection.hosts_path,
        "LogPath": inspection.log_path,
        "Name": f"/{container.name}",
        "RestartCount": container.state.restart_count,
        "Driver": container.storage_driver,
        "Platform": container.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(inspection.exec_ids) or None,
        "HostConfig": {**host_config_view(container.host_config), "Links": list(inspection.links) or None},
        "GraphDriver": {"Data": inspection.graph_data or None, "Name": inspection.graph_driver},
        **_sizes(inspection.sizes, omit_zero=False),
        "Mounts": mounts_view(container),
        "Config": config_view(_with_mac(container)),
        "NetworkSettings": network_settings_view(container, sandbox_key=sandbox_key),
    }


def _with_mac(container: Container) -> Config:
    """With the address that was asked for on its main network, where clients from before 1.44 look for it."""
    _, wish = main_endpoint(container.networking, container.host_config.network_mode)
    return replace(container.config, mac_address=wish.mac_address) if wish.mac_address else container.config


def state_view(state: State) -> dict[str, Any]:
    """`State` with the flags that Docker derives its status from."""
    restarting = state.status is Status.RESTARTING
    return {
        "Status": str(state.status),
        "Running": state.is_alive or restarting,
        "Paused": state.status is Status.PAUSED,
        "Restarting": restarting,
        "OOMKilled": state.oom_killed,
        "Dead": state.status is Status.DEAD,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339(state.started_ns),
        "FinishedAt": rfc3339(state.finished_ns),
        **({"Health": _health_view(state.health)} if state.health else {}),
    }


def _health_view(health: Health) -> dict[str, Any]:
    return {
        "Status": str(health.status),
        "FailingStreak": health.failing_streak,
        "Log": [
            {
                "Start": rfc3339(result.start_ns),
                "End": rfc3339(result.end_ns),
                "ExitCode": result.exit_code,
                "Output": result.output,
            }
            for result in health.results
        ],
    }


def status_words(state: State, *, now_ns: int) -> str:
    """`Up 3 minutes (Paused)` and the like (moby container.State.String)."""
    match state.status:
        case Status.RUNNING:
            return f"Up {human_duration(now_ns - state.started_ns)}{_health_words(state.health)}"
        case Status.PAUSED:
            return f"Up {human_duration(now_ns - state.started_ns)} (Paused)"
        case Status.RESTARTING:
            return f"Restarting ({state.exit_code}) {human_duration(now_ns - state.finished_ns)} ago"
        case Status.REMOVING:
            return "Removal In Progress"
        case Status.DEAD:
            return "Dead"
        case Status.EXITED if state.finished_ns != NEVER:
            return f"Exited ({state.exit_code}) {human_duration(now_ns - state.finished_ns)} ago"
        case Status.CREATED:
            return "Created"
        case _:
            return ""


def _health_words(health: Health | None) -> str:
    if health is None:
        return ""
    return " (health: starting)" if health.status is HealthStatus.STARTING else f" ({health.status})"


def mounts_view(container: Container) -> list[dict[str, Any]]:
    """A container's `Mounts`. What `--tmpfs` asked for stands in HostConfig only, as with dockerd."""
    hidden = container.host_config.tmpfs or {}
    shown = (mount for mount in container.mounts if mount.kind != "tmpfs" or mount.destination not in hidden)
    return [_mount_view(mount) for mount in shown]


def _mount_view(mount: MountPoint) -> dict[str, Any]:
    return {
        "Type": mount.kind,
        **({"Name": mount.name} if mount.name else {}),
        "Source": mount.source,
        "Destination": mount.destination,
        **({"Driver": mount.driver} if mount.driver else {}),
        "Mode": mount.mode,
        "RW": mount.writable,
        "Propagation": mount.propagation,
    }


def exec_view(record: Exec) -> dict[str, Any]:
    """The body of `GET /exec/{id}/json`."""
    request = record.request
    entrypoint, *arguments = request.cmd or ("",)
    return {
        "ID": record.id,
        "Running": record.running,
        "ExitCode": record.exit_code,
        "ProcessConfig": {
            "tty": request.tty,
            "entrypoint": entrypoint,
            "arguments": arguments,
            "privileged": request.privileged,
            **({"user": request.user} if request.user else {}),
        },
        "OpenStdin": request.attach_stdin,
        "OpenStderr": request.attach_stderr,
        "OpenStdout": request.attach_stdout,
        "CanRemove": False,
        "ContainerID": record.container_id,
        "DetachKeys": base64.b64encode(detach_key_bytes(request.detach_keys)).decode() if request.detach_keys else "",
        "Pid": record.pid,
    }


def _command(container: Container) -> str:
    words = (container.path, *(f"'{word}'" if " " in word else word for word in container.args))
    return " ".join(words)


def _summary_host_config(container: Container, version: Version) -> dict[str, Any]:
    annotations = container.host_config.annotations if version >= (1, 46) else None
    mode = container.host_config.network_mode
    return {"NetworkMode": mode, **({"Annotations": annotations} if annotations else {})}


def _sizes(sizes: Sizes | None, *, omit_zero: bool) -> dict[str, int]:
    if sizes is None:
        return {}
    wire = {"SizeRw": sizes.own, "SizeRootFs": sizes.whole}
    log = {"SizeLog": sizes.log} if sizes.log else {}  # an extension of Wherry's
    return {name: size for name, size in wire.items() if size or not omit_zero} | log
