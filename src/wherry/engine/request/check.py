"""Whether a request makes sense at all, with dockerd's words (moby `daemon/container.go`, `daemon_unix.go`)."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

from wherry.engine.request.ports import parse_port, port_requests
from wherry.engine.request.signals import parse_signal
from wherry.model.config import (
    Config,
    EndpointIpam,
    EndpointRequest,
    Healthcheck,
    HostConfig,
    NetworkingConfig,
    RestartPolicy,
)
from wherry.model.errors import InvalidParameter
from wherry.networks.wishes import interface_sysctls

HEALTH_NANOSECONDS_MIN = 1_000_000
OOM_SCORES = range(-1000, 1001)
PREDEFINED = ("bridge", "host", "none")
Subnets = Callable[[str], Iterable[IPv4Network | IPv6Network]]
POLICIES = ("no", "always", "on-failure", "unless-stopped")


def check(config: Config, host_config: HostConfig) -> None:
    """Raise InvalidParameter for the first thing that can never work."""
    _check_config(config)
    check_restart(host_config)
    _check_modes(host_config)
    _check_network(config, host_config)
    _check_others(host_config)
    port_requests(config, host_config)


def _check_config(config: Config) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    for entry in config.env or ():
        if not entry.partition("=")[0] or "\0" in entry:
            raise InvalidParameter(f"invalid environment variable: {entry}")
    if config.healthcheck:
        _check_health(config.healthcheck)
    if config.stop_signal:
        parse_signal(config.stop_signal)
    for port in config.exposed_ports or {}:
        first, _, _protocol = port.partition("/")
        if "-" not in first:
            parse_port(port)


def _check_health(check: Healthcheck) -> None:
    durations = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }
    for name, nanoseconds in durations.items():
        if nanoseconds and nanoseconds < HEALTH_NANOSECONDS_MIN:
            raise InvalidParameter(f"{name} in Healthcheck cannot be less than 1ms")
    if check.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")


def check_restart(host_config: HostConfig) -> None:
    """Raise InvalidParameter for a policy that does not exist, or not with the automatic removal that is asked for."""
    policy = host_config.restart_policy
    if policy.name and policy.name not in POLICIES:
        raise InvalidParameter(
            f"invalid restart policy: unknown policy '{policy.name}'; use one of 'no', 'always', 'on-failure', "
            "or 'unless-stopped'"
        )
    faults = []
    if policy.maximum_retry_count and policy.name != "on-failure":
        faults.append("can only be used with 'on-failure'")
    if policy.maximum_retry_count < 0:
        faults.append("cannot be negative")
    if faults:
        raise InvalidParameter(f"invalid restart policy: maximum retry count {' and '.join(faults)}")
    if host_config.auto_remove and not restarts_never(policy):
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")


def _check_modes(host_config: HostConfig) -> None:
    """Namespaces: the daemon knows which modes there are; a network's name may be anything."""
    modes = (
        ("PID", host_config.pid_mode, ("", "host"), True),
        ("IPC", host_config.ipc_mode, ("", "host", "private", "none", "shareable"), True),
        ("UTS", host_config.uts_mode, ("", "host"), False),
        ("cgroup namespace", host_config.cgroupns_mode, ("", "host", "private"), False),
    )
    for kind, mode, known, may_join in modes:
        joins = may_join and mode.startswith("container:") and mode != "container:"
        if mode not in known and not joins:
            raise InvalidParameter(f"invalid {kind} mode: {mode}")


def restarts_never(policy: RestartPolicy) -> bool:
    """Whether the policy is the one that does nothing."""
    return policy.name in {"", "no"}


def check_endpoints(host_config: HostConfig, networking: NetworkingConfig, subnets_of: Subnets) -> None:
    """Raise InvalidParameter for what only networks that users make can give (moby validateEndpointSettings)."""
    for name, wish in (networking.endpoints_config or {}).items():
        mode = host_config.network_mode if name in {"", "default"} else name
        mode = "bridge" if mode in {"", "default"} else mode
        problems = _problems_of(wish, mode, subnets_of) if mode in PREDEFINED else _bad_addresses(wish.ipam_config)
        problems += _bad_sysctls(wish)
        if problems:
            mark = "* " if len(problems) > 1 else ""
            listed = "".join(f"\n{mark}{problem}" for problem in problems)
            raise InvalidParameter(f"invalid config for network {mode}: invalid endpoint settings:{listed}")


def _problems_of(wish: EndpointRequest, network: str, subnets_of: Subnets) -> list[str]:
    wanted = wish.ipam_config or EndpointIpam()
    has_address = bool(wanted.ipv4_address or wanted.ipv6_address)
    problems = ["user specified IP address is supported on user defined networks only"] if has_address else []
    if wish.aliases:
        problems.append("network-scoped alias is supported only for containers in user defined networks")
    problems += _bad_addresses(wanted)
    for family, text in ((4, wanted.ipv4_address), (6, wanted.ipv6_address)):
        if text:
            subnets = [subnet for subnet in subnets_of(network) if subnet.version == family]
            problems += _outside(text, subnets)
    return problems


def _outside(text: str, subnets: list[IPv4Network | IPv6Network]) -> list[str]:
    if not subnets:
        where = "only when connecting to networks with user configured subnets"
        return [f"user specified IP address is supported {where}"]
    try:
        is_inside = any(ip_address(text) in subnet for subnet in subnets)
    except ValueError:
        is_inside = False
    return [] if is_inside else [f"no configured subnet or ip-range contain the IP address {text}"]


def _bad_sysctls(wish: EndpointRequest) -> list[str]:
    try:
        interface_sysctls(wish, "")
    except InvalidParameter as error:
        return [str(error)]
    return []


def _bad_addresses(wanted: EndpointIpam | None) -> list[str]:
    if wanted is None:
        return []
    said = (("IPv4", wanted.ipv4_address), ("IPv6", wanted.ipv6_address))
    return [f"invalid {kind} address: {text}" for kind, text in said if text and not _is_address(text, kind)]


def _is_address(text: str, kind: str) -> bool:
    try:
        return ip_address(text).version == (4 if kind == "IPv4" else 6)
    except ValueError:
        return False


def _check_network(config: Config, host_config: HostConfig) -> None:
    mode = host_config.network_mode
    if mode == "container:":
        raise InvalidParameter("invalid network mode: invalid container format container:<name|id>")
    if mode.startswith("container:"):
        _check_shared_network(config, host_config)
    if mode == "host" and host_config.links:
        raise InvalidParameter(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )
    if host_config.uts_mode == "host" and config.hostname:
        raise InvalidParameter("conflicting options: hostname and the UTS mode")


def _check_shared_network(config: Config, host_config: HostConfig) -> None:
    conflicts = {
        "hostname and the network mode": config.hostname,
        "container type network can't be used with links. This would result in undefined behavior": host_config.links,
        "dns and the network mode": host_config.dns,
        "custom host-to-IP mapping and the network mode": host_config.extra_hosts,
        "mac-address and the network mode": config.mac_address,
        "port publishing and the container type network mode": host_config.port_bindings
        or host_config.publish_all_ports,
        "port exposing and the container type network mode": config.exposed_ports,
    }
    for words, value in conflicts.items():
        if value:
            raise InvalidParameter(f"conflicting options: {words}")


def _check_others(host_config: HostConfig) -> None:
    if "" in (host_config.annotations or {}):
        raise InvalidParameter("invalid Annotations: the empty string is not permitted as an annotation key")
    if host_config.oom_score_adj not in OOM_SCORES:
        raise InvalidParameter(f"Invalid value {host_config.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if host_config.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    for ulimit in host_config.ulimits or ():
        if ulimit.soft > ulimit.hard != -1:
            raise InvalidParameter(
                f"invalid ulimit: {ulimit.name}: ulimit soft limit must be less than or equal to hard limit: "
                f"{ulimit.soft} > {ulimit.hard}"
            )
