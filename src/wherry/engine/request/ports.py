"""Ports as clients write them: `80/tcp`, host ranges, into port requests."""

from wherry.model.config import Config, HostConfig, PortBinding
from wherry.model.errors import InvalidParameter
from wherry.model.network import PortRequest

PROTOCOLS = ("tcp", "udp", "sctp")
PORT_MAX = 65535


def parse_port(text: str) -> tuple[int, str]:
    """`80/tcp` or `80` as (80, "tcp"). Raises InvalidParameter."""
    number, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise InvalidParameter(f"invalid proto: {protocol}")
    if not number.isdecimal() or int(number) > PORT_MAX:
        raise InvalidParameter(f"invalid port specification: {text!r}".replace("'", '"'))
    return int(number), protocol


def port_requests(config: Config, host_config: HostConfig) -> tuple[PortRequest, ...]:
    """What must be published: the bindings, and with publish-all every exposed port that has none."""
    requests = [
        _request(port, binding)
        for port, bindings in sorted((host_config.port_bindings or {}).items(), key=_by_port)
        for binding in bindings or (PortBinding(),)
    ]
    if host_config.publish_all_ports:
        bound = {(request.container_port, request.protocol) for request in requests}
        exposed = {parse_port(port) for port in config.exposed_ports or {}}
        requests += [
            PortRequest(container_port=number, protocol=protocol) for number, protocol in sorted(exposed - bound)
        ]
    return tuple(requests)


def _by_port(item: tuple[str, object]) -> tuple[int, str]:
    return parse_port(item[0])


def _request(port: str, binding: PortBinding) -> PortRequest:
    number, protocol = parse_port(port)
    first, last = _host_range(binding.host_port)
    return PortRequest(
        container_port=number,
        protocol=protocol,
        host_ip=binding.host_ip,
        host_port_first=first,
        host_port_last=last,
    )


def _host_range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    bounds = (first or "0", last if dash else first or "0")
    if not all(bound.isdecimal() and int(bound) <= PORT_MAX for bound in bounds):
        raise InvalidParameter(f'invalid port specification: "{text}"')
    low, high = int(bounds[0]), int(bounds[1])
    if high < low:
        raise InvalidParameter(f'invalid port specification: "{text}"')
    return low, high
