"""Published ports as users meet them: from the host, from outside, from other containers."""

import socket

from wherry.model.network import PortRequest


def tcp(container_port, host_port=0, host_ip="", last=0):
    return PortRequest(
        container_port=container_port,
        protocol="tcp",
        host_ip=host_ip,
        host_port_first=host_port,
        host_port_last=last or host_port,
    )


async def test_a_port_is_reached_on_every_address_of_the_host(host, networks, containers, serve, say):
    sandbox = await containers(networks, tcp(80, 8080))
    serve(sandbox.netns_fd)
    gateway = sandbox.attachment.endpoints[0].gateway
    assert await say(host.netns_fd, "127.0.0.1", 8080) == f"{gateway}:hello"
    assert await say(host.netns_fd, host.address, 8080) == f"{host.address}:hello"
    assert await say(host.neighbour_fd, host.address, 8080) == f"{host.neighbour_address}:hello"
    assert await say(host.netns_fd, "::1", 8080) == f"{gateway}:hello"
