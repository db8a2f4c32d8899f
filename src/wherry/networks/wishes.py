"""What a user may say of one endpoint: the interface's name, its kernel parameters, further link-local addresses."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from wherry.model.config import EndpointRequest
from wherry.model.errors import InvalidParameter

INTERFACE_NAME = "com.docker.network.endpoint.ifname"
SYSCTLS = "com.docker.network.endpoint.sysctls"
# The docker command line says it in lower case.
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.([a-z0-9_]+)\.(?i:IFNAME)\.([a-zA-Z0-9_]+)=(.*)")
_HOW = "represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"


def interface_name(wish: EndpointRequest, number: int) -> str:
    """What the container's interface is called; `number` counts its interfaces."""
    return (wish.driver_opts or {}).get(INTERFACE_NAME) or f"eth{number}"


def interface_sysctls(wish: EndpointRequest, name: str) -> tuple[tuple[str, str], ...]:
    """Kernel parameters of the interface `name`, as paths below /proc/sys with values. Raises InvalidParameter."""
    return tuple(_sysctls(wish, name))


def _sysctls(wish: EndpointRequest, name: str) -> Iterator[tuple[str, str]]:
    said = (wish.driver_opts or {}).get(SYSCTLS, "")
    for text in said.split(",") if said else ():
        found = _SYSCTL.fullmatch(text)
        if found is None:
            raise InvalidParameter(f"unrecognised network interface sysctl '{text}'; {_HOW}")
        family, kind, parameter, value = found.groups()
        yield f"net/{family}/{kind}/{name}/{parameter}", value


def link_local_addresses(wish: EndpointRequest) -> tuple[str, ...]:
    """IPv4 addresses that the interface has beside its own. Raises InvalidParameter for any other."""
    said = (wish.ipam_config.link_local_ips if wish.ipam_config else None) or ()
    for text in said:
        if not _is_link_local(text):
            raise InvalidParameter(f"failed to set up container networking: invalid link local IP address: {text}")
    return said


def _is_link_local(text: str) -> bool:
    try:
        return IPv4Address(text).is_link_local
    except AddressValueError:
        return False
