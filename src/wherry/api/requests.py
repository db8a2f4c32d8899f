"""Bodies of requests that are no records of the engine's, and what older clients meant by theirs."""

import re

from msgspec import Struct
from msgspec.structs import replace

from wherry.api.forms import quoted
from wherry.api.shape import fields_said, shape
from wherry.api.syntax import Json
from wherry.api.versions import Version
from wherry.engine.request.mac import settle_as_before_1_44
from wherry.model.config import (
    Config,
    CreateRequest,
    Healthcheck,
    HostConfig,
    MountRequest,
    NetworkingConfig,
    UpdateRequest,
)
from wherry.model.errors import InvalidParameter
from wherry.oci.reference import DEFAULT_DOMAIN

_AUTHORITY_END = re.compile(r"[/?#]")
_ESCAPE = re.compile(r"%.{0,2}")
_ODD_IN_HOST = re.compile(r"[\x00-\x20^`{|}\\]")


class ExecStart(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of `POST /exec/{id}/start`."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


class VolumeRequest(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of `POST /volumes/create`."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: dict[str, object] | None = None


class AuthRequest(Struct, frozen=True, kw_only=True):
    """The body of `POST /auth`."""

    username: str = ""
    password: str = ""
    serveraddress: str = ""
    identitytoken: str = ""


def registry_domain(address: str) -> str:
    """The registry that a server address names: a bare host, or a URL as the command line keeps it for Docker Hub.

    Raises InvalidParameter in the words of dockerd and of Go's net/url.
    """
    if not address:
        return DEFAULT_DOMAIN
    url = address if address.startswith(("https://", "http://")) else f"https://{address}"
    wrong = _fault(url)
    if wrong:
        raise InvalidParameter(f"unable to parse server address: parse {quoted(url)}: {wrong}")
    host = _host(url)
    if not host or host.startswith(":") or (host.count(":") > 1 and "[" not in host):
        raise InvalidParameter(f'Get "https://{host}/v2/": http: no Host in request URL')
    return DEFAULT_DOMAIN if host in {"index.docker.io", "registry-1.docker.io"} else host


def _host(url: str) -> str:
    """The host and the port; who is at it (`user@`) is not asked."""
    authority = _AUTHORITY_END.split(url.partition("://")[2], maxsplit=1)[0]
    return authority.rpartition("@")[2].removesuffix(":")


def _fault(url: str) -> str:
    """What Go's net/url finds wrong with the host, empty when it is right."""
    if any(ord(character) < 0x20 or character == "\x7f" for character in url):
        return "net/url: invalid control character in URL"
    host = _host(url)
    if host.startswith("[") and "]" not in host:
        return "missing ']' in host"
    name, colon, port = host.rpartition("]" if host.startswith("[") else ":")
    port = port if host.startswith("[") else f"{colon}{port}" if colon else ""
    if port and not (port.startswith(":") and (port == ":" or port[1:].isdecimal())):
        return f"invalid port {quoted(port)} after host"
    escape = _ESCAPE.search(name if colon else host)
    if escape:
        return f"invalid URL escape {quoted(escape.group())}"
    odd = _ODD_IN_HOST.search(host)
    return f"invalid character {quoted(odd.group())} in host name" if odd else ""


def create_request(value: Json, version: Version) -> CreateRequest:
    """The body of `POST /containers/create`, as a client of the newest version would have written it.

    Raises InvalidParameter.
    """
    request = shape(value, CreateRequest)
    if not fields_said(value, Config):
        raise InvalidParameter("config cannot be empty in order to create a container")
    if version < (1, 44):
        _require_one_endpoint(request.networking_config)
        request = replace(request, healthcheck=_without_start_interval(request.healthcheck))
        request = settle_as_before_1_44(request)
    host = request.host_config or HostConfig()
    return replace(request, host_config=_with_newer_meaning(host, version))


def update_request(request: UpdateRequest, version: Version) -> UpdateRequest:
    """The body of `POST /containers/{id}/update`, as a client of the newest version would have written it."""
    if version < (1, 40):
        request = replace(request, pids_limit=None, kernel_memory_tcp=0)
    if version >= (1, 42):
        request = replace(request, kernel_memory=0)
    if request.pids_limit is not None and request.pids_limit <= 0:
        request = replace(request, pids_limit=0)  # any of these means no limit here, and is said
    return request


def _require_one_endpoint(networking: NetworkingConfig | None) -> None:
    names = list((networking and networking.endpoints_config) or {})
    if len(names) > 1:
        raise InvalidParameter(
            f"Container cannot be created with multiple network endpoints: {', '.join(sorted(names))}"
        )


def _without_start_interval(healthcheck: Healthcheck | None) -> Healthcheck | None:
    return replace(healthcheck, start_interval=0) if healthcheck else None


def _with_newer_meaning(host: HostConfig, version: Version) -> HostConfig:
    """Fields that did not exist in a version are dropped, defaults that were others are said (moby, 28.5)."""
    if version < (1, 40):
        host = replace(host, kernel_memory_tcp=0, ipc_mode=host.ipc_mode or "shareable")
    if version < (1, 41):
        host = replace(host, cgroupns_mode=host.cgroupns_mode or "host")
    host = replace(host, console_size=(0, 0)) if version < (1, 42) else replace(host, kernel_memory=0)
    if version < (1, 43):
        host = replace(host, annotations=None)
    if host.pids_limit is not None and host.pids_limit <= 0:
        host = replace(host, pids_limit=None)
    mounts = host.mounts and tuple(_mount_with_newer_meaning(mount, version) for mount in host.mounts)
    return replace(host, mounts=mounts)


def _mount_with_newer_meaning(mount: MountRequest, version: Version) -> MountRequest:
    if version < (1, 45) and mount.volume_options and mount.volume_options.subpath:
        raise InvalidParameter("VolumeOptions.Subpath needs API v1.45 or newer")
    if version < (1, 48) and mount.type == "image":
        raise InvalidParameter('Mount type "Image" needs API v1.48 or newer')
    if mount.bind_options is None or version >= (1, 42):
        return mount
    options = replace(mount.bind_options, create_mountpoint=False)
    return replace(mount, bind_options=replace(options, non_recursive=False) if version < (1, 40) else options)
