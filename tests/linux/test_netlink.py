"""Netlink messages and the kernel's answers, in a network namespace of the test's own."""

import errno
import os

import pytest

from wherry.linux.namespaces import CLONE_NEWNET, setns, unshare
from wherry.linux.netlink import address, link
from wherry.linux.netlink.connection import Connection
from wherry.linux.netlink.wire import attribute, attributes, nested, number, text
from wherry.linux.nftables import Nftables

MAC = bytes.fromhex("024201020304")


@pytest.fixture
def route():
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    unshare(CLONE_NEWNET)
    try:
        with Connection() as connection:
            yield connection
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)


def test_attributes_are_padded_and_read_back():
    encoded = text(3, "ab") + number(4, 7) + nested(18, attribute(1, b"x"))
    assert len(encoded) % 4 == 0
    assert attributes(encoded) == {3: b"ab\0", 4: b"\7\0\0\0", 18: attribute(1, b"x")}


def test_broken_attributes_end_the_reading():
    assert attributes(b"\0\0\0\0rest") == {}


def test_a_bridge_is_made_up_and_found(route):
    route.transact([link.new_bridge("br0", mac=MAC, mtu=1400)])
    found = link.find(route, "br0")
    assert (found.kind, found.mac, found.mtu, found.is_up) == ("bridge", "02:42:01:02:03:04", 1400, True)
    assert link.find(route, "br1") is None


def test_a_failure_names_the_request_and_the_kernels_reason(route):
    requests = [link.new_bridge(name, mac=MAC, mtu=1500) for name in ("br0", "br0", "br1")]
    with pytest.raises(OSError, match="make bridge br0: File exists") as failed:
        route.transact(requests)
    assert failed.value.errno == errno.EEXIST
    # The rest of a batch is done all the same.
    assert link.find(route, "br1") is not None


def test_a_veth_pair_is_a_port_of_a_bridge(route):
    route.transact([link.new_bridge("br0", mac=MAC, mtu=1500)])
    bridge = link.find(route, "br0").index
    near = link.VethEnd(name="near", mtu=1300, master=bridge, group=77)
    route.transact(
        [
            link.new_veth(near, link.VethEnd(name="far", mtu=1300, mac=MAC)),
            link.set_port("near", hairpin=True, isolated=True),
        ]
    )
    found = {one.name: one for one in link.all_links(route)}
    assert (found["near"].master, found["near"].group, found["near"].mtu) == (bridge, 77, 1300)
    assert found["far"].mac == "02:42:01:02:03:04"
    route.transact([link.delete("far")])
    assert link.find(route, "near") is None


def test_addresses_and_routes_are_listed(route):
    route.transact([link.new_bridge("br0", mac=MAC, mtu=1500)])
    index = link.find(route, "br0").index
    route.transact([address.new_address(index, bytes([10, 1, 2, 1]), 24)])
    route.transact([address.new_default_route(index, bytes([10, 1, 2, 9]))])
    assert address.addresses(route) == [address.Address(index, "10.1.2.1", 24)]
    assert set(address.routes(route)) == {address.Route("0.0.0.0", 0, index), address.Route("10.1.2.0", 24, index)}


def test_nftables_runs_all_or_nothing_and_says_why(route):
    nftables = Nftables()
    try:
        with pytest.raises(OSError, match="No such file or directory"):
            nftables.run("add table inet one\nadd chain inet two c")
        assert nftables.query("list tables")[1:] == []
        nftables.run("add table inet one")
        assert [found["table"]["name"] for found in nftables.query("list tables") if "table" in found] == ["one"]
    finally:
        nftables.close()
        nftables.close()
