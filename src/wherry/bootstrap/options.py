"""dockerd's options: those that are served, with their help, and those that are refused by name."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from wherry.bootstrap.flags import (
    Flag,
    FlagError,
    Value,
    address,
    address_pool,
    dns_server,
    domain,
    label,
    mirror,
    number,
    pair,
    size,
    switch,
    ulimit,
)
from wherry.bootstrap.hosts import checked_host

CONFIG_FILE = "/etc/wherry/daemon.json"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - dockerd's default for published ports
CERTIFICATES = "/etc/wherry"


def _flag(name: str, text: str, **more: Any) -> Flag:  # noqa: ANN401 - the fields of Flag
    return Flag(name=name, help=text, **{"key": name, **more})


_switch = partial(_flag, parse=switch)
_text = partial(_flag, kind="string")
_number = partial(_flag, kind="int", parse=number)
_list = partial(_flag, kind="list", collects=list)
_map = partial(_flag, kind="map", collects=dict)

SERVED = (
    _text("bip", "IPv4 address for the default bridge"),
    _text("bridge", "Attach containers to a network bridge", shorthand="b"),
    _text("cgroup-parent", "Set parent cgroup for all containers"),
    _text("config-file", "Daemon configuration file", key="", default=f'"{CONFIG_FILE}"'),
    _text("data-root", "Root directory of persistent state", default='"/var/lib/wherry"'),
    _switch("debug", "Enable debug mode", shorthand="D"),
    _list(
        "default-address-pool",
        "Default address pools for node specific local networks",
        key="default-address-pools",
        parse=address_pool,
        kind="pool-options",
    ),
    _text("default-cgroupns-mode", 'Default mode for containers cgroup namespace ("host" | "private")'),
    _text("default-ipc-mode", "Default mode for containers ipc; no other is served", default='"private"'),
    _text("default-runtime", "Default OCI runtime for containers", default='"runc"'),
    _text("default-shm-size", "Default shm size for containers", default="64MiB", parse=size, kind="bytes"),
    _map("default-ulimit", "Default ulimits for containers", key="default-ulimits", parse=ulimit, kind="ulimit"),
    _list("cdi-spec-dir", "CDI specification directories to use", key="cdi-spec-dirs"),
    _list("dns", "DNS server to use", parse=dns_server, kind="ipSlice"),
    _list("dns-opt", "DNS options to use", key="dns-opts"),
    _list("dns-search", "DNS search domains to use", parse=domain),
    _list("exec-opt", "Runtime execution options", key="exec-opts"),
    _text("exec-root", "Root directory for execution state files", default='"/run/wherry"'),
    _switch("experimental", "Enable experimental features"),
    _text("fixed-cidr", "IPv4 subnet for the default bridge network"),
    _text("group", "Group for the unix socket", shorthand="G", default='"docker"'),
    _switch("help", "Print usage", key=""),
    _list("host", "Daemon socket(s) to connect to", shorthand="H", key="hosts", parse=checked_host),
    _list(
        "host-gateway-ip",
        "IP addresses that the special 'host-gateway' string in --add-host resolves to",
        key="host-gateway-ips",
        parse=address,
    ),
    _text("http-proxy", "HTTP proxy URL to use for outgoing traffic"),
    _text("https-proxy", "HTTPS proxy URL to use for outgoing traffic"),
    _switch("icc", "Enable inter-container communication for the default bridge network", default="true"),
    _switch("init", "Run an init in the container to forward signals and reap processes"),
    _text("init-path", "Path to the docker-init binary"),
    _list("insecure-registry", "Enable insecure registry communication", key="insecure-registries"),
    _text(
        "ip",
        "Host IP for port publishing from the default bridge network",
        default=ANY_ADDRESS,
        parse=address,
        kind="ip",
    ),
    _switch("ip-forward", "Enable IP forwarding in system configuration", default="true"),
    _switch("ip-forward-no-drop", "Keep other forwarded traffic allowed when enabling IP forwarding"),
    _switch("ip-masq", "Enable IP masquerading for the default bridge network", default="true"),
    _switch("iptables", "Keep firewall rules, in nftables; they cannot be switched off", default="true"),
    _list("label", "Set key=value labels to the daemon", key="labels", parse=label),
    _switch("live-restore", "Containers outlive the daemon; this cannot be switched off", default="true"),
    _text("log-driver", "Default driver for container logs", default='"json-file"'),
    _text("log-format", 'Set the logging format ("text"|"json")', default='"text"'),
    _text(
        "log-level", 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")', shorthand="l", default='"info"'
    ),
    _map("log-opt", "Default log driver options for containers", key="log-opts", parse=pair),
    _number("max-concurrent-downloads", "Set the max concurrent downloads", default="3"),
    _number("max-concurrent-uploads", "Set the max concurrent uploads", default="5"),
    _number("max-download-attempts", "Set the max download attempts for each pull", default="5"),
    _number("mtu", 'Set the MTU for the default "bridge" network', default="1500"),
    _switch("no-new-privileges", "Set no-new-privileges by default for new containers"),
    _text("no-proxy", "Comma-separated list of hosts or IP addresses for which the proxy is skipped"),
    _text("pidfile", "Path to use for daemon PID file", shorthand="p", default='"/run/wherry.pid"'),
    _number("ready-fd", "Write a line to this descriptor and close it once requests are served", key=""),
    _list("registry-mirror", "Preferred registry mirror", key="registry-mirrors", parse=mirror),
    _text(
        "seccomp-profile",
        'Path to seccomp profile. Set to "unconfined" to disable the default seccomp profile',
        default='"builtin"',
    ),
    _number("shutdown-timeout", "Set the default shutdown timeout", default="15"),
    _text("storage-driver", "Storage driver to use", shorthand="s"),
    _switch("tls", "Use TLS; implied by --tlsverify"),
    _text("tlscacert", "Trust certs signed only by this CA", default=f'"{CERTIFICATES}/ca.pem"'),
    _text("tlscert", "Path to TLS certificate file", default=f'"{CERTIFICATES}/cert.pem"'),
    _text("tlskey", "Path to TLS key file", default=f'"{CERTIFICATES}/key.pem"'),
    _switch("tlsverify", "Use TLS and verify the remote"),
    _switch("userland-proxy", "Use userland proxy for published ports that the firewall cannot serve", default="true"),
    _switch("validate", "Validate daemon configuration and exit", key=""),
    _switch("version", "Print version information and quit", key="", shorthand="v"),
)

# What dockerd has and Wherry does not serve, by flag and, where that differs, by key of the configuration file.
_REFUSED_STRINGS = (
    "add-runtime:runtimes",
    "authorization-plugin:authorization-plugins", "bip6", "containerd",
    "containerd-namespace", "containerd-plugins-namespace", "cpu-rt-period", "cpu-rt-runtime", "default-gateway",
    "default-gateway-v6", "default-network-opt:default-network-opts", "feature:features", "fixed-cidr-v6",
    "metrics-addr", "network-control-plane-mtu", "node-generic-resource:node-generic-resources",
    "storage-opt:storage-opts",
    "swarm-default-advertise-addr", "userland-proxy-path", "userns-remap",
)  # fmt: skip
_REFUSED_SWITCHES = (
    "allow-direct-routing",
    "cri-containerd",
    "ip6tables",
    "ipv6",
    "raw-logs",
    "rootless",
    "selinux-enabled",
)


def _refused(entry: str, kind: str) -> Flag:
    name, _, key = entry.partition(":")
    return Flag(name=name, help="", kind=kind, key=key or name, hidden=True, parse=str if kind else switch)


REFUSED = tuple(_refused(entry, "string") for entry in _REFUSED_STRINGS) + tuple(
    _refused(name, "") for name in _REFUSED_SWITCHES
)
FLAGS = SERVED + REFUSED

_REFUSED_NAMES = frozenset(flag.name for flag in REFUSED)
_ALWAYS_ON = {
    "iptables": "published ports and networks need Wherry's own nftables table",
    "live-restore": "containers always outlive the daemon",
}


def refuse_unserved(said: Mapping[str, Value]) -> None:
    """Raise FlagError for an option that dockerd has and Wherry has not."""
    for name, value in said.items():
        if name in _REFUSED_NAMES and value is not False:
            raise FlagError(f"--{name} is not served by Wherry yet")
        if name in _ALWAYS_ON and value is False:
            raise FlagError(f"--{name}=false is not served by Wherry: {_ALWAYS_ON[name]}")


def usage() -> str:
    """The text of `--help`."""
    rows = [(_left(flag), flag.help + (f" (default {flag.default})" if flag.default else "")) for flag in SERVED]
    width = max(len(left) for left, _ in rows) + 3
    lines = [f"{left.ljust(width)}{text}" for left, text in rows]
    head = ("", "Usage:  wherryd [OPTIONS]", "", "A self-sufficient runtime for containers.", "", "Options:")
    return "\n".join([*head, *lines, ""])


def _left(flag: Flag) -> str:
    short = f"  -{flag.shorthand}, " if flag.shorthand else "      "
    return f"{short}--{flag.name} {flag.kind}".rstrip()
