"""A container-wide MAC address, moved to the endpoint that it is of."""

import pytest

from wherry.engine.request.mac import DEPRECATED, main_endpoint, settle, settle_as_before_1_44
from wherry.model.config import CreateRequest, EndpointRequest, HostConfig, NetworkingConfig
from wherry.model.errors import InvalidParameter

MAC, OTHER = "92:d0:c6:0a:29:33", "92:d0:c6:0a:29:34"


def request(mac="", mode="", **endpoints):
    wishes = {name: EndpointRequest(mac_address=text) for name, text in endpoints.items()}
    networking = NetworkingConfig(endpoints_config=wishes or None)
    return CreateRequest(mac_address=mac, host_config=HostConfig(network_mode=mode), networking_config=networking)


def macs(found):
    endpoints = (found.networking_config.endpoints_config or {}).items()
    return found.mac_address, {name: wish.mac_address for name, wish in endpoints}


@pytest.mark.parametrize(
    ("said", "settled"),
    [
        (request(MAC), {"default": MAC}),
        (request(MAC, "bridge", default=""), {"default": MAC}),
        (request(MAC, "default", bridge=MAC), {"bridge": MAC}),
        (request(MAC, "mine", other=""), {"other": "", "mine": MAC}),
        (request(MAC, "host"), {}),
    ],
)
def test_an_address_goes_to_the_main_network_with_a_warning(said, settled):
    found, warnings = settle(said)
    assert macs(found) == ("", settled)
    assert warnings == (DEPRECATED,)


def test_who_says_none_or_two_is_told():
    assert settle(request(default=MAC)) == (request(default=MAC), ())
    with pytest.raises(InvalidParameter, match="must match the endpoint-specific MAC address for the main network"):
        settle(request(MAC, "bridge", bridge=OTHER))


def test_before_1_44_the_container_wide_one_is_the_only_one():
    assert macs(settle_as_before_1_44(request(default=OTHER))) == ("", {"default": ""})
    assert macs(settle_as_before_1_44(request(MAC, "bridge", bridge=OTHER))) == ("", {"bridge": MAC})
    for mode in ("none", "host", "container:box"):
        with pytest.raises(InvalidParameter, match="conflicting options: mac-address and the network mode"):
            settle_as_before_1_44(request(MAC, mode))


def test_the_main_network_has_several_names():
    said = NetworkingConfig(endpoints_config={"bridge": EndpointRequest(mac_address=MAC)})
    assert main_endpoint(said, "default")[1].mac_address == MAC
    assert main_endpoint(said, "mine") == ("mine", EndpointRequest())
