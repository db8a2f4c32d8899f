"""What can be said about a container to be made, and the body of the request that says it."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from wherry.python.quantities import bytes_of, nanoseconds_of

Command = str | Sequence[str]
HostPort = int | str | tuple[str, int] | None


class HealthCheck(TypedDict, total=False):
    """How an engine sees that a container is well; times in seconds. `test` as a string is for a shell."""

    test: Command
    interval: float
    timeout: float
    start_period: float
    start_interval: float
    retries: int


class Options(TypedDict, total=False):
    """Keywords of `create`, `run` and `call`; what is not said is as Docker has it.

    Sizes are bytes, or text such as "64m". `ports` maps the container's port (80, "53/udp") to the host's: a number,
    0 for any free one, ("127.0.0.1", 8080), or a list of these. `volumes` maps a path of the host or a volume's name to
    a path in the container, which may end with ":ro"; or it is a list of texts as -v takes them. `config` and
    `host_config` are raw parts of the API's request; they go over everything else.
    """

    name: str
    platform: str
    entrypoint: Command
    env: Mapping[str, str] | Sequence[str]
    labels: Mapping[str, str]
    user: str
    workdir: str
    hostname: str
    domainname: str
    tty: bool
    stdin: bool
    stop_signal: str
    stop_timeout: int
    health: HealthCheck
    no_health: bool
    ports: Mapping[int | str, HostPort | list[HostPort]]
    publish_all: bool
    network: str
    dns: Sequence[str]
    extra_hosts: Mapping[str, str]
    links: Sequence[str]
    volumes: Mapping[str, str] | Sequence[str]
    tmpfs: Mapping[str, str] | Sequence[str]
    mounts: Sequence[Mapping[str, Any]]
    volumes_from: Sequence[str]
    read_only: bool
    shm_size: int | str
    memory: int | str
    memory_swap: int | str
    cpus: float
    cpuset: str
    pids_limit: int
    ulimits: Mapping[str, int | tuple[int, int]]
    sysctls: Mapping[str, str]
    devices: Sequence[str]
    cap_add: Sequence[str]
    cap_drop: Sequence[str]
    privileged: bool
    security_opt: Sequence[str]
    group_add: Sequence[str]
    pid: str
    ipc: str
    init: bool
    runtime: str
    restart: str
    auto_remove: bool
    log_driver: str
    log_options: Mapping[str, str]
    config: Mapping[str, Any]
    host_config: Mapping[str, Any]


class RunOptions(Options, total=False):
    """`pull` says when an image is fetched: if it is `missing` (the default), `always` or `never`."""

    pull: Literal["missing", "always", "never"]


_CONFIG = {
    "user": "User",
    "workdir": "WorkingDir",
    "hostname": "Hostname",
    "domainname": "Domainname",
    "tty": "Tty",
    "stop_signal": "StopSignal",
    "stop_timeout": "StopTimeout",
    "labels": "Labels",
}
_HOST = {
    "publish_all": "PublishAllPorts",
    "network": "NetworkMode",
    "dns": "Dns",
    "links": "Links",
    "mounts": "Mounts",
    "volumes_from": "VolumesFrom",
    "read_only": "ReadonlyRootfs",
    "cpuset": "CpusetCpus",
    "pids_limit": "PidsLimit",
    "sysctls": "Sysctls",
    "cap_add": "CapAdd",
    "cap_drop": "CapDrop",
    "privileged": "Privileged",
    "security_opt": "SecurityOpt",
    "group_add": "GroupAdd",
    "pid": "PidMode",
    "ipc": "IpcMode",
    "init": "Init",
    "runtime": "Runtime",
    "auto_remove": "AutoRemove",
}
_SIZES = {"shm_size": "ShmSize", "memory": "Memory", "memory_swap": "MemorySwap"}


def words(command: Command) -> list[str]:
    """A command as the API has it: text is split as a shell would split it, and no shell is run."""
    return shlex.split(command) if isinstance(command, str) else list(command)


def environment(env: Mapping[str, str] | Sequence[str]) -> list[str]:
    """`NAME=value` each."""
    return [f"{name}={value}" for name, value in env.items()] if isinstance(env, Mapping) else list(env)


def body_of(image: str, command: Command, options: Options) -> dict[str, Any]:
    """The body of a create request. Raises ValueError for text that is no size, port or device."""
    said: dict[str, Any] = dict(options)
    host = _host_config(said)
    config: dict[str, Any] = {"Image": image, "HostConfig": host}
    config |= {name: said[keyword] for keyword, name in _CONFIG.items() if keyword in said}
    if command:
        config["Cmd"] = words(command)
    if "entrypoint" in said:
        config["Entrypoint"] = words(said["entrypoint"]) if said["entrypoint"] else [""]
    if "env" in said:
        config["Env"] = environment(said["env"])
    if said.get("stdin"):
        config |= {"OpenStdin": True, "StdinOnce": True}
    if "health" in said:
        config["Healthcheck"] = _health(said["health"])
    if said.get("no_health"):
        config["Healthcheck"] = {"Test": ["NONE"]}
    if "ports" in said:
        bindings = {_port(port): _bindings(where) for port, where in said["ports"].items()}
        config["ExposedPorts"] = {port: {} for port in bindings}
        host["PortBindings"] = bindings
    host |= dict(said.get("host_config", {}))
    return config | dict(said.get("config", {}))


def update_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an update request: limits and restart policy, by the same keywords. Raises ValueError."""
    return _host_config(options) | dict(options.get("host_config", {}))


def _host_config(said: Mapping[str, Any]) -> dict[str, Any]:
    host = {name: said[keyword] for keyword, name in _HOST.items() if keyword in said}
    host |= {name: bytes_of(said[keyword]) for keyword, name in _SIZES.items() if keyword in said}
    if "cpus" in said:
        host["NanoCpus"] = round(said["cpus"] * 1_000_000_000)
    if "volumes" in said:
        host["Binds"] = _binds(said["volumes"])
    if "tmpfs" in said:
        host["Tmpfs"] = _tmpfs(said["tmpfs"])
    if "extra_hosts" in said:
        host["ExtraHosts"] = [f"{name}:{address}" for name, address in said["extra_hosts"].items()]
    if "ulimits" in said:
        host["Ulimits"] = [_ulimit(name, limit) for name, limit in said["ulimits"].items()]
    if "devices" in said:
        host["Devices"] = [_device(text) for text in said["devices"]]
    if "restart" in said:
        name, _, count = said["restart"].partition(":")
        host["RestartPolicy"] = {"Name": name, "MaximumRetryCount": int(count or 0)}
    if "log_driver" in said or "log_options" in said:
        host["LogConfig"] = {"Type": said.get("log_driver", ""), "Config": dict(said.get("log_options", {}))}
    return host


def _port(port: int | str) -> str:
    text = str(port)
    return text if "/" in text else f"{text}/tcp"


def _bindings(where: HostPort | list[HostPort]) -> list[dict[str, str]]:
    if isinstance(where, list):
        return [_binding(each) for each in where]
    return [_binding(where)]


def _binding(where: HostPort) -> dict[str, str]:
    host, port = where if isinstance(where, tuple) else ("", where)
    return {"HostIp": host, "HostPort": str(port or "")}


def _binds(volumes: Mapping[str, str] | Sequence[str]) -> list[str]:
    if isinstance(volumes, Mapping):
        return [f"{source}:{target}" for source, target in volumes.items()]
    return list(volumes)


def _tmpfs(tmpfs: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    return dict(tmpfs) if isinstance(tmpfs, Mapping) else dict.fromkeys(tmpfs, "")


def _ulimit(name: str, limit: int | tuple[int, int]) -> dict[str, Any]:
    soft, hard = limit if isinstance(limit, tuple) else (limit, limit)
    return {"Name": name, "Soft": soft, "Hard": hard}


def _device(text: str) -> dict[str, str]:
    """`/dev/x`, `/dev/x:/dev/y` or `/dev/x:/dev/y:rwm`."""
    source, _, rest = text.partition(":")
    target, _, permissions = rest.partition(":")
    if not source:
        raise ValueError(f"{text!r} is no device")
    return {"PathOnHost": source, "PathInContainer": target or source, "CgroupPermissions": permissions or "rwm"}


def _health(check: HealthCheck) -> dict[str, Any]:
    test = check.get("test", ())
    body: dict[str, Any] = {"Test": ["CMD-SHELL", test] if isinstance(test, str) else ["CMD", *test]}
    times = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
    for keyword, name in {**times, "start_interval": "StartInterval"}.items():
        if keyword in check:
            body[name] = nanoseconds_of(check[keyword])  # type: ignore[literal-required]
    if "retries" in check:
        body["Retries"] = check["retries"]
    return body
