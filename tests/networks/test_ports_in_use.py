"""Published ports as users meet them: from the host, from outside, from other containers."""

import asyncio
import os
import socket
import subprocess
from pathlib import Path

import pytest

from wherry.linux.netlink import conntrack
from wherry.linux.netlink.connection import NETLINK_NETFILTER, Connection
from wherry.model.errors import EngineError, InvalidParameter
from wherry.model.network import PortRequest, PublishedPort
from wherry.networks.options import NetworkOptions

# Long enough for an answer, short enough to wait for none.
SILENCE_SECONDS = 0.3


def wish(container_port, host_port=0, host_ip="", last=0, protocol="tcp"):
    return PortRequest(
        container_port=container_port,
        protocol=protocol,
        host_ip=host_ip,
        host_port_first=host_port,
        host_port_last=last or host_port,
    )


def published(sandbox):
    return {(port.host_ip, port.host_port, port.container_port) for port in sandbox.attachment.ports}


async def test_a_port_is_reached_on_every_address_of_the_host(host, networks, containers, serve, say):
    sandbox = await containers(networks, wish(80, 8080))
    serve(sandbox.netns_fd)
    gateway = sandbox.attachment.endpoints[0].gateway
    assert await say(host.netns_fd, "127.0.0.1", 8080) == f"{gateway}:hello"
    assert await say(host.netns_fd, host.address, 8080) == f"{host.address}:hello"
    assert await say(host.neighbour_fd, host.address, 8080) == f"{host.neighbour_address}:hello"
    assert published(sandbox) == {("0.0.0.0", 8080, 80), ("::", 8080, 80)}


async def test_a_port_is_reached_on_ipv6_though_the_container_has_none(host, networks, containers, serve, say):
    sandbox = await containers(networks, wish(80, 8080), wish(53, 5353, protocol="udp"))
    serve(sandbox.netns_fd)
    serve(sandbox.netns_fd, 53, socket.SOCK_DGRAM)
    gateway = sandbox.attachment.endpoints[0].gateway
    assert await say(host.netns_fd, "::1", 8080) == f"{gateway}:hello"
    assert await say(host.netns_fd, "::1", 5353, socket.SOCK_DGRAM) == f"{gateway}:hello"


async def test_nothing_is_announced_on_ipv6_without_the_relay(daemon, containers):
    networks = await daemon(NetworkOptions(userland_proxy=False))
    sandbox = await containers(networks, wish(80, 8080), wish(81, 8081, "::1"))
    assert published(sandbox) == {("0.0.0.0", 8080, 80)}


async def test_a_port_of_the_loopback_is_for_this_host_only(host, networks, containers, serve, say):
    sandbox = await containers(networks, wish(80, 8080, "127.0.0.1"))
    serve(sandbox.netns_fd)
    assert published(sandbox) == {("127.0.0.1", 8080, 80)}
    assert (await say(host.netns_fd, "127.0.0.1", 8080)).endswith(":hello")
    with pytest.raises(OSError):
        await say(host.neighbour_fd, host.address, 8080, seconds=SILENCE_SECONDS)


async def test_a_neighbour_cannot_route_to_the_loopback_or_to_containers(host, networks, containers, serve, say):
    sandbox = await containers(networks, wish(80, 8080, "127.0.0.1"))
    serve(sandbox.netns_fd)
    address = sandbox.attachment.endpoints[0].ip_address
    with pytest.raises(OSError):
        await say(host.neighbour_fd, address, 80, seconds=SILENCE_SECONDS)
    assert (await say(host.netns_fd, address, 80)).endswith(":hello")


async def test_a_neighbour_that_routes_the_loopback_to_us_reaches_nothing_of_it(host, networks, containers, serve, say):
    sandbox = await containers(networks, wish(80, 8080, "127.0.0.1"))
    serve(sandbox.netns_fd)
    await asyncio.to_thread(_route_loopback_to, host.neighbour_fd, host.address, "far")
    with pytest.raises(OSError):
        await say(host.neighbour_fd, "127.0.0.1", 8080, seconds=SILENCE_SECONDS, source=host.neighbour_address)


async def test_a_container_cannot_reach_what_listens_on_the_loopback_of_the_host(
    host, networks, containers, serve, say
):
    sandbox = await containers(networks)
    serve(host.netns_fd, 9000)
    gateway = sandbox.attachment.endpoints[0].gateway
    assert (await say(sandbox.netns_fd, gateway, 9000)).endswith(":hello")
    await asyncio.to_thread(_route_loopback_to, sandbox.netns_fd, gateway, "eth0")
    with pytest.raises(OSError):
        await say(
            sandbox.netns_fd,
            "127.0.0.1",
            9000,
            seconds=SILENCE_SECONDS,
            source=sandbox.attachment.endpoints[0].ip_address,
        )


def _route_loopback_to(netns_fd, gateway, link):
    # What an attacker does who rules its own namespace: 127.0.0.1 is somewhere else.
    script = (
        f"echo 1 > /proc/sys/net/ipv4/conf/{link}/route_localnet;"
        f"ip route add 127.0.0.1/32 via {gateway} dev {link} table 9; ip rule add pref 0 to 127.0.0.1 lookup 9;"
        "ip rule add pref 1 lookup local; ip rule del pref 0 lookup local"
    )
    subprocess.run(["nsenter", f"--net=/proc/self/fd/{netns_fd}", "sh", "-c", script], check=True, pass_fds=(netns_fd,))


@pytest.mark.parametrize("bridged_frames_meet_the_rules", ["0", "1"])
async def test_containers_reach_one_another_by_the_port_of_the_host(
    host, networks, containers, serve, say, bridged_frames_meet_the_rules
):
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if switch.exists():
        switch.write_text(bridged_frames_meet_the_rules)
    server = await containers(networks, wish(80, 8080))
    client = await containers(networks)
    serve(server.netns_fd)
    gateway = server.attachment.endpoints[0].gateway
    assert await say(client.netns_fd, host.address, 8080) == f"{gateway}:hello"
    assert await say(client.netns_fd, gateway, 8080) == f"{gateway}:hello"
    assert await say(server.netns_fd, host.address, 8080) == f"{gateway}:hello"


async def test_udp_is_forwarded_both_ways(host, networks, containers, serve, say):
    sandbox = await containers(networks, wish(53, 5353, protocol="udp"))
    serve(sandbox.netns_fd, 53, socket.SOCK_DGRAM)
    kind = socket.SOCK_DGRAM
    assert (await say(host.netns_fd, "127.0.0.1", 5353, kind)).endswith(":hello")
    assert await say(host.neighbour_fd, host.address, 5353, kind) == f"{host.neighbour_address}:hello"


async def test_a_client_of_udp_reaches_the_container_that_has_the_port_now(host, networks, containers, serve):
    request = wish(53, 5353, protocol="udp")
    first = await containers(networks, request)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(SILENCE_SECONDS)
        client.sendto(b"hello", (host.address, 5353))
        await networks.leave(first.attachment)
        _close_reservations(first)
        second = await containers(networks, request)
        serve(second.netns_fd, 53, socket.SOCK_DGRAM)
        client.settimeout(10)
        client.sendto(b"again", (host.address, 5353))
        assert (await asyncio.to_thread(client.recv, 100)).endswith(b":again")


def _close_reservations(sandbox):
    """As its monitor does by ending."""
    # Another socket takes the place of each, so that the fixture may close them once more.
    for fd in sandbox.reservations:
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, fd)
        os.close(null)


async def test_sctp_is_forwarded_and_needs_no_sctp_in_the_kernel(networks, containers):
    sandbox = await containers(networks, wish(80, 8080, protocol="sctp"))
    assert published(sandbox) == {("0.0.0.0", 8080, 80)}


async def test_a_random_port_is_one_of_the_ephemeral_ones_and_the_next_one_is_another(networks, containers):
    first = await containers(networks, wish(80))
    second = await containers(networks, wish(80))
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = [sandbox.attachment.ports[0].host_port for sandbox in (first, second)]
    assert all(low <= port <= high for port in ports)
    assert ports[0] != ports[1]


async def test_the_same_random_port_is_taken_on_both_families(networks, containers):
    sandbox = await containers(networks, wish(80))
    assert len({port.host_port for port in sandbox.attachment.ports}) == 1
    assert len(sandbox.attachment.ports) == 2


async def test_a_range_gives_the_first_port_that_nobody_has(host, networks, containers, serve):
    serve(host.netns_fd, 8001)
    first = await containers(networks, wish(80, 8000, last=8002))
    second = await containers(networks, wish(80, 8000, last=8002))
    assert [one.attachment.ports[0].host_port for one in (first, second)] == [8000, 8002]
    with pytest.raises(EngineError, match="address already in use"):
        await containers(networks, wish(80, 8000, last=8002))


async def test_a_port_of_another_container_is_refused_in_dockerds_words(networks, containers):
    await containers(networks, wish(80, 8080))
    with pytest.raises(EngineError) as refused:
        await containers(networks, wish(80, 8080))
    words = str(refused.value)
    assert words.startswith(
        "failed to set up container networking: driver failed programming external connectivity on endpoint box ("
    )
    assert words.endswith("): Bind for 0.0.0.0:8080 failed: port is already allocated")


async def test_a_port_of_another_program_is_refused_in_dockerds_words(host, networks, containers, serve):
    serve(host.netns_fd, 8080)
    with pytest.raises(EngineError) as refused:
        await containers(networks, wish(80, 8080))
    assert str(refused.value).endswith(
        "): failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use"
    )


async def test_an_address_that_is_not_ours_is_refused_in_dockerds_words(networks, containers):
    with pytest.raises(EngineError, match=r"203\.0\.113\.9:8080:172\.17\.0\.2:80/tcp: cannot assign requested address"):
        await containers(networks, wish(80, 8080, "203.0.113.9"))


async def test_an_address_has_one_spelling_and_nonsense_is_refused(networks, containers):
    sandbox = await containers(networks, wish(80, 8080, "0:0::1"))
    assert published(sandbox) == {("::1", 8080, 80)}
    with pytest.raises(InvalidParameter, match=r"invalid IP address: 1\.2\.3"):
        await containers(networks, wish(80, 8081, "1.2.3"))


async def test_an_unknown_protocol_is_refused(networks, containers):
    with pytest.raises(InvalidParameter, match="invalid proto: icmp"):
        await containers(networks, wish(80, 8080, protocol="icmp"))


async def test_a_refused_container_leaves_nothing_behind(host, networks, containers, serve):
    serve(host.netns_fd, 8081)
    with pytest.raises(EngineError):
        await containers(networks, wish(80, 8080), wish(81, 8081))
    assert networks.port_bindings_are_free([wish(80, 8080)])
    await containers(networks, wish(80, 8080))


async def test_the_same_port_on_two_addresses_is_two_bindings(host, networks, containers, serve, say):
    one = await containers(networks, wish(80, 8080, "127.0.0.1"))
    other = await containers(networks, wish(80, 8080, host.address))
    serve(one.netns_fd, 80)
    assert (await say(host.netns_fd, "127.0.0.1", 8080)).endswith(":hello")
    with pytest.raises(ConnectionRefusedError):
        await say(host.netns_fd, host.address, 8080)
    assert published(other) == {(host.address, 8080, 80)}


async def test_the_default_address_of_published_ports_is_the_administrators(daemon, containers):
    networks = await daemon(NetworkOptions(host_ip="127.0.0.1"))
    sandbox = await containers(networks, wish(80, 8080))
    assert published(sandbox) == {("127.0.0.1", 8080, 80)}


async def test_the_host_knows_whether_ports_are_free(networks, containers):
    assert networks.port_bindings_are_free([wish(80, 8080)])
    sandbox = await containers(networks, wish(80, 8080))
    assert not networks.port_bindings_are_free([wish(80, 8080, "127.0.0.1")])
    assert networks.port_bindings_are_free([wish(80, 8080, protocol="udp"), wish(80)])
    await networks.leave(sandbox.attachment)
    assert networks.port_bindings_are_free([wish(80, 8080)])


async def test_what_is_left_frees_the_port_and_may_be_left_again(host, networks, containers, say):
    sandbox = await containers(networks, wish(80, 8080))
    await networks.leave(sandbox.attachment)
    await networks.leave(sandbox.attachment)
    with pytest.raises(OSError):
        await say(host.netns_fd, host.address, 8080, seconds=SILENCE_SECONDS)


async def test_the_reservation_keeps_other_programs_away(networks, containers):
    await containers(networks, wish(80, 8080))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError):
            _listen(other, 8080)


def _listen(bound, port):
    bound.bind(("127.0.0.1", port))
    bound.listen()


async def test_five_hundred_ports_are_one_transaction(networks, containers):
    sandbox = await containers(networks, *(wish(port, port) for port in range(20000, 20500)))
    assert len(sandbox.attachment.ports) == 1000
    assert PublishedPort(container_port=20499, protocol="tcp", host_ip="0.0.0.0", host_port=20499) in (
        sandbox.attachment.ports
    )


async def test_forgotten_connections_are_only_those_of_the_port(host, networks, containers):
    await containers(networks, wish(53, 5353, protocol="udp"), wish(54, 5454, protocol="udp"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", (host.address, 5353))
        client.sendto(b"x", (host.address, 5454))
    with Connection(NETLINK_NETFILTER) as netfilter:
        conntrack.forget_sent_to(netfilter, socket.IPPROTO_UDP, 5353)
    tracked = Path("/proc/net/nf_conntrack").read_text()
    assert "dport=5454" in tracked
    assert "dport=5353" not in tracked
