"""All flags of `run` and `create` put together: the body of the API's create call."""

from __future__ import annotations

import os
import sys

from wherry.cli import terminal
from wherry.cli.errors import CommandError
from wherry.cli.options import devices, environment, networks, ports, security, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.flags import Given

    Body = dict[str, Any]

SWAPPINESS_MAX = 100
MAC_PARTS = 6


def body(given: Given, arguments: list[str], proxies: dict[str, Any]) -> Body:
    """The create call's body for the image and command in `arguments`. Raises CommandError in docker's words."""
    exposed, bindings = ports.published(given["publish"])
    ports.exposed_only(given["expose"], exposed)
    binds, anonymous = volumes.split(given["volume"])
    _check_mac(given["mac-address"])
    config = _config(given, arguments, exposed, anonymous)
    config["Env"] = _with_proxies(config["Env"], proxies)
    host = {
        "Binds": binds or None,
        "PortBindings": bindings,
        **_host_basics(given),
        **_security(given),
        **_resources(given),
    }
    host["NetworkMode"], endpoints = networks.mode_and_endpoints(given)
    if "init" in given.changed:
        host["Init"] = given["init"]
    if given["tty"]:
        host["ConsoleSize"] = list(terminal.size(sys.stdout.fileno()))
    return {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": endpoints}}


def _config(given: Given, arguments: list[str], exposed: ports.Ports, anonymous: dict[str, Any]) -> Body:
    streams = given["attach"]
    stdin = "stdin" in streams or given["interactive"]
    config: Body = {
        "Hostname": given["hostname"],
        "Domainname": given["domainname"],
        "User": given["user"],
        "AttachStdin": stdin,
        "AttachStdout": "stdout" in streams or not streams,
        "AttachStderr": "stderr" in streams or not streams,
        "Tty": given["tty"],
        "OpenStdin": given["interactive"],
        # Attached input ends with its client, or the container would wait for it for ever.
        "StdinOnce": given["interactive"] and stdin,
        "Env": environment.environment(given["env-file"], given["env"]),
        "Cmd": arguments[1:] or None,
        "Image": arguments[0],
        "Volumes": anonymous,
        "WorkingDir": given["workdir"],
        "Entrypoint": _entrypoint(given),
        "Labels": environment.labels(given["label-file"], given["label"]),
    }
    optional = {
        "ExposedPorts": exposed,
        "StopSignal": given["stop-signal"],
        "Healthcheck": _healthcheck(given),
    }
    config.update({name: value for name, value in optional.items() if value})
    if "stop-timeout" in given.changed:
        config["StopTimeout"] = given["stop-timeout"]
    return config


def _entrypoint(given: Given) -> list[str] | None:
    if given["entrypoint"]:
        return [given["entrypoint"]]
    # An empty text resets the image's own.
    return [""] if "entrypoint" in given.changed else None


def _check_mac(text: str) -> None:
    if not text:
        return
    parts = text.split("-" if "-" in text else ":")
    try:
        right = len(parts) in (MAC_PARTS, 8, 20) and all(len(part) == 2 and int(part, 16) >= 0 for part in parts)
    except ValueError:
        right = False
    if not right:
        raise CommandError(f"{text} is not a valid mac address")


def _healthcheck(given: Given) -> Body | None:
    times = {"Interval": "interval", "Timeout": "timeout", "StartPeriod": "start-period"}
    times["StartInterval"] = "start-interval"
    values = {field: given[f"health-{flag}"] for field, flag in times.items()}
    wanted = bool(given["health-cmd"] or given["health-retries"] or any(values.values()))
    if given["no-healthcheck"]:
        if wanted:
            raise CommandError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for field, flag in times.items():
        if values[field] < 0:
            raise CommandError(f"--health-{flag} cannot be negative")
    if given["health-retries"] < 0:
        raise CommandError("--health-retries cannot be negative")
    if not wanted:
        return None
    check: Body = {field: value for field, value in values.items() if value}
    if given["health-retries"]:
        check["Retries"] = given["health-retries"]
    if given["health-cmd"]:
        check["Test"] = ["CMD-SHELL", given["health-cmd"]]
    return check


def _host_basics(given: Given) -> Body:
    restart = restart_policy(given["restart"])
    if given["rm"] and restart["Name"] not in ("", "no"):
        raise CommandError("conflicting options: cannot specify both --restart and --rm")
    basics: Body = {
        "ContainerIDFile": given["cidfile"],
        "LogConfig": {"Type": given["log-driver"], "Config": _log_options(given)},
        "RestartPolicy": restart,
        "AutoRemove": given["rm"],
        "VolumeDriver": given["volume-driver"],
        "VolumesFrom": given["volumes-from"] or None,
        "Dns": given["dns"],
        "DnsOptions": given["dns-option"] + given["dns-opt"],
        "DnsSearch": given["dns-search"],
        "ExtraHosts": given["add-host"] or None,
        "GroupAdd": given["group-add"] or None,
        "Links": given["link"] or None,
        "PublishAllPorts": given["publish-all"],
        "ReadonlyRootfs": given["read-only"],
        "Runtime": given["runtime"],
        "ShmSize": given["shm-size"],
        "Isolation": given["isolation"],
    }
    optional = {
        "Annotations": environment.pairs(given["annotation"]),
        "StorageOpt": _storage_options(given["storage-opt"]),
        "Tmpfs": {path: options for path, _, options in (text.partition(":") for text in given["tmpfs"])},
        "Mounts": given["mount"],
        "Sysctls": environment.pairs(given["sysctl"]),
    }
    basics.update({name: value for name, value in optional.items() if value})
    return basics


def _security(given: Given) -> Body:
    options, paths = security.options(given["security-opt"])
    added, dropped = security.capabilities(given["cap-add"], given["cap-drop"])
    return {
        "CapAdd": added or None,
        "CapDrop": dropped or None,
        "Privileged": given["privileged"],
        "SecurityOpt": options or None,
        "OomScoreAdj": given["oom-score-adj"],
        "IpcMode": given["ipc"],
        "PidMode": _mode(given, "pid", "PID", ("host", "container:")),
        "UTSMode": _mode(given, "uts", "UTS", ("host",)),
        "UsernsMode": _mode(given, "userns", "USER", ("host",)),
        "CgroupnsMode": _mode(given, "cgroupns", "CGROUP", ("host", "private")),
        **paths,
    }


def _mode(given: Given, flag: str, shown: str, valid: tuple[str, ...]) -> str:
    text: str = given[flag]
    of_another = any(mode.endswith(":") and text.startswith(mode) and text != mode for mode in valid)
    if not text or (text in valid and not text.endswith(":")) or of_another:
        return text
    raise CommandError(f"--{flag}: invalid {shown} mode")


def _resources(given: Given) -> Body:
    swappiness = given["memory-swappiness"]
    if not -1 <= swappiness <= SWAPPINESS_MAX:
        raise CommandError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    cdi = [text for text in given["device"] if devices.is_cdi(text)]
    resources: Body = {
        "CpuShares": given["cpu-shares"],
        "Memory": given["memory"],
        "NanoCpus": given["cpus"] or 0,
        "CgroupParent": given["cgroup-parent"],
        "BlkioWeight": given["blkio-weight"],
        "BlkioWeightDevice": given["blkio-weight-device"],
        "BlkioDeviceReadBps": given["device-read-bps"],
        "BlkioDeviceWriteBps": given["device-write-bps"],
        "BlkioDeviceReadIOps": given["device-read-iops"],
        "BlkioDeviceWriteIOps": given["device-write-iops"],
        "CpuPeriod": given["cpu-period"],
        "CpuQuota": given["cpu-quota"],
        "CpuRealtimePeriod": given["cpu-rt-period"],
        "CpuRealtimeRuntime": given["cpu-rt-runtime"],
        "CpusetCpus": given["cpuset-cpus"],
        "CpusetMems": given["cpuset-mems"],
        "Devices": [devices.device(text) for text in given["device"] if not devices.is_cdi(text)],
        "DeviceCgroupRules": given["device-cgroup-rule"] or None,
        "DeviceRequests": [*given["gpus"], *([{"Driver": "cdi", "DeviceIDs": cdi}] if cdi else ())] or None,
        "MemoryReservation": given["memory-reservation"],
        "MemorySwap": given["memory-swap"],
        "MemorySwappiness": swappiness,
        "OomKillDisable": given["oom-kill-disable"],
        "PidsLimit": given["pids-limit"],
        "Ulimits": sorted(given["ulimit"], key=lambda limit: str(limit["Name"])),
        "CpuCount": given["cpu-count"],
        "CpuPercent": given["cpu-percent"],
        "IOMaximumIOps": given["io-maxiops"],
        "IOMaximumBandwidth": given["io-maxbandwidth"],
    }
    if given["kernel-memory"]:
        resources["KernelMemory"] = given["kernel-memory"]
    return resources


def restart_policy(text: str) -> Body:
    """The API's policy for `on-failure:3` and the like. Raises CommandError in docker's words."""
    if not text:
        return {"Name": "", "MaximumRetryCount": 0}
    name, _, count = text.partition(":")
    if not name:
        raise CommandError("invalid restart policy format: no policy provided before colon")
    if count and not count.lstrip("-").isdigit():
        raise CommandError("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _log_options(given: Given) -> dict[str, str]:
    options = environment.pairs(given["log-opt"])
    if given["log-driver"] == "none" and options:
        raise CommandError("invalid logging opts for driver none")
    return options


def _storage_options(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise CommandError("invalid storage option")
    return environment.pairs(texts)


# What config.json's `proxies` becomes in a container, in the order docker sets it.
_PROXIES = {"httpProxy": "HTTP_PROXY", "httpsProxy": "HTTPS_PROXY", "noProxy": "NO_PROXY", "ftpProxy": "FTP_PROXY"}


def _with_proxies(variables: list[str], proxies: dict[str, Any]) -> list[str]:
    """Add the user's proxies, where the user has not set them for this container."""
    known = {text.partition("=")[0] for text in variables}
    host = os.environ.get("WHERRY_HOST") or os.environ.get("DOCKER_HOST", "")
    chosen = proxies.get(host) or proxies.get("default") or {}
    wanted = {**_PROXIES, "allProxy": "ALL_PROXY"}
    for key, name in wanted.items():
        if chosen.get(key):
            variables = variables + [f"{it}={chosen[key]}" for it in (name, name.lower()) if it not in known]
    return variables
