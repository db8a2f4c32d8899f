"""A container's /etc/hosts, hostname and resolv.conf, written anew at each start."""

import os
from pathlib import Path

from wherry.crashpoints import crash_point
from wherry.engine.engine import Engine
from wherry.engine.joining import Joined, owner_of_files
from wherry.engine.links import hosts_of
from wherry.model.container import Container
from wherry.networks.files import (
    HOST_RESOLV_CONF,
    hostname_file,
    hosts_file,
    hosts_file_of_host,
    resolv_conf,
)

FILE_MODE = 0o644


def write_files(engine: Engine, container: Container, joined: Joined) -> Path:
    """Write the three files and give their directory; with another container's network they are that container's.

    Blocks. Raises InvalidParameter for --add-host that cannot be understood, NotFound when the other container is gone.
    """
    owner = owner_of_files(engine, container)
    directory = engine.directory(owner.id)
    if owner.id != container.id:
        return directory
    contents = {
        "hosts": _hosts(engine, container, joined),
        "hostname": hostname_file(container.config.hostname),
        "resolv.conf": _resolv_conf(engine, container),
    }
    for name, text in contents.items():
        _write(directory / name, text)
    return directory


def _write(path: Path, text: str) -> None:
    data = text.encode()
    if _read_bytes(path) == data:
        return  # from the start before
    with path.open("wb") as file:
        os.fchmod(file.fileno(), FILE_MODE)  # whatever the umask
        file.write(data)
    crash_point("start.file-written")


def _read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _hosts(engine: Engine, container: Container, joined: Joined) -> str:
    extra = container.host_config.extra_hosts or ()
    gateway = next(iter(engine.settings.host_gateway_addresses), "") or engine.networks.gateway
    if container.host_config.network_mode == "host":
        return hosts_file_of_host(_read("/etc/hosts"), extra_hosts=extra, host_gateway=gateway)
    endpoints = joined.attachment.endpoints
    return hosts_file(
        addresses=[address for one in endpoints for address in (one.ip_address, one.ipv6_address)],
        hostname=container.config.hostname,
        domainname=container.config.domainname,
        extra_hosts=extra,
        linked=hosts_of(engine, container),
        host_gateway=gateway,
    )


def _resolv_conf(engine: Engine, container: Container) -> str:
    host_config, settings = container.host_config, engine.settings
    return resolv_conf(
        _read(HOST_RESOLV_CONF),
        dns=host_config.dns or settings.dns,
        search=host_config.dns_search or settings.dns_search,
        options=host_config.dns_options or settings.dns_options,
        own_namespace=host_config.network_mode != "host",
    )


def _read(path: str) -> str:
    """The host's own file; one that is not there says nothing."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
