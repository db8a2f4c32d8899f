"""Networking: rules, bridges, forwarding, and whoever else filters packets here."""

from collections.abc import Iterator
from pathlib import Path

from wherry.bootstrap.doctor.check import Check, missing, ok, warning, why_not
from wherry.linux.namespaces import CLONE_NEWNET, unshare
from wherry.linux.netlink import link
from wherry.linux.netlink.connection import Connection
from wherry.linux.nftables import Nftables
from wherry.networks.docker_user import is_forwarding_blocked
from wherry.networks.firewall import render

_WITHOUT_BRIDGE = "containers have no network but --network host and none; start wherryd with --bridge none"
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def checks() -> Iterator[Check]:
    """All of them; what must be tried is tried in a network namespace that ends at once."""
    failure = why_not(_try_rules)
    if failure:
        advice = "install libnftables1 and use a kernel with nf_tables, nft_nat, nft_masq, nft_fib_inet and nft_ct"
        yield missing("nftables", failure, _WITHOUT_BRIDGE, advice)
    else:
        yield ok("nftables", "the daemon's own table can be made")
    failure = why_not(_try_links)
    if failure:
        yield missing("veth and bridge", failure, _WITHOUT_BRIDGE, "use a kernel with the modules veth and bridge")
    else:
        yield ok("veth and bridge", "can be made")
    yield _forwarding()
    yield _others()


def _try_rules() -> None:
    unshare(CLONE_NEWNET)
    Nftables().run(render("wherry-doctor", (), (), ()))


def _try_links() -> None:
    unshare(CLONE_NEWNET)
    with Connection() as route:
        route.transact([link.new_bridge("bridge", mac=b"\x02\x42\0\0\0\1", mtu=1500)])
        bridge = link.find(route, "bridge")
        near = link.VethEnd(name="near", mtu=1500, master=bridge.index if bridge else 0)
        route.transact([link.new_veth(near, link.VethEnd(name="far", mtu=1500))])


def _forwarding() -> Check:
    if _FORWARD.read_text().strip() == "1":
        return ok("IPv4 forwarding", "on")
    try:
        _FORWARD.open("r+b").close()
    except OSError as error:
        meaning = "containers on a bridge reach nothing outside"
        return warning("IPv4 forwarding", f"off, and {error}", meaning, "sysctl net.ipv4.ip_forward=1 on the host")
    return ok("IPv4 forwarding", "off; the daemon switches it on, unless --ip-forward=false")


def _others() -> Check:
    try:
        nftables = Nftables()
        blocked = is_forwarding_blocked(nftables)
    except OSError as error:
        return warning("other firewalls", str(error), "it cannot be told who else filters packets", "see nftables")
    nftables.close()
    if not blocked:
        return ok("other firewalls", "none drops what is forwarded, or dockerd's, which is asked to let us pass")
    meaning = "containers on a bridge may not reach the outside, nor be reached on published ports"
    advice = (
        "accept what is forwarded from and to the bridge there, for example: iptables -I FORWARD -i wherry0 -j ACCEPT"
    )
    return warning("other firewalls", "a table drops what is forwarded, by policy", meaning, advice)
