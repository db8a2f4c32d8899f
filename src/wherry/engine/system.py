"""`GET /info` and `GET /version`: what this engine is, and what it counts."""

import asyncio
import os
import platform
import socket
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from wherry import __version__
from wherry.engine import cdi
from wherry.engine.abilities import abilities, cgroup_version
from wherry.engine.engine import Engine
from wherry.engine.settings import RegistrySettings
from wherry.engine.surroundings import INIT_PROGRAMS
from wherry.model.clock import now_ns, rfc3339
from wherry.model.state import Status

API_VERSION = "1.51"
API_VERSION_MIN = "1.24"
# Clients compare engine versions with Docker's; this is the release whose behaviour is served.
DOCKER_VERSION = "28.5.2"

# What dockerd says of a limit that the host cannot keep.
_WARNINGS = {
    "MemoryLimit": "No memory limit support",
    "SwapLimit": "No swap limit support",
    "CpuCfsQuota": "No cpu cfs quota support",
    "CpuCfsPeriod": "No cpu cfs period support",
    "CPUShares": "No cpu shares support",
    "CPUSet": "No cpuset support",
    "PidsLimit": "No pids limit support",
    "IPv4Forwarding": "IPv4 forwarding is disabled",
}
_NO_SWARM = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}


def version(engine: Engine) -> dict[str, Any]:
    """The body of `GET /version`."""
    kernel = platform.release()
    built = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000+00:00")
    details = {
        "ApiVersion": API_VERSION,
        "Arch": architecture(),
        "BuildTime": built,
        "Experimental": str(engine.settings.experimental).lower(),
        "GitCommit": __version__,
        "GoVersion": f"python{platform.python_version()}",
        "KernelVersion": kernel,
        "MinAPIVersion": API_VERSION_MIN,
        "Os": "linux",
    }
    return {
        "Platform": {"Name": f"Wherry {__version__}"},
        "Components": [
            {"Name": "Engine", "Version": DOCKER_VERSION, "Details": details},
            {"Name": "wherry-runtime", "Version": __version__, "Details": {"GitCommit": __version__}},
        ],
        "Version": DOCKER_VERSION,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": API_VERSION_MIN,
        "GitCommit": __version__,
        "GoVersion": f"python{platform.python_version()}",
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": kernel,
        **({"Experimental": True} if engine.settings.experimental else {}),
        "BuildTime": built,
    }


def info(engine: Engine) -> dict[str, Any]:
    """The body of `GET /info`."""
    return {
        **_identity(engine),
        **_counts(engine),
        **_storage(engine),
        **_host(),
        **_limits(),
        **_daemon(engine),
        **_devices(engine),
    }


def architecture() -> str:
    """The machine as Go names it."""
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}.get(
        platform.machine(), platform.machine()
    )


def _identity(engine: Engine) -> dict[str, Any]:
    pools = [{"Base": pool.base, "Size": pool.size} for pool in engine.settings.address_pools]
    return {
        "ID": daemon_id(engine.settings.data_root),
        "Name": socket.gethostname(),
        "ServerVersion": DOCKER_VERSION,
        "ProductLicense": "Apache-2.0",
        "Labels": list(engine.settings.labels),
        "ExperimentalBuild": engine.settings.experimental,
        **({"DefaultAddressPools": pools} if pools else {}),
    }


def _counts(engine: Engine) -> dict[str, Any]:
    states = [container.state.status for container in engine.containers.values()]
    return {
        "Containers": len(states),
        "ContainersRunning": sum(status in {Status.RUNNING, Status.RESTARTING} for status in states),
        "ContainersPaused": states.count(Status.PAUSED),
        "ContainersStopped": sum(
            status in {Status.CREATED, Status.EXITED, Status.DEAD, Status.REMOVING} for status in states
        ),
        "Images": len(engine.library.images.values()),
    }


def _storage(engine: Engine) -> dict[str, Any]:
    return {
        "Driver": engine.storage.name,
        "DriverStatus": [list(pair) for pair in engine.storage.status()],
        "DockerRootDir": str(engine.settings.data_root),
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": sorted(set(engine.log_drivers) - {"none"}),
        },
    }


@cache
def _host() -> dict[str, Any]:
    release = _os_release()
    return {
        "KernelVersion": platform.release(),
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": str(cgroup_version()),
    }


@cache
def _limits() -> dict[str, Any]:
    able = abilities()
    return {
        "MemoryLimit": able.memory,
        "SwapLimit": able.swap,
        **({"KernelMemoryTCP": True} if able.kernel_memory_tcp else {}),
        "CpuCfsPeriod": able.quota,
        "CpuCfsQuota": able.quota,
        "CPUShares": able.shares,
        "CPUSet": able.cpusets,
        "PidsLimit": able.pids,
        "OomKillDisable": able.oom_kill_disable,
        "IPv4Forwarding": _sysctl("net/ipv4/ip_forward") == "1",
        "BridgeNfIptables": _sysctl("net/bridge/bridge-nf-call-iptables") == "1",
        "BridgeNfIp6tables": _sysctl("net/bridge/bridge-nf-call-ip6tables") == "1",
    }


def _daemon(engine: Engine) -> dict[str, Any]:
    settings = engine.settings
    return {
        "Debug": settings.debug,
        "NFd": len(os.listdir("/proc/self/fd")),
        "NGoroutines": len(asyncio.all_tasks()),
        "NEventsListener": engine.bus.subscribers,
        "SystemTime": rfc3339(now_ns()),
        "LoggingDriver": settings.log_driver,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": _registries(settings.registry),
        "HttpProxy": settings.registry.http_proxy,
        "HttpsProxy": settings.registry.https_proxy,
        "NoProxy": settings.registry.no_proxy,
        "Swarm": dict(_NO_SWARM),
        "Runtimes": {settings.default_runtime: {"path": "wherry-runtime"}},
        "DefaultRuntime": settings.default_runtime,
        "LiveRestoreEnabled": True,
        "FirewallBackend": {"Driver": "nftables"},
        "Isolation": "",
        "InitBinary": settings.init_path or INIT_PROGRAMS[0],
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": __version__},
        "InitCommit": {"ID": ""},
        "SecurityOptions": _security_options(engine),
        "GenericResources": None,
    }


def _devices(engine: Engine) -> dict[str, Any]:
    """Those that specifications name, and with what is wrong with these whatever else there is to warn of."""
    directories = engine.settings.cdi_spec_dirs
    known, faults = cdi.catalogue(directories)
    limits = _limits()
    missing = [f"WARNING: {text}" for name, text in _WARNINGS.items() if not limits[name]]
    wrong = [f"CDI: Error associated with spec file {path}: {fault}" for path, fault in faults.items()]
    return {
        "CDISpecDirs": list(directories),
        **({"DiscoveredDevices": [{"Source": cdi.DRIVER, "ID": name} for name in sorted(known)]} if known else {}),
        "Warnings": [*missing, *wrong] or None,
    }


def _registries(settings: RegistrySettings) -> dict[str, Any]:
    mirrors = list(settings.mirrors)
    hosts = [name for name in settings.insecure if "/" not in name]
    return {
        "IndexConfigs": {
            "docker.io": {"Name": "docker.io", "Mirrors": mirrors, "Secure": True, "Official": True},
            **{host: {"Name": host, "Mirrors": [], "Secure": False, "Official": False} for host in hosts},
        },
        "InsecureRegistryCIDRs": sorted({"::1/128", "127.0.0.0/8", *(set(settings.insecure) - set(hosts))}),
        "Mirrors": mirrors or None,
    }


def _security_options(engine: Engine) -> list[str]:
    options = [f"name=seccomp,profile={engine.settings.seccomp_profile}"]
    if Path("/sys/kernel/security/apparmor").exists():
        options.insert(0, "name=apparmor")
    if cgroup_version() == 2:
        options.append("name=cgroupns")
    return options


def _sysctl(name: str) -> str:
    try:
        return (Path("/proc/sys") / name).read_text().strip()
    except OSError:
        return ""


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


@cache
def daemon_id(data_root: Path) -> str:
    """The daemon's id, made once for a data root, where dockerd keeps an `engine-id` as well."""
    path = data_root / "engine-id"
    if not path.exists():
        path.write_text(str(uuid.uuid4()))
    return path.read_text().strip()
