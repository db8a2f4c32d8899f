"""Where a daemon listens and how to get there, read from flags and environment as docker does."""

from __future__ import annotations

import os

from wherry.client.errors import BadAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "unix:///run/wherry.sock"
SCHEMES = ("unix", "tcp", "http", "https", "ssh", "fd", "npipe")
PORT_PLAIN = 2375
PORT_TLS = 2376


class Tls:
    """The files that prove who we are and whom we trust; `verify` checks the daemon's certificate and name."""

    __slots__ = ("ca", "certificate", "key", "verify")

    def __init__(self, *, verify: bool, ca: str = "", certificate: str = "", key: str = "") -> None:
        self.verify = verify
        self.ca = ca
        self.certificate = certificate
        self.key = key


class Address:
    """One place a daemon may listen at.

    `scheme` is unix, tcp or ssh; `path` is the socket file (unix) or the path before the API's own (tcp);
    `host`, `port` and `user` are "" or 0 where the scheme has none.
    """

    __slots__ = ("host", "path", "port", "scheme", "text", "user")

    def __init__(
        self, scheme: str, text: str, *, path: str = "", host: str = "", port: int = 0, user: str = ""
    ) -> None:
        self.scheme = scheme
        self.text = text
        self.path = path
        self.host = host
        self.port = port
        self.user = user


def from_environment(environ: Mapping[str, str]) -> str:
    """The address of the user's choice: WHERRY_HOST, then DOCKER_HOST, then our own socket."""
    return environ.get("WHERRY_HOST") or environ.get("DOCKER_HOST") or DEFAULT


def parse(text: str, *, tls: bool = False) -> Address:
    """`text` such as `unix:///run/x.sock`, `tcp://host:2376`, `ssh://me@host:22` or bare `host:2375`.

    Raises BadAddress in docker's words.
    """
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tcp", text
    if scheme == "unix":
        return Address("unix", f"unix://{rest or DEFAULT[7:]}", path=rest or DEFAULT[7:])
    if scheme in ("tcp", "http", "https"):
        return _tcp(rest, tls=tls, scheme=scheme)
    if scheme == "ssh":
        return _ssh(text, rest)
    raise BadAddress(f'invalid bind address ({text}): unsupported proto "{scheme}"')


def _tcp(rest: str, *, tls: bool, scheme: str) -> Address:
    where, slash, path = rest.partition("/")
    host, port = _host_and_port(where, rest)
    port = port or (PORT_TLS if tls else PORT_PLAIN)
    shown = f"[{host}]" if ":" in host else host
    path = (slash + path).rstrip("/")
    named = "tcp" if scheme == "tcp" else scheme
    return Address("tcp", f"{named}://{shown}:{port}{path}", host=host, port=port, path=path)


def _host_and_port(where: str, whole: str) -> tuple[str, int]:
    if where.startswith("["):
        host, bracket, port = where[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise BadAddress(f"invalid bind address ({whole}): missing ']' in address")
        port = port[1:]
    else:
        host, _, port = where.partition(":")
    if port and not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise BadAddress(f"invalid bind address ({whole}): invalid port: {port}")
    return host or "localhost", int(port or 0)


def _ssh(text: str, rest: str) -> Address:
    where, _, path = rest.partition("/")
    user, at, host_text = where.rpartition("@")
    if ":" in user:
        raise BadAddress("invalid SSH URL: plain-text password is not supported")
    if path:
        raise BadAddress(f'invalid SSH URL: extra path after the host: "/{path}"')
    host, port = _host_and_port(host_text, text)
    if not host_text or (at and not user):
        raise BadAddress(f"invalid SSH URL: no host specified: {text}")
    if host.startswith("-") or user.startswith("-"):
        raise BadAddress(f"invalid SSH URL: a name must not begin with a dash: {text}")
    return Address("ssh", text, host=host, port=port, user=user)


def tls_from(environ: Mapping[str, str], *, config_dir: str) -> Tls | None:
    """TLS as DOCKER_TLS, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ask for it; None for plain connections."""
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not environ.get("DOCKER_TLS"):
        return None
    return tls_in(environ.get("DOCKER_CERT_PATH") or config_dir, verify=verify)


def tls_in(directory: str, *, verify: bool) -> Tls:
    """The three files under their usual names in `directory`; a file that is not there is not used."""

    def existing(name: str) -> str:
        path = os.path.join(directory, name)
        return path if os.path.exists(path) else ""

    return Tls(verify=verify, ca=existing("ca.pem"), certificate=existing("cert.pem"), key=existing("key.pem"))
