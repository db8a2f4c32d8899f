"""`-p` and `--expose`: which ports of a container are reached from where.

`[[address:][hostPort]:]containerPort[/protocol]`, ports as ranges too; IPv6 addresses in brackets; or the long
form `target=80,published=8080,protocol=tcp,mode=ingress`.
"""

from __future__ import annotations

from wherry.cli.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROTOCOLS = ("tcp", "udp", "sctp")
PORT_MAX = 65535

Ports = dict[str, dict[str, str]]
Bindings = dict[str, list[dict[str, str]]]


def published(specs: list[str]) -> tuple[Ports, Bindings]:
    """Exposed ports and bindings as the API has them. Raises CommandError in docker's words."""
    exposed: Ports = {}
    bindings: Bindings = {}
    for spec in specs:
        for port, binding in _one(_from_long(spec) if "=" in spec else spec):
            exposed[port] = {}
            bindings.setdefault(port, []).append(binding)
    return exposed, bindings


def exposed_only(specs: list[str], exposed: Ports) -> None:
    """Add the ports of `--expose` to `exposed`."""
    for spec in specs:
        if ":" in spec:
            raise CommandError(f"invalid port format for --expose: {spec}")
        protocol, port = split_protocol(spec)
        try:
            first, last = port_range(port)
        except ValueError as error:
            raise CommandError(f"invalid range format for --expose: {spec}, error: {error}") from None
        for number in range(first, last + 1):
            exposed.setdefault(f"{number}/{protocol}", {})


def split_protocol(spec: str) -> tuple[str, str]:
    """Protocol, tcp by default, and port of `80/udp`."""
    port, slash, protocol = spec.partition("/")
    if not port:
        return "", ""
    return (protocol if slash and protocol else "tcp"), port


def port_range(text: str) -> tuple[int, int]:
    """First and last of `80` or `80-90`. ValueError in docker's words."""
    if not text:
        raise ValueError("empty string specified for ports")
    first_text, dash, last_text = text.partition("-")
    first = _number(first_text)
    last = _number(last_text) if dash else first
    if last < first:
        raise ValueError(f"invalid range specified for port: {text}")
    return first, last


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > PORT_MAX:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _one(raw: str) -> list[tuple[str, dict[str, str]]]:
    """Each port of one specification, and where it is published."""
    address, host_port, container_port = _parts(raw)
    protocol, container_port = split_protocol(container_port)
    address = _address(address)
    if not container_port:
        raise CommandError(f"no port specified: {raw}<empty>")
    first, last = _range_or_fail(container_port, f"invalid containerPort: {container_port}")
    host_first = host_last = 0
    if host_port:
        host_first, host_last = _range_or_fail(host_port, f"invalid hostPort: {host_port}")
    if host_port and last - first != host_last - host_first and first != last:
        raise CommandError(f"invalid ranges specified for container and host Ports: {container_port} and {host_port}")
    if protocol.lower() not in PROTOCOLS:
        raise CommandError(f"invalid proto: {protocol}")
    found: list[tuple[str, dict[str, str]]] = []
    for offset in range(last - first + 1):
        shown = str(host_first + offset) if host_port else ""
        if host_port and first == last and host_first != host_last:
            # One port of the container, any one out of a range of the host's.
            shown = f"{host_first}-{host_last}"
        found.append((f"{first + offset}/{protocol.lower()}", {"HostIp": address, "HostPort": shown}))
    return found


def _parts(raw: str) -> tuple[str, str, str]:
    """Address, port of the host, port of the container; what is not said is empty."""
    left, colon, container = raw.rpartition(":")
    if not colon:
        return "", "", raw
    address, colon, host = left.rpartition(":")
    return (address, host, container) if colon else ("", left, container)


def _address(text: str) -> str:
    if not text:
        return ""
    import ipaddress

    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        raise CommandError(f"invalid IP address: {text}") from None
    return bare


def _range_or_fail(text: str, words: str) -> tuple[int, int]:
    try:
        return port_range(text)
    except ValueError:
        raise CommandError(words) from None


def _from_long(spec: str) -> str:
    """`target=80,published=8080` in the short form."""
    found: dict[str, str] = {"target": "", "published": "", "protocol": "tcp", "mode": "ingress"}
    for field in spec.split(","):
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise CommandError(f"invalid field: {field}")
        if key not in found:
            raise CommandError(f"invalid field key: {key}")
        found[key] = value.strip().lower()
    if found["protocol"] not in PROTOCOLS:
        raise CommandError(f"invalid protocol value: {found['protocol']}")
    if found["mode"] not in ("ingress", "host"):
        raise CommandError(f"invalid publish mode value: {found['mode']}")
    return f"{found['published']}:{found['target']}/{found['protocol']}"


def order(bindings: Bindings) -> list[tuple[str, Any]]:
    """Bindings sorted by port, for showing."""
    return sorted(bindings.items(), key=lambda item: (int(item[0].partition("/")[0] or 0), item[0]))
