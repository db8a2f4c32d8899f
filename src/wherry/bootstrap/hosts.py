"""Where the daemon listens: `unix://`, `tcp://` and `fd://` as values."""

import re
from dataclasses import dataclass

DEFAULT_HOST = "unix:///run/wherry.sock"
DEFAULT_ADDRESS = "127.0.0.1"
PORT = 2375
TLS_PORT = 2376

_PORT = re.compile(r"\d{1,5}")


@dataclass(frozen=True, slots=True)
class UnixHost:
    """A socket in the file system."""

    path: str


@dataclass(frozen=True, slots=True)
class TcpHost:
    """An address and a port; port 0 is any free one. The default port depends on TLS."""

    address: str
    port: int | None


@dataclass(frozen=True, slots=True)
class InheritedHost:
    """Sockets that systemd gave: all of them, or one by its number or name."""

    which: str


Host = UnixHost | TcpHost | InheritedHost


def checked_host(text: str) -> str:
    """The text itself, when it is a host. Raises ValueError."""
    parse_host(text)
    return text.strip()


def parse_host(text: str) -> Host:
    """Read a host; a bare `host:port` is TCP, an empty text the default. Raises ValueError in dockerd's words."""
    text = text.strip() or DEFAULT_HOST
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tcp", text
    match scheme:
        case "unix":
            return UnixHost(rest or DEFAULT_HOST.removeprefix("unix://"))
        case "fd":
            return InheritedHost(rest)
        case "tcp":
            return _tcp(text, rest)
        case _:
            raise ValueError(f"invalid bind address ({text}): unsupported proto '{scheme}'")


def _tcp(text: str, rest: str) -> TcpHost:
    address, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        address, port = rest, ""
    if "/" in rest:
        raise ValueError(f"invalid bind address ({text}): should not contain a path element")
    if port and not (_PORT.fullmatch(port) and int(port) < 65536):
        raise ValueError(f'invalid bind address ({text}): parse "{text}": invalid port ":{port}" after host')
    return TcpHost(address.strip("[]") or DEFAULT_ADDRESS, int(port) if port else None)
