"""What is said of one endpoint, understood or refused in dockerd's words."""

import pytest

from wherry.model.config import EndpointIpam, EndpointRequest
from wherry.model.errors import InvalidParameter
from wherry.networks.wishes import interface_name, interface_sysctls, link_local_addresses


def wish(**options):
    return EndpointRequest(driver_opts={f"com.docker.network.endpoint.{key}": text for key, text in options.items()})


def test_an_interface_has_the_name_that_was_said():
    assert interface_name(wish(ifname="lan0"), 0) == "lan0"
    assert interface_name(EndpointRequest(), 1) == "eth1"


def test_parameters_are_of_the_interface_whatever_it_is_called():
    said = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=0"
    assert interface_sysctls(wish(sysctls=said), "a.b") == (
        ("net/ipv4/conf/a.b/log_martians", "1"),
        ("net/ipv6/conf/a.b/accept_ra", "0"),
    )


@pytest.mark.parametrize(
    "said", ["foo", "net.ipv4.ip_forward=0", "net.ipv4.conf.eth0.mtu=1", "net.core.conf.IFNAME.x=1",
             "net.ipv4.conf.IFNAME.../x=1"]
)  # fmt: skip
def test_other_parameters_are_refused(said):
    with pytest.raises(InvalidParameter, match=r"^unrecognised network interface sysctl '.*'; represent 'net\.X\.Y"):
        interface_sysctls(wish(sysctls=said), "eth0")


def test_link_local_addresses_are_that():
    assert link_local_addresses(EndpointRequest(ipam_config=EndpointIpam(link_local_ips=("169.254.1.2",)))) == (
        "169.254.1.2",
    )
    for text in ("1.2.3.4", "fe80::1", "x"):
        with pytest.raises(InvalidParameter, match=f"invalid link local IP address: {text}"):
            link_local_addresses(EndpointRequest(ipam_config=EndpointIpam(link_local_ips=(text,))))
