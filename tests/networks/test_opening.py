"""A daemon that starts: what it finds, what it makes of it, and what it leaves alone."""

import asyncio
import json
import os
import select
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from wherry.linux.namespaces import CLONE_NEWNET, setns, unshare
from wherry.linux.netlink import link
from wherry.linux.nftables import Nftables
from wherry.model.errors import Conflict, InvalidParameter, NotFound
from wherry.model.ids import new_id
from wherry.model.network import Attachment, Endpoint, Network, PortRequest, PublishedPort
from wherry.networks.options import NetworkOptions, parse_address_pool

PORT = PortRequest(container_port=80, protocol="tcp", host_port_first=8080, host_port_last=8080)


async def test_the_three_networks_are_there_with_ids_that_stay(daemon):
    networks = await daemon()
    first = {network.name: network.id for network in networks.networks()}
    await networks.close()
    second = {network.name: network.id for network in (await daemon()).networks()}
    assert set(first) == {"bridge", "host", "none"}
    assert first == second


async def test_a_network_is_found_by_name_id_and_prefix_of_its_id(networks):
    bridge = networks.find("bridge")
    assert networks.find(bridge.id) == networks.find(bridge.id[:6]) == bridge
    with pytest.raises(NotFound, match="network bri not found"):
        networks.find("bri")
    with pytest.raises(NotFound, match="network  not found"):
        networks.find("")


async def test_the_bridge_takes_the_first_subnet_that_the_host_does_not_use(host, daemon):
    _add_link("busy", "172.17.3.1/24")
    _add_link("busy2", "172.18.0.1/16")
    networks = await daemon()
    assert networks.find("bridge").pools[0].subnet == "172.19.0.0/16"
    assert networks.gateway == "172.19.0.1"


def _run(*command):
    subprocess.run(command, check=True)


def _run_with(fd, *command):
    subprocess.run(command, check=True, pass_fds=(fd,))


def _add_link(name, address):
    _run("ip", "link", "add", name, "type", "bridge")
    _run("ip", "address", "add", address, "dev", name)
    _run("ip", "link", "set", name, "up")


async def test_the_subnet_stays_over_a_reboot_unless_somebody_else_has_it(host, daemon):
    first = await daemon(NetworkOptions(address_pools=(parse_address_pool("base=10.50.0.0/16,size=24"),)))
    assert first.find("bridge").pools[0].subnet == "10.50.0.0/24"
    await first.close()
    _run("ip", "link", "delete", "wherry0")
    second = await daemon()
    assert second.find("bridge").pools[0].subnet == "10.50.0.0/24"
    await second.close()
    _run("ip", "link", "delete", "wherry0")
    _add_link("busy", "10.50.0.9/24")
    assert (await daemon()).find("bridge").pools[0].subnet == "172.17.0.0/16"


async def test_bip_and_fixed_cidr_are_obeyed(daemon, containers):
    networks = await daemon(NetworkOptions(bip="10.1.2.1/24", fixed_cidr="10.1.2.128/25"))
    sandbox = await containers(networks)
    assert sandbox.attachment.endpoints[0].ip_address == "10.1.2.128"
    assert sandbox.attachment.endpoints[0].ip_prefix == 24
    assert networks.find("bridge").pools[0].ip_range == "10.1.2.128/25"


async def test_a_bip_that_the_bridge_does_not_have_is_refused(host, daemon):
    _add_link("wherry0", "10.7.0.1/24")
    with pytest.raises(InvalidParameter, match=r"bridge wherry0 has the address 10\.7\.0\.1/24"):
        await daemon(NetworkOptions(bip="10.8.0.1/24"))


async def test_a_bridge_that_is_there_is_used_as_it_is(host, daemon, containers):
    _add_link("br7", "10.7.0.1/24")
    sandbox = await containers(await daemon(NetworkOptions(bridge="br7")))
    assert sandbox.attachment.endpoints[0].ip_address == "10.7.0.2"


async def test_a_bridge_that_is_there_keeps_its_address_when_ports_go(host, daemon):
    """Else the containers, who remember the old one, would not be heard for a while when a daemon is killed."""
    _add_link("wherry0", "10.7.0.1/24")
    for port in ("port1", "port2"):
        _run("ip", "link", "add", port, "master", "wherry0", "type", "veth", "peer", "name", f"{port}-peer")
    networks = await daemon()
    before = _mac_of("wherry0")
    _run("ip", "link", "delete", "port1")
    _run("ip", "link", "delete", "port2")
    _run("ip", "link", "add", "port3", "address", "02:00:00:00:00:01", "master", "wherry0", "type", "veth")
    assert _mac_of("wherry0") == before
    await networks.close()


def _mac_of(name):
    said = subprocess.run(["ip", "-j", "link", "show", name], capture_output=True, check=True).stdout
    return json.loads(said)[0]["address"]


async def test_a_link_that_is_no_bridge_is_refused(host, daemon):
    with pytest.raises(InvalidParameter, match="uplink is a link of this host, but not a bridge"):
        await daemon(NetworkOptions(bridge="uplink", bip="10.8.0.1/24"))


async def test_without_a_bridge_there_is_no_network_bridge_and_nothing_is_touched(host, daemon, containers):
    tables, links = host.tables(), set(host.links())
    networks = await daemon(NetworkOptions(bridge="none"))
    assert {network.name for network in networks.networks()} == {"host", "none"}
    with pytest.raises(NotFound, match="network bridge not found"):
        await containers(networks)
    await containers(networks, network="none")
    assert set(host.links()) == links
    assert host.tables() == tables


async def test_containers_are_served_on_while_no_daemon_runs_and_met_again(host, daemon, containers, serve, say):
    first = await daemon()
    sandbox = await containers(first, PORT)
    serve(sandbox.netns_fd)
    await first.close()
    assert (await say(host.netns_fd, "127.0.0.1", 8080)).endswith(":hello")
    assert (await say(host.netns_fd, "::1", 8080)).endswith(":hello")
    assert (await say(host.neighbour_fd, host.address, 8080)).endswith(":hello")
    second = await daemon(attached=[sandbox.attachment])
    assert not second.port_bindings_are_free([PORT])
    assert (await say(host.netns_fd, "127.0.0.1", 8080)).endswith(":hello")
    assert (await say(host.netns_fd, "::1", 8080)).endswith(":hello")
    assert (await containers(second)).attachment.endpoints[0].ip_address == "172.17.0.3"
    await second.leave(sandbox.attachment)
    assert second.port_bindings_are_free([PORT])


async def test_connections_live_through_a_new_daemon(host, daemon, containers):
    first = await daemon()
    sandbox = await containers(first, PORT)
    listener = _listen_in(sandbox.netns_fd, 80)
    with listener, socket.create_connection((host.address, 8080), timeout=10) as client:
        inner, _ = listener.accept()
        await first.close()
        second = await daemon(attached=[sandbox.attachment])
        with inner:
            client.sendall(b"still here")
            assert inner.recv(100) == b"still here"
        await second.leave(sandbox.attachment)


def _listen_in(netns_fd, port):
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    setns(netns_fd, CLONE_NEWNET)
    try:
        return socket.create_server(("0.0.0.0", port))
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)


async def test_what_a_crash_left_is_swept(host, daemon, containers, crash):
    first = await daemon()
    lost, kept = await containers(first, PORT), await containers(first)
    crash(first)
    second = await daemon(attached=[kept.attachment])
    await second._ground.teardown.drain()
    names = host.veths()
    assert kept.attachment.endpoints[0].host_interface in names
    assert lost.attachment.endpoints[0].host_interface not in names
    assert second.port_bindings_are_free([PORT])
    assert "8080" not in _ruleset("wherry")
    await second.close()


def _ruleset(table):
    nftables = Nftables()
    try:
        return nftables.run(f"list table inet {table}")
    finally:
        nftables.close()


KILLED = """
import asyncio, msgspec, os, pathlib, subprocess, sys
from wherry.model.config import EndpointRequest
from wherry.model.network import Network, PortRequest
from wherry.networks.driver import JoinRequest
from wherry.networks.local import LocalNetworks
from wherry.networks.options import NetworkOptions

class Records(dict):
    def values(self): return list(super().values())
    async def put(self, key, record): self[key] = record

async def main():
    networks = LocalNetworks(NetworkOptions(), Records(), pathlib.Path(sys.argv[1]))
    await networks.open([])
    port = PortRequest(container_port=80, protocol="tcp", host_port_first=8080, host_port_last=8080)
    request = JoinRequest(container_id="c", hostname="c", endpoints={"bridge": EndpointRequest()}, ports=(port,))
    sandbox = await networks.join(request)
    # It lives on, as a container does, and serves one more connection.
    inside = ["nsenter", f"--net=/proc/self/fd/{sandbox.netns_fd}", sys.executable, "-c", sys.argv[2]]
    server = subprocess.Popen(inside, pass_fds=(sandbox.netns_fd, *sandbox.reservations), stdout=subprocess.PIPE)
    server.stdout.readline()
    print(server.pid, msgspec.json.encode([sandbox.attachment, networks.networks()]).decode(), flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""
SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 80))
print("ready", flush=True)
for _ in range(2):
    connection, peer = server.accept()
    connection.sendall(b"hello from inside")
    connection.close()
"""


async def test_a_killed_daemons_container_is_served_on_and_its_spare_namespaces_are_gone(
    host, daemon, records, tmp_path
):
    command = [sys.executable, "-c", KILLED, tmp_path, SERVER]
    killed = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    pid, _, words = (await killed.stdout.readline()).decode().partition(" ")
    server = os.pidfd_open(int(pid))
    killed.kill()
    await killed.wait()
    assert await asyncio.to_thread(_read, "127.0.0.1") == b"hello from inside"
    attachment, networks = msgspec.json.decode(words, type=tuple[Attachment, list[Network]])
    for network in networks:
        await records.put(network.id, network)
    second = await daemon(NetworkOptions(spare_namespaces=0), attached=[attachment])
    await second._ground.teardown.drain()
    assert host.veths() == {attachment.endpoints[0].host_interface}
    # The relay process was met again.
    assert await asyncio.to_thread(_read, "::1") == b"hello from inside"
    await second.leave(attachment)
    await second.close()
    assert host.veths() == set()
    await asyncio.to_thread(select.select, [server], [], [], 10)
    os.close(server)


def _read(address):
    with socket.create_connection((address, 8080), timeout=10) as client:
        return client.recv(100)


async def test_a_link_that_somebody_else_put_on_our_bridge_stays(host, daemon):
    first = await daemon()
    await first.close()
    _run("ip", "link", "add", "vethuser", "type", "veth", "peer", "name", "other")
    _run("ip", "link", "set", "vethuser", "master", "wherry0")
    second = await daemon()
    await second.close()
    assert "vethuser" in host.links()


async def test_flushed_rules_come_back_with_the_next_port(host, networks, containers, serve, say):
    first = await containers(networks, PORT)
    serve(first.netns_fd)
    _run("nft", "flush", "ruleset")
    other = PortRequest(container_port=80, protocol="tcp", host_port_first=8081, host_port_last=8081)
    await containers(networks, other)
    assert (await say(host.netns_fd, "127.0.0.1", 8080)).endswith(":hello")


@pytest.mark.parametrize("command", ["flush ruleset", "flush table inet wherry", "delete table inet wherry"])
async def test_flushed_rules_come_back_by_themselves(host, networks, containers, serve, say, command):
    sandbox = await containers(networks, PORT)
    serve(sandbox.netns_fd)
    mended = asyncio.Event()
    watch = networks._ground.watch
    mend = watch._mend
    watch._mend = lambda: (mend(), mended.set())
    _run("nft", command)
    await asyncio.wait_for(mended.wait(), 5)
    assert (await say(host.netns_fd, "127.0.0.1", 8080)).endswith(":hello")
    # Our own mending is not mended again.
    mended.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(mended.wait(), 0.5)


async def test_opening_again_repairs_rules_and_bridge(host, networks, containers, serve, say):
    sandbox = await containers(networks, PORT)
    serve(sandbox.netns_fd)
    _run("nft", "flush", "ruleset")
    _run("ip", "link", "delete", "wherry0")
    await networks.open([])
    assert (await say(host.netns_fd, "127.0.0.1", 8080)).endswith(":hello")
    another = await containers(networks)
    assert another.attachment.endpoints[0].ip_address not in ("", sandbox.attachment.endpoints[0].ip_address)
    assert await say(another.netns_fd, sandbox.attachment.endpoints[0].ip_address, 80)


async def test_a_bridge_that_another_daemon_uses_is_refused(host, daemon, records, tmp_path):
    first = await daemon()
    with pytest.raises(Conflict, match="bridge wherry0 is used by another daemon that runs"):
        await daemon(records=type(records)(), exec_root=tmp_path)
    await first.close()
    await daemon()


async def test_daemons_side_by_side_do_not_disturb_one_another(host, daemon, records, containers, serve, say, tmp_path):
    (tmp_path / "other").mkdir()
    one = await daemon()
    other_options = NetworkOptions(bridge="wherry1")
    other = await daemon(other_options, records=type(records)(), exec_root=tmp_path / "other")
    first = await containers(one, PORT)
    serve(first.netns_fd)
    second = await containers(other)
    assert second.attachment.endpoints[0].ip_address == "172.18.0.2"
    assert {"wherry", "wherry-wherry1"} <= host.tables()
    await other.close()
    await other.open([second.attachment])
    assert (await say(host.netns_fd, "127.0.0.1", 8080)).endswith(":hello")
    # By the published port yes, directly no.
    assert (await say(second.netns_fd, host.address, 8080)).endswith(":hello")
    with pytest.raises(OSError):
        await say(second.netns_fd, first.attachment.endpoints[0].ip_address, 80, seconds=0.3)


async def test_other_peoples_rules_stay_as_they_are(host, daemon, containers):
    _run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP")
    _run("nft", "add table inet mine; add chain inet mine c { type filter hook input priority 0; }")
    before = _everything_but_ours()
    networks = await daemon()
    sandbox = await containers(networks, PORT)
    assert _everything_but_ours() == before
    await networks.leave(sandbox.attachment)
    await networks.close()
    assert _everything_but_ours() == before


def _everything_but_ours():
    nftables = Nftables()
    try:
        tables = [found["table"] for found in nftables.query("list tables") if "table" in found]
        return [nftables.run(f"list table {one['family']} {one['name']}") for one in tables if one["name"] != "wherry"]
    finally:
        nftables.close()


async def test_forwarding_is_switched_on_unless_the_administrator_does_not_want_it(host, daemon):
    forwarding = "/proc/sys/net/ipv4/ip_forward"
    with open(forwarding, "w") as file:
        file.write("0")
    await (await daemon(NetworkOptions(ip_forward=False))).close()
    assert Path(forwarding).read_text() == "0\n"
    await (await daemon()).close()
    assert Path(forwarding).read_text() == "1\n"


@pytest.fixture
def behind(host):
    """A namespace behind a second link of the host, which routes back through it."""
    _run("ip", "link", "add", "second", "type", "veth", "peer", "name", "inner")
    with ExitStack() as undo:
        fd = host.elsewhere(_unshared)
        undo.callback(os.close, fd)
        _run("ip", "address", "add", "203.0.113.1/24", "dev", "second")
        _run("ip", "link", "set", "second", "up")
        _run_with(fd, "ip", "link", "set", "inner", "netns", f"/proc/self/fd/{fd}")
        commands = "ip address add 203.0.113.2/24 dev inner; ip link set inner up; ip route add default via 203.0.113.1"
        _run_with(fd, "nsenter", f"--net=/proc/self/fd/{fd}", "sh", "-ec", commands)
        yield fd


def _unshared():
    unshare(CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


async def test_hardware_is_not_routed_to_hardware_because_of_us(host, behind, networks, containers, serve, say):
    serve(behind, 9000)
    assert await say(host.neighbour_fd, "203.0.113.2", 9000) == f"{host.neighbour_address}:hello"
    # Here all links are made by software; the rule is the same.
    firewall = networks._ground.firewall
    firewall.uplinks = ("uplink", "second")
    firewall.apply()
    # It is kept by the next start, which finds forwarding on already.
    await networks.open([])
    assert set(firewall.found_uplinks()) == {"uplink", "second"}
    with pytest.raises(OSError):
        await say(host.neighbour_fd, "203.0.113.2", 9000, seconds=0.3)
    # Containers are routed all the same.
    sandbox = await containers(networks)
    assert await say(sandbox.netns_fd, "203.0.113.2", 9000) == "203.0.113.1:hello"


async def test_a_thousand_endpoints_are_adopted(host, daemon, containers):
    first = await daemon()
    bridge = first.find("bridge")
    await first.close()
    attached = [
        Attachment(
            sandbox_id=new_id(),
            endpoints=(
                Endpoint(
                    id=new_id(),
                    network_id=bridge.id,
                    network_name="bridge",
                    ip_address=f"172.17.{number // 250 + 1}.{number % 250 + 1}",
                    ip_prefix=16,
                    gateway="172.17.0.1",
                ),
            ),
            ports=(PublishedPort(container_port=80, protocol="tcp", host_ip="0.0.0.0", host_port=20000 + number),),
        )
        for number in range(1000)
    ]
    second = await daemon(attached=attached)
    assert not second.port_bindings_are_free(
        [PortRequest(container_port=80, protocol="tcp", host_port_first=20999, host_port_last=20999)]
    )
    assert "tcp . 20999 : 172.17.4.250 . 80" in _ruleset("wherry")


async def test_the_bridge_routes_the_loopback_and_takes_no_routers_advice(host, networks):
    def read(name):
        with open(f"/proc/sys/net/{name}") as file:
            return file.read().strip()

    assert read("ipv4/conf/wherry0/route_localnet") == "1"
    assert read("ipv6/conf/wherry0/accept_ra") == "0"
    assert link.find(host.route, "wherry0").mac.startswith("02:42")
