"""Links as clients write them, and the environment variables that Docker makes of one (moby `daemon/links`)."""

from collections.abc import Iterable, Iterator
from posixpath import basename

from wherry.engine.request.ports import parse_port
from wherry.model.errors import InvalidParameter

Port = tuple[int, str]
# Variables of the linked container that say nothing about its service.
_LEFT_OUT = ("HOME", "PATH")


def parse_link(text: str) -> tuple[str, str]:
    """`NAME:ALIAS`, `NAME`, or `/NAME:/ME/ALIAS` as inspect shows it, as name and alias. Raises InvalidParameter."""
    if not text:
        raise InvalidParameter("empty string specified for links")
    name, *rest = text.split(":")
    if len(rest) > 1:
        raise InvalidParameter(f"bad format for links: {text}")
    if not rest:
        return name, name
    return (name[1:], basename(rest[0])) if name.startswith("/") else (name, rest[0])


def link_environment(name: str, address: str, *, environment: Iterable[str], exposed: Iterable[str]) -> list[str]:
    """The variables of one link: `name` is its whole name (`/me/db`), the others are the linked container's."""
    prefix = basename(name).upper().replace("-", "_")
    ports = sorted((parse_port(port) for port in exposed), key=lambda port: (port[1] != "tcp", *port))
    found = [f"{prefix}_PORT={_url(port, address)}" for port in ports[:1]]
    for port in ports:
        found += _variables_of(f"{prefix}_{_stem(port)}", port, address)
    for first, last in _ranges(ports):
        found += _variables_of_range(f"{prefix}_{_stem(first)}", first, last, address)
    found.append(f"{prefix}_NAME={name}")
    said = [entry.partition("=") for entry in environment]
    found += [f"{prefix}_ENV_{key}={value}" for key, sign, value in said if sign and key not in _LEFT_OUT]
    return found


def _variables_of(stem: str, port: Port, address: str) -> list[str]:
    number, protocol = port
    return [
        f"{stem}={_url(port, address)}",
        f"{stem}_ADDR={address}",
        f"{stem}_PORT={number}",
        f"{stem}_PROTO={protocol}",
    ]


def _variables_of_range(stem: str, first: Port, last: Port, address: str) -> list[str]:
    return [
        f"{stem}_START={_url(first, address)}",
        f"{stem}_PORT_START={first[0]}",
        f"{stem}_END={_url(last, address)}",
        f"{stem}_PORT_END={last[0]}",
    ]


def _ranges(ports: list[Port]) -> Iterator[tuple[Port, Port]]:
    """Where consecutive numbers of one protocol begin and end."""
    known = set(ports)
    for number, protocol in ports:
        if (number - 1, protocol) in known or (number + 1, protocol) not in known:
            continue
        last = number
        while (last + 1, protocol) in known:
            last += 1
        yield (number, protocol), (last, protocol)


def _stem(port: Port) -> str:
    return f"PORT_{port[0]}_{port[1].upper()}"


def _url(port: Port, address: str) -> str:
    return f"{port[1]}://{address}:{port[0]}"
