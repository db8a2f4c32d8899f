"""Options, subnets, addresses, ports and the table's text, without a kernel."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from wherry.model.errors import Conflict, InvalidParameter, Unavailable
from wherry.model.network import PortRequest, PublishedPort
from wherry.networks.firewall import BridgeRules, Mapping, render, table_name
from wherry.networks.options import DEFAULT_POOLS, NetworkOptions, check, fixed_range, parse_address_pool
from wherry.networks.ports import PortBook
from wherry.networks.subnets import Addresses, choose


def test_a_pool_is_read_as_dockerd_reads_it():
    pool = parse_address_pool("base=10.10.0.0/16,size=24")
    assert (str(pool.base), pool.size) == ("10.10.0.0/16", 24)


@pytest.mark.parametrize(
    "text", ["", "base=10.0.0.0/8", "base=x,size=24", "base=10.0.0.0/16,size=8", "size=2,base=::/0"]
)
def test_a_pool_that_is_none_is_refused(text):
    with pytest.raises(InvalidParameter, match="invalid default-address-pool"):
        parse_address_pool(text)


@pytest.mark.parametrize(
    "options",
    [
        NetworkOptions(bridge="a b"),
        NetworkOptions(bridge="much-too-long-name"),
        NetworkOptions(bridge=""),
        NetworkOptions(bridge='x"; flush ruleset; "'),
        NetworkOptions(bip="10.0.0.0/24"),
        NetworkOptions(bip="10.0.0.1/31"),
        NetworkOptions(bip="nonsense"),
        NetworkOptions(host_ip="nonsense"),
        NetworkOptions(mtu=10),
    ],
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(InvalidParameter, match=r"^invalid "):
        check(options)


def test_a_fixed_range_lies_in_the_subnet():
    with pytest.raises(InvalidParameter, match="is not in the bridge's subnet"):
        fixed_range(NetworkOptions(fixed_cidr="10.1.0.0/24"), IPv4Network("10.0.0.0/24"))


def test_subnets_are_chosen_in_dockerds_order():
    taken = [IPv4Network(f"172.{number}.0.0/16") for number in range(17, 21)]
    assert str(choose(DEFAULT_POOLS, [])) == "172.17.0.0/16"
    assert str(choose(DEFAULT_POOLS, taken)) == "172.21.0.0/16"
    assert str(choose(DEFAULT_POOLS, [IPv4Network("172.16.0.0/12")])) == "192.168.0.0/20"
    with pytest.raises(Unavailable, match="all predefined address pools have been fully subnetted"):
        choose(DEFAULT_POOLS, [IPv4Network("0.0.0.0/0")])


def addresses(text="10.0.0.0/29", part=""):
    subnet = IPv4Network(text)
    return Addresses(subnet, IPv4Network(part) if part else subnet, subnet.network_address + 1)


def test_the_lowest_free_address_goes_first_and_a_released_one_comes_again():
    book = addresses()
    assert [str(book.take("n")) for _ in range(5)] == [f"10.0.0.{last}" for last in (2, 3, 4, 5, 6)]
    with pytest.raises(Unavailable, match=r"address pools: n$"):
        book.take("n")
    book.release(IPv4Address("10.0.0.4"))
    book.release(IPv4Address("10.0.0.4"))
    assert str(book.take("n")) == "10.0.0.4"


def test_a_chosen_address_must_be_free_and_inside():
    book = addresses()
    assert str(book.claim("10.0.0.5")) == "10.0.0.5"
    for taken in ("10.0.0.5", "10.0.0.1", "10.0.0.0", "10.0.0.7"):
        with pytest.raises(Conflict, match="Address already in use"):
            book.claim(taken)
    with pytest.raises(InvalidParameter, match="no configured subnet or ip-range contain the IP address"):
        book.claim("10.0.1.5")
    with pytest.raises(InvalidParameter, match="invalid IPv4 address: x"):
        book.claim("x")


def test_a_range_bounds_what_is_handed_out():
    book = addresses("10.0.0.0/24", "10.0.0.252/30")
    assert [str(book.take("n")) for _ in range(3)] == ["10.0.0.252", "10.0.0.253", "10.0.0.254"]


def test_ports_collide_on_all_addresses_of_their_family_only():
    book = PortBook()
    book.take("tcp", ("0.0.0.0",), 80)
    assert not book.is_free("tcp", "127.0.0.1", 80)
    assert book.is_free("tcp", "::", 80)
    assert book.is_free("udp", "0.0.0.0", 80)
    book.take("tcp", ("::1",), 80)
    assert not book.is_free("tcp", "::", 80)
    assert book.is_free("tcp", "::2", 80)
    with pytest.raises(Conflict, match=r"^Bind for 0\.0\.0\.0:80 failed: port is already allocated$"):
        book.take("tcp", ("0.0.0.0",), 80)
    book.release(PublishedPort(container_port=1, protocol="tcp", host_ip="0.0.0.0", host_port=80))
    assert book.is_free("tcp", "127.0.0.1", 80)


def test_a_search_in_a_range_goes_on_after_the_last_one_found():
    book = PortBook()
    wish = PortRequest(container_port=80, protocol="tcp", host_port_first=10, host_port_last=13)
    found = []
    for _ in range(3):
        port = next(iter(book.candidates(wish, ("0.0.0.0",))))
        book.take("tcp", ("0.0.0.0",), port)
        found.append(port)
    assert found == [10, 11, 12]
    book.release(PublishedPort(container_port=1, protocol="tcp", host_ip="0.0.0.0", host_port=10))
    assert list(book.candidates(wish, ("0.0.0.0",))) == [13, 10]


def test_the_table_has_an_element_for_each_bridge_and_port():
    text = render(
        "wherry",
        [BridgeRules("wherry0", "172.18.0.0/16", icc=True, masquerade=True)],
        ["eth0"],
        [Mapping("tcp", "0.0.0.0", 80, "172.18.0.2", 8080), Mapping("udp", "127.0.0.1", 53, "172.18.0.3", 53)],
    )
    assert 'homes { type ipv4_addr . ifname; flags interval; elements = { 172.18.0.0/16 . "wherry0" } }' in text
    assert "elements = { tcp . 80 : 172.18.0.2 . 8080 }" in text
    assert "elements = { udp . 127.0.0.1 . 53 : 172.18.0.3 . 53 }" in text


def test_every_daemon_has_a_table_of_its_own():
    assert table_name("wherry0") == "wherry"
    assert table_name("br-x") == "wherry-br-x"
