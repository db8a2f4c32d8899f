"""The flags that `run` and `create` share, as data."""

from __future__ import annotations

from wherry.cli.flags import BOOL, INT, LIST, STRING, Flag, Kind
from wherry.cli.options.devices import BPS, IOPS, RULE, ULIMIT, WEIGHT
from wherry.cli.options.gpus import GPUS
from wherry.cli.options.mounts import MOUNT
from wherry.cli.options.networks import NETWORK
from wherry.cli.options.quantities import BYTES, BYTES_OR_UNLIMITED, DECIMAL, DURATION, UINT, UINT16


def _attach(text: str) -> str:
    stream = text.lower()
    if stream not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return stream


def _pair(text: str) -> str:
    if not text.partition("=")[0]:
        raise ValueError(f"invalid environment variable: {text}")
    return text


def _label(text: str) -> str:
    if not text.partition("=")[0].strip():
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def _host(text: str) -> str:
    name, sign, address = text.partition("=") if "=" in text else text.partition(":")
    if not name or not sign:
        raise ValueError(f"bad format for add-host: {text!r}".replace("'", '"'))
    if address != "host-gateway":
        _address(address.removeprefix("[").removesuffix("]"), f"invalid IP address in add-host: {address!r}")
    return f"{name}:{address.removeprefix('[').removesuffix(']')}"


def _address(text: str, words: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(words.replace("'", '"')) from None


def _sysctl(text: str) -> str:
    name, equals, _ = text.partition("=")
    if not equals or "." not in name:
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text


def _server(text: str) -> str:
    return _address(text, f"IP address is not correctly formatted: {text}")


def _search(text: str) -> str:
    domain = text.strip()
    if not domain or not all(letter.isalnum() or letter in "-._" for letter in domain):
        raise ValueError(f"{text} is not a valid domain")
    return domain


def _link(text: str) -> str:
    if not text or text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}" if text else "empty string specified for links")
    return text


HOSTS = Kind("list", _host, gathers=True)
SERVERS = Kind("list", _server, gathers=True)
ENV = Kind("list", _pair, gathers=True)
LABELS = Kind("list", _label, gathers=True)
MAP = Kind("map", str, gathers=True)
SYSCTLS = Kind("map", _sysctl, gathers=True)
ATTACH = Kind("list", _attach, gathers=True)

SHARED = (
    Flag("add-host", "", HOSTS, "Add a name and address to the container's hosts file (name:ip)"),
    Flag("annotation", "", MAP, "Add an annotation, handed on to the OCI runtime", shown_default="map[]"),
    Flag("attach", "a", ATTACH, "Attach to stdin, stdout or stderr"),
    Flag("blkio-weight", "", UINT16, "Share of block I/O, 10 to 1000, or 0 for none", default=0, shown_default="0"),
    Flag("blkio-weight-device", "", WEIGHT, "The same for one device (path:weight)", shown_default="[]"),
    Flag("cap-add", "", LIST, "Add a Linux capability"),
    Flag("cap-drop", "", LIST, "Drop a Linux capability"),
    Flag("cgroup-parent", "", STRING, "Parent cgroup of the container"),
    Flag("cgroupns", "", STRING, "Cgroup namespace: host or private; by default as the daemon is configured"),
    Flag("cidfile", "", STRING, "Write the container's ID to this file"),
    Flag("cpu-count", "", INT, "Number of CPUs (Windows only)", hidden=True),
    Flag("cpu-percent", "", INT, "Share of CPU (Windows only)", hidden=True),
    Flag("cpu-period", "", INT, "Period of the CPU quota in microseconds"),
    Flag("cpu-quota", "", INT, "CPU time in each period in microseconds"),
    Flag("cpu-rt-period", "", INT, "Period of the real-time quota in microseconds"),
    Flag("cpu-rt-runtime", "", INT, "Real-time CPU time in each period in microseconds"),
    Flag("cpu-shares", "c", INT, "Share of CPU time, relative to others"),
    Flag("cpus", "", DECIMAL, "Number of CPUs, such as 1.5"),
    Flag("cpuset-cpus", "", STRING, "CPUs to run on (0-3, 0,1)"),
    Flag("cpuset-mems", "", STRING, "Memory nodes to use (0-3, 0,1)"),
    Flag("device", "", LIST, "Add a device of the host (host[:container][:rwm])"),
    Flag("device-cgroup-rule", "", RULE, "Add a rule to the allowed devices (type major:minor rwm)"),
    Flag("device-read-bps", "", BPS, "Limit reading from a device (path:bytes per second)", shown_default="[]"),
    Flag("device-read-iops", "", IOPS, "Limit reading from a device (path:operations per second)", shown_default="[]"),
    Flag("device-write-bps", "", BPS, "Limit writing to a device (path:bytes per second)", shown_default="[]"),
    Flag("device-write-iops", "", IOPS, "Limit writing to a device (path:operations per second)", shown_default="[]"),
    Flag("dns", "", SERVERS, "Use this DNS server"),
    Flag("dns-opt", "", LIST, "The same as --dns-option", hidden=True),
    Flag("dns-option", "", LIST, "Set a resolver option"),
    Flag("dns-search", "", Kind("list", _search, gathers=True), "Search this DNS domain"),
    Flag("domainname", "", STRING, "NIS domain name of the container"),
    Flag("entrypoint", "", STRING, "Run this instead of the image's entrypoint"),
    Flag("env", "e", ENV, "Set an environment variable"),
    Flag("env-file", "", LIST, "Read environment variables from a file"),
    Flag("expose", "", LIST, "Expose a port or a range of ports"),
    Flag("gpus", "", GPUS, "Add GPUs (all, a number, or device=..., capabilities=..., driver=...)"),
    Flag("group-add", "", LIST, "Join an additional group"),
    Flag("health-cmd", "", STRING, "Command that checks health"),
    Flag("health-interval", "", DURATION, "Time between checks (ms|s|m|h)", default=0, shown_default="0s"),
    Flag("health-retries", "", INT, "Failures in a row until unhealthy"),
    Flag(
        "health-start-interval",
        "",
        DURATION,
        "Time between checks at the start (ms|s|m|h)",
        default=0,
        shown_default="0s",
    ),
    Flag(
        "health-start-period",
        "",
        DURATION,
        "Time in which failures do not count (ms|s|m|h)",
        default=0,
        shown_default="0s",
    ),
    Flag("health-timeout", "", DURATION, "Longest time of one check (ms|s|m|h)", default=0, shown_default="0s"),
    Flag("hostname", "h", STRING, "Host name of the container"),
    Flag("init", "", BOOL, "Run an init that forwards signals and reaps processes"),
    Flag("interactive", "i", BOOL, "Keep standard input open"),
    Flag("io-maxbandwidth", "", BYTES, "Limit of I/O bytes (Windows only)", default=0, hidden=True),
    Flag("io-maxiops", "", UINT, "Limit of I/O operations (Windows only)", default=0, hidden=True),
    Flag("ip", "", STRING, "IPv4 address (172.30.100.104)"),
    Flag("ip6", "", STRING, "IPv6 address (2001:db8::33)"),
    Flag("ipc", "", STRING, "IPC namespace: private, shareable, host, none, container:NAME"),
    Flag("isolation", "", STRING, "Isolation technology (Windows only)"),
    Flag("kernel-memory", "", BYTES, "Limit of kernel memory", default=0, hidden=True),
    Flag("label", "l", LABELS, "Set a label"),
    Flag("label-file", "", LIST, "Read labels from a file"),
    Flag("link", "", Kind("list", _link, gathers=True), "Link to another container (name[:alias])"),
    Flag("link-local-ip", "", SERVERS, "Link-local address"),
    Flag("log-driver", "", STRING, "Log driver of the container"),
    Flag("log-opt", "", LIST, "Option of the log driver"),
    Flag("mac-address", "", STRING, "MAC address (92:d0:c6:0a:29:33)"),
    Flag("memory", "m", BYTES, "Limit of memory", default=0),
    Flag("memory-reservation", "", BYTES, "Memory to shrink to when the host is short of it", default=0),
    Flag("memory-swap", "", BYTES_OR_UNLIMITED, "Limit of memory and swap together, -1 for unlimited swap", default=0),
    Flag("memory-swappiness", "", INT, "Readiness to swap, 0 to 100", default=-1),
    Flag("mount", "", MOUNT, "Attach a file system (type=bind,source=…,target=…)"),
    Flag("name", "", STRING, "Name of the container"),
    Flag("net", "", NETWORK, "The same as --network", hidden=True),
    Flag("net-alias", "", LIST, "The same as --network-alias", hidden=True),
    Flag("network", "", NETWORK, "Connect to a network: bridge, host, none, container:NAME, or a network's name"),
    Flag("network-alias", "", LIST, "Further name of the container in its network"),
    Flag("no-healthcheck", "", BOOL, "Switch off the image's health check"),
    Flag("oom-kill-disable", "", BOOL, "Never kill when memory runs out"),
    Flag("oom-score-adj", "", INT, "Readiness of the host to kill it when memory runs out (-1000 to 1000)"),
    Flag("pid", "", STRING, "PID namespace: host or container:NAME"),
    Flag("pids-limit", "", INT, "Limit of processes, -1 for none"),
    Flag("platform", "", STRING, "Platform of the image (os[/arch[/variant]])"),
    Flag("privileged", "", BOOL, "Give all privileges of the host's root"),
    Flag("publish", "p", LIST, "Publish a port ([[address:][hostPort]:]containerPort[/protocol])"),
    Flag("publish-all", "P", BOOL, "Publish all exposed ports on random ports"),
    Flag("pull", "", STRING, 'When to pull the image ("always", "missing", "never")', default="missing"),
    Flag("quiet", "q", BOOL, "Show no pull progress"),
    Flag("read-only", "", BOOL, "Mount the root file system read-only"),
    Flag("restart", "", STRING, "When to restart: no, always, unless-stopped, on-failure[:count]", default="no"),
    Flag("rm", "", BOOL, "Remove the container and its anonymous volumes when it ends"),
    Flag("runtime", "", STRING, "Runtime of the container"),
    Flag("security-opt", "", LIST, "Security option: seccomp=, apparmor=, label=, no-new-privileges, systempaths="),
    Flag("shm-size", "", BYTES, "Size of /dev/shm", default=0),
    Flag("stop-signal", "", STRING, "Signal that stops the container"),
    Flag("stop-timeout", "", INT, "Seconds until a stopping container is killed"),
    Flag("storage-opt", "", LIST, "Option of the storage driver"),
    Flag("sysctl", "", SYSCTLS, "Set a kernel parameter (name=value)", shown_default="map[]"),
    Flag("tmpfs", "", LIST, "Mount a tmpfs (path[:options])"),
    Flag("tty", "t", BOOL, "Give it a terminal"),
    Flag("ulimit", "", ULIMIT, "Set a resource limit (name=soft[:hard])", shown_default="[]"),
    Flag("user", "u", STRING, "User and group (name|uid[:group|gid])"),
    Flag("userns", "", STRING, "User namespace: host"),
    Flag("uts", "", STRING, "UTS namespace: host"),
    Flag("volume", "v", LIST, "Mount a volume or a directory ([source:]target[:options])"),
    Flag("volume-driver", "", STRING, "Driver of new volumes"),
    Flag("volumes-from", "", LIST, "Mount what another container mounts"),
    Flag("workdir", "w", STRING, "Working directory"),
)
