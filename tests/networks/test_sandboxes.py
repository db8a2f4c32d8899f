"""What a container finds in its network namespace, and what is left when it has gone."""

import asyncio
import os
import subprocess

import pytest

from wherry.linux.netlink import link
from wherry.model.config import EndpointIpam, EndpointRequest
from wherry.model.errors import EngineError, InvalidParameter, NotFound, Unavailable
from wherry.model.network import PortRequest
from wherry.networks.options import NetworkOptions
from wherry.networks.plan import LINK_GROUP


def inside(sandbox, *command):
    """What a program prints that runs in the container's namespace."""
    fd = sandbox.netns_fd
    enter = ["nsenter", f"--net=/proc/self/fd/{fd}", *command]
    return subprocess.run(enter, pass_fds=(fd,), capture_output=True, text=True, check=True).stdout


def sysctl(sandbox, name):
    return inside(sandbox, "cat", f"/proc/sys/net/{name}").strip()


async def test_a_container_has_eth0_with_dockers_address_and_route(networks, containers):
    sandbox = await containers(networks)
    [endpoint] = sandbox.attachment.endpoints
    assert (endpoint.ip_address, endpoint.ip_prefix, endpoint.gateway) == ("172.17.0.2", 16, "172.17.0.1")
    assert endpoint.mac_address == "02:42:ac:11:00:02"
    shown = inside(sandbox, "ip", "address", "show", "eth0")
    assert "link/ether 02:42:ac:11:00:02" in shown
    assert "inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0" in shown
    assert "default via 172.17.0.1 dev eth0" in inside(sandbox, "ip", "route")


@pytest.mark.parametrize("spares", [0, 3])
async def test_a_namespace_from_the_spare_ones_is_like_any_other(daemon, containers, spares):
    networks = await daemon(NetworkOptions(spare_namespaces=spares))
    sandbox = await containers(networks, sysctls=(("net.ipv4.ip_forward", "1"), ("net.core.somaxconn", "77")))
    assert "UP" in inside(sandbox, "ip", "-brief", "link", "show", "eth0")
    assert "127.0.0.1/8" in inside(sandbox, "ip", "address", "show", "lo")
    assert sysctl(sandbox, "ipv6/conf/eth0/disable_ipv6") == "1"
    assert sysctl(sandbox, "ipv6/conf/eth0/accept_ra") == "0"
    assert sysctl(sandbox, "ipv4/ip_unprivileged_port_start") == "0"
    assert sysctl(sandbox, "ipv4/ping_group_range").split() == ["0", "2147483647"]
    assert sysctl(sandbox, "ipv4/ip_forward") == "1"
    assert sysctl(sandbox, "core/somaxconn") == "77"


@pytest.mark.parametrize("spares", [0, 3])
async def test_a_bare_namespace_from_the_spare_ones_is_like_any_other(daemon, containers, spares):
    networks = await daemon(NetworkOptions(spare_namespaces=spares))
    sandboxes = [await containers(networks, network="none", sysctls=(("net.core.somaxconn", "77"),)) for _ in range(5)]
    for sandbox in sandboxes:
        assert "127.0.0.1/8" in inside(sandbox, "ip", "address", "show")
        assert inside(sandbox, "ip", "-o", "link").count("\n") == 1
        assert sysctl(sandbox, "ipv4/ip_unprivileged_port_start") == "0"
        assert sysctl(sandbox, "core/somaxconn") == "77"
    assert len({os.fstat(sandbox.netns_fd).st_ino for sandbox in sandboxes}) == 5


async def test_containers_get_the_lowest_addresses_in_turn(networks, containers):
    sandboxes = [await containers(networks) for _ in range(6)]
    addresses = [sandbox.attachment.endpoints[0].ip_address for sandbox in sandboxes]
    assert addresses == [f"172.17.0.{number}" for number in range(2, 8)]


async def test_many_containers_at_once_have_addresses_of_their_own(networks, containers):
    sandboxes = await asyncio.gather(*(containers(networks) for _ in range(100)))
    assert len({sandbox.attachment.endpoints[0].ip_address for sandbox in sandboxes}) == 100


async def test_containers_talk_to_each_other_and_to_the_outside(host, networks, containers, serve, say):
    one, other = await containers(networks), await containers(networks)
    serve(other.netns_fd)
    serve(host.neighbour_fd, 8000)
    address = other.attachment.endpoints[0].ip_address
    assert await say(one.netns_fd, address, 80) == f"{one.attachment.endpoints[0].ip_address}:hello"
    assert await say(one.netns_fd, host.neighbour_address, 8000) == f"{host.address}:hello"


@pytest.mark.parametrize("bridge_netfilter", ["0", "1"])
async def test_without_icc_containers_reach_the_outside_but_not_each_other(
    host, daemon, containers, serve, say, bridge_netfilter
):
    switch = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    if os.path.exists(switch):
        with open(switch, "w") as file:
            file.write(bridge_netfilter)
    networks = await daemon(NetworkOptions(icc=False))
    one, other = await containers(networks), await containers(networks)
    serve(other.netns_fd)
    serve(host.neighbour_fd, 8000)
    with pytest.raises(OSError):
        await say(one.netns_fd, other.attachment.endpoints[0].ip_address, 80, seconds=0.3)
    # Nor by way of the gateway.
    target = other.attachment.endpoints[0].ip_address
    inside(one, "ip", "route", "add", f"{target}/32", "via", "172.17.0.1")
    with pytest.raises(OSError):
        await say(one.netns_fd, target, 80, seconds=0.3)
    assert await say(one.netns_fd, host.neighbour_address, 8000) == f"{host.address}:hello"


async def test_without_masquerading_the_outside_sees_the_containers_address(host, daemon, containers, serve, say):
    networks = await daemon(NetworkOptions(ip_masquerade=False))
    sandbox = await containers(networks)
    serve(host.neighbour_fd, 8000)
    assert await say(sandbox.netns_fd, host.neighbour_address, 8000) == "172.17.0.2:hello"


async def test_a_chosen_mac_address_is_kept(networks, containers):
    sandbox = await containers(networks, mac_address="92:D0:C6:0A:29:33")
    assert sandbox.attachment.endpoints[0].mac_address == "92:d0:c6:0a:29:33"
    assert "92:d0:c6:0a:29:33" in inside(sandbox, "ip", "link", "show", "eth0")


async def test_a_mac_address_that_is_none_is_refused(networks, containers):
    with pytest.raises(InvalidParameter, match="invalid MAC address: 92:d0"):
        await containers(networks, mac_address="92:d0")


async def test_a_chosen_address_is_refused_on_the_default_network_in_dockerds_words(networks, containers):
    wish = EndpointRequest(ipam_config=EndpointIpam(ipv4_address="172.17.0.9"))
    with pytest.raises(InvalidParameter) as refused:
        await containers(networks, endpoint=wish)
    assert str(refused.value) == (
        "invalid config for network bridge: invalid endpoint settings:\n"
        "* user specified IP address is supported on user defined networks only\n"
        "* user specified IP address is supported only when connecting to networks with user configured subnets"
    )


async def test_an_alias_is_refused_on_the_default_network_in_dockerds_words(networks, containers):
    with pytest.raises(InvalidParameter, match="network-scoped alias is supported only for containers in user"):
        await containers(networks, endpoint=EndpointRequest(aliases=("db",)))


async def test_network_none_is_a_namespace_with_a_loopback_only(networks, containers):
    sandbox = await containers(networks, network="none")
    assert sandbox.attachment.endpoints[0].network_name == "none"
    names = [line.split()[0] for line in inside(sandbox, "ip", "-brief", "link").splitlines()]
    assert "lo" in names
    assert not [name for name in names if name.startswith("eth")]
    assert "127.0.0.1/8" in inside(sandbox, "ip", "address", "show", "lo")


async def test_no_endpoints_at_all_are_a_namespace_with_a_loopback_only(networks, containers):
    sandbox = await containers(networks, network=None)
    assert sandbox.attachment.endpoints == ()
    assert "127.0.0.1/8" in inside(sandbox, "ip", "address", "show", "lo")


async def test_network_host_is_the_hosts_own_namespace(host, networks, containers):
    sandbox = await containers(networks, network="host")
    assert os.fstat(sandbox.netns_fd).st_ino == os.fstat(host.netns_fd).st_ino


async def test_an_unknown_network_is_named(networks, containers):
    with pytest.raises(NotFound, match="network nowhere not found"):
        await containers(networks, network="nowhere")


async def test_a_kernel_parameter_that_cannot_be_is_named_and_nothing_is_left(host, networks, containers):
    with pytest.raises(EngineError, match="sysctl net/core/nonsense"):
        await containers(networks, sysctls=(("net.core.nonsense", "1"),))
    with pytest.raises(EngineError, match="is not a network parameter"):
        await containers(networks, sysctls=(("kernel.hostname", "x"),))
    await networks.close()
    assert host.veths() == set()


async def test_the_mtu_is_the_administrators(daemon, containers):
    networks = await daemon(NetworkOptions(mtu=1400))
    sandbox = await containers(networks)
    assert "mtu 1400" in inside(sandbox, "ip", "link", "show", "eth0")


async def test_an_address_is_free_again_when_its_link_is_gone(daemon, containers):
    networks = await daemon(NetworkOptions(bip="10.9.0.1/30", spare_namespaces=0))
    only = await containers(networks)
    with pytest.raises(Unavailable, match="no available IPv4 addresses on this network's address pools: bridge"):
        await containers(networks)
    await networks.leave(only.attachment)
    again = await containers(networks)
    assert again.attachment.endpoints[0].ip_address == "10.9.0.2"


async def test_leaving_and_closing_leave_no_link(host, networks, containers):
    sandbox = await containers(networks)
    assert sandbox.attachment.endpoints[0].host_interface in host.veths()
    await networks.leave(sandbox.attachment)
    await networks.close()
    assert host.veths() == set()


async def test_a_client_that_gives_up_leaves_no_link(host, daemon, containers):
    networks = await daemon(NetworkOptions(spare_namespaces=0))
    joining = asyncio.ensure_future(containers(networks))
    await asyncio.sleep(0)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    await networks.close()
    assert host.veths() == set()


async def test_the_maker_of_namespaces_may_die(networks, containers):
    await containers(networks)
    worker = networks._ground.maker._running.process
    worker.kill()
    await asyncio.to_thread(worker.wait)
    sandbox = await containers(networks, mac_address="02:00:00:00:00:01")
    assert "02:00:00:00:00:01" in inside(sandbox, "ip", "link", "show", "eth0")


async def test_an_audit_finds_what_the_books_have_and_nobody_uses(networks, containers):
    sandbox = await containers(networks, PortRequest(container_port=80, protocol="tcp"))
    assert networks.audit() == []
    ground = networks._ground
    (bridge,) = ground.bridges.values()
    address = str(bridge.addresses.take("bridge"))
    ground.publisher.book.take("tcp", ("127.0.0.1", "::1"), 4711)
    found = networks.audit()
    assert [(it.kind, it.name) for it in found] == [
        ("network address", address),
        ("published port", "127.0.0.1:4711/tcp"),
        ("published port", "[::1]:4711/tcp"),
    ]
    for finding in found:
        networks.mend(finding)
    assert networks.audit() == []
    assert ground.publisher.book.names() == {ground.publisher.book.name(port) for port in sandbox.attachment.ports}


async def test_an_audit_finds_a_link_that_nobody_asked_for(networks, host):
    ground = networks._ground
    (bridge,) = ground.bridges.values()
    near = link.VethEnd(name="stray", mtu=1500, master=bridge.link.index, group=LINK_GROUP)
    host.route.transact([link.new_veth(near, link.VethEnd(name="far1", mtu=1500))])
    (finding,) = networks.audit()
    assert (finding.kind, finding.name) == ("network link", "stray")
    networks.mend(finding)
    assert networks.audit() == []
    assert "stray" not in host.links()
