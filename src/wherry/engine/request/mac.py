"""The container-wide MAC address of old, which is its main network's (moby handleMACAddressBC)."""

from msgspec.structs import replace

from wherry.model.config import CreateRequest, EndpointRequest, HostConfig, NetworkingConfig
from wherry.model.errors import InvalidParameter

DEPRECATED = "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."


def settle(request: CreateRequest) -> tuple[CreateRequest, tuple[str, ...]]:
    """The request with the address where it belongs, and what its maker should know. Raises InvalidParameter."""
    if not request.mac_address:
        return request, ()
    mode = _mode(request)
    if has_no_address(mode):
        return replace(request, mac_address=""), (DEPRECATED,)
    name, wish = main_endpoint(request.networking_config, mode)
    if wish.mac_address and wish.mac_address != request.mac_address:
        raise InvalidParameter(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, "
            "or be left empty"
        )
    return _with_endpoint(request, name, replace(wish, mac_address=request.mac_address)), (DEPRECATED,)


def settle_as_before_1_44(request: CreateRequest) -> CreateRequest:
    """The same for a client for whom there was no other place. Raises InvalidParameter."""
    said = (request.networking_config or NetworkingConfig()).endpoints_config or {}
    endpoints = {name: replace(wish, mac_address="") for name, wish in said.items()}
    request = replace(request, networking_config=NetworkingConfig(endpoints_config=endpoints or None))
    if not request.mac_address:
        return request
    mode = _mode(request)
    if has_no_address(mode):
        raise InvalidParameter("conflicting options: mac-address and the network mode")
    name, wish = main_endpoint(request.networking_config, mode)
    return _with_endpoint(request, name, replace(wish, mac_address=request.mac_address))


def has_no_address(mode: str) -> bool:
    """Whether a container in that network mode has no address of its own on a network."""
    return mode in {"none", "host"} or mode.startswith("container:")


def main_endpoint(networking: NetworkingConfig | None, mode: str) -> tuple[str, EndpointRequest]:
    """What is said of the network that the mode names, and under which name it is said."""
    said = (networking and networking.endpoints_config) or {}
    names = ("default", "bridge", "") if mode in {"", "default", "bridge"} else (mode,)
    name = next((name for name in names if name in said), mode or "default")
    return name, said.get(name) or EndpointRequest()


def _mode(request: CreateRequest) -> str:
    return (request.host_config or HostConfig()).network_mode


def _with_endpoint(request: CreateRequest, name: str, wish: EndpointRequest) -> CreateRequest:
    said = (request.networking_config or NetworkingConfig()).endpoints_config or {}
    networking = NetworkingConfig(endpoints_config={**said, name: wish})
    return replace(request, mac_address="", networking_config=networking)
