"""Where lines are sent: `proto://host:port` and paths of sockets, as dockerd's drivers read them."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import unquote

from wherry.model.errors import InvalidParameter

UNIX = ("unix", "unixgram")


@dataclass(frozen=True, slots=True)
class Address:
    """A server: `scheme` and either host and port, or the path of a unix socket."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def target(self) -> str:
        """As Go writes it in what it says of a connection."""
        if self.scheme in UNIX:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Parts:
    """A URL taken apart: the port as text, empty for none."""

    scheme: str
    host: str
    port: str
    path: str


def take_apart(url: str) -> Parts:
    """A URL's scheme, host, port and path. Raises InvalidParameter in the words of Go's net/url."""
    scheme, colon, rest = url.partition("://")
    if not colon:
        return Parts("", "", "", url)
    authority, slash, path = rest.partition("/")
    host, port = _host_and_port(url, authority)
    return Parts(scheme.lower(), host, port, unquote(slash + path))


def port_number(text: str, default: int) -> int:
    """A port; the default for none. Raises InvalidParameter."""
    number = int(text) if text else default
    if number > 65535:
        raise InvalidParameter(f"address {text}: invalid port")
    return number


def _host_and_port(url: str, authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        if not bracket:
            raise InvalidParameter(f"parse \"{url}\": missing ']' in host")
        _check_v6(url, host)
    else:
        host, colon, rest = authority.partition(":")
        rest = colon + rest
    port = rest.removeprefix(":")
    if rest and not (rest.startswith(":") and (not port or (port.isascii() and port.isdecimal()))):
        raise InvalidParameter(f'parse "{url}": invalid port "{rest}" after host')
    return host, port


def _check_v6(url: str, host: str) -> None:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise InvalidParameter(f'parse "{url}": invalid host "{host}"') from None
