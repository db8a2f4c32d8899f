"""Where a registry is spoken with: endpoints in order, mirrors, plain HTTP for the insecure, certificates per host.

As dockerd's: `docker.io` is served by registry-1.docker.io after its mirrors; a registry is insecure when it is named
by `--insecure-registry` or an address of it lies in an insecure network, 127.0.0.0/8 and ::1 always among them. An
insecure one is tried over TLS without verification, then in plain HTTP. `CERTS_DIR/HOST[:PORT]/` holds `*.crt` (CAs)
and pairs of `*.cert` and `*.key`.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from wherry.model.errors import InvalidParameter
from wherry.oci.reference import DEFAULT_DOMAIN

HUB = "registry-1.docker.io"
PORT_MAX = 65535
LOOPBACK = ("127.0.0.0/8", "::1/128")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """The daemon's options: hosts or networks without verified TLS, mirrors of docker.io, certificates."""

    insecure: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    certs_dir: Path = Path("/etc/docker/certs.d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place to speak with: `base` is `scheme://host[:port][/prefix]` without a slash at its end."""

    base: str
    is_mirror: bool = False
    tls: ssl.SSLContext | None = field(default=None, compare=False)

    @property
    def is_plain(self) -> bool:
        """Whether it is spoken with unencrypted."""
        return self.base.startswith("http://")


def check_mirror(url: str) -> str:
    """A mirror's address without its last slash. Raises InvalidParameter, in dockerd's words."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise InvalidParameter(
            f"invalid mirror: no scheme specified for {url!r}: must use either 'https://' or 'http://'"
        )
    if parts.query or parts.fragment:
        raise InvalidParameter(f"invalid mirror: query or fragment at end of the URI {url!r}")
    if parts.username or parts.password:
        raise InvalidParameter("invalid mirror: username/password not allowed in URI")
    return url.rstrip("/")


async def endpoints(domain: str, options: RegistryOptions, *, mirrored: bool) -> tuple[Endpoint, ...]:
    """Where to look for a domain, best first; mirrors only for reading. Raises InvalidParameter."""
    _, colon, port = domain.rpartition(":")
    if colon and port.isdecimal() and int(port[:6]) > PORT_MAX:
        raise InvalidParameter(f'Get "https://{domain}/v2/": dial tcp: address {port}: invalid port')
    if domain != DEFAULT_DOMAIN:
        return await _endpoints_of(domain, options)
    places = [await _mirror(url, options) for url in options.mirrors] if mirrored else []
    return (*places, Endpoint(base=f"https://{HUB}", tls=_tls(HUB, options, verify=True)))


async def _endpoints_of(host: str, options: RegistryOptions) -> tuple[Endpoint, ...]:
    insecure = await is_insecure(host, options)
    secured = Endpoint(base=f"https://{host}", tls=_tls(host, options, verify=not insecure))
    return (secured, Endpoint(base=f"http://{host}")) if insecure else (secured,)


async def _mirror(url: str, options: RegistryOptions) -> Endpoint:
    base = check_mirror(url)
    host = urlsplit(base).netloc
    tls = None if base.startswith("http://") else _tls(host, options, verify=not await is_insecure(host, options))
    return Endpoint(base=base, is_mirror=True, tls=tls)


async def is_insecure(host: str, options: RegistryOptions) -> bool:
    """Whether a host[:port] may be spoken with without verified TLS."""
    if host in options.insecure:
        return True
    networks = _networks((*LOOPBACK, *options.insecure))
    addresses = await _addresses(host)
    return any(address in network for address in addresses for network in networks)


def _networks(texts: Iterable[str]) -> list[Network]:
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            continue  # a host name, which is compared as it stands
    return found


async def _addresses(host: str) -> list[Address]:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return [ipaddress.ip_address(name)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter for what can be no host's name at all
        return []  # who cannot be found is not on a trusted network; connecting will say why
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _tls(host: str, options: RegistryOptions, *, verify: bool) -> ssl.SSLContext:
    directory = options.certs_dir / host
    files = sorted(directory.iterdir()) if directory.is_dir() else []
    if not files:
        return _plain_context(verify)
    context = _new_context(verify)
    for file in files:
        if file.suffix == ".crt":
            context.load_verify_locations(cafile=file)
        elif file.suffix == ".cert":
            _load_pair(context, file)
        elif file.suffix == ".key" and not file.with_suffix(".cert").exists():
            raise InvalidParameter(f"missing client certificate {file.with_suffix('.cert').name} for key {file.name}")
    return context


def _load_pair(context: ssl.SSLContext, certificate: Path) -> None:
    key = certificate.with_suffix(".key")
    if not key.exists():
        raise InvalidParameter(
            f"missing key {key.name} for client certificate {certificate.name}. "
            "CA certificates must use the extension .crt"
        )
    context.load_cert_chain(certificate, key)


@cache
def _plain_context(verify: bool) -> ssl.SSLContext:
    return _new_context(verify)


def _new_context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
