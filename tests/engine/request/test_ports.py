"""Ports are parsed into requests, with dockerd's words for wrong ones."""

import pytest

from wherry.engine.request.ports import parse_port, port_requests
from wherry.model.config import Config, HostConfig, PortBinding
from wherry.model.errors import InvalidParameter
from wherry.model.network import PortRequest


@pytest.mark.parametrize("text", ["x/tcp", "80/icmp", "70000/tcp", "-1/tcp", "/tcp"])
def test_a_wrong_port_is_refused(text):
    with pytest.raises(InvalidParameter):
        parse_port(text)


def test_ranges_random_ports_and_addresses():
    host_config = HostConfig(
        port_bindings={
            "80/tcp": (PortBinding(host_ip="127.0.0.1", host_port="8080"), PortBinding(host_port="9000-9010")),
            "53/udp": None,
        }
    )
    assert port_requests(Config(), host_config) == (
        PortRequest(container_port=53, protocol="udp"),
        PortRequest(container_port=80, protocol="tcp", host_ip="127.0.0.1", host_port_first=8080, host_port_last=8080),
        PortRequest(container_port=80, protocol="tcp", host_port_first=9000, host_port_last=9010),
    )


def test_publish_all_takes_what_is_exposed_and_not_bound():
    host_config = HostConfig(publish_all_ports=True, port_bindings={"80/tcp": (PortBinding(host_port="1"),)})
    requests = port_requests(Config(exposed_ports={"80/tcp": {}, "81": {}}), host_config)
    assert [(one.container_port, one.host_port_first) for one in requests] == [(80, 1), (81, 0)]


@pytest.mark.parametrize("text", ["x", "1-", "9-1", "1-70000"])
def test_a_wrong_host_port_is_refused(text):
    with pytest.raises(InvalidParameter, match="invalid port specification"):
        port_requests(Config(), HostConfig(port_bindings={"1/tcp": (PortBinding(host_port=text),)}))
