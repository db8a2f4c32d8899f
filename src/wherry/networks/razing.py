"""Taking away what the networks of an engine stood on, once it has ended and no container of it is left."""

from wherry.linux.netlink import link
from wherry.linux.netlink.connection import Connection
from wherry.linux.nftables import Nftables
from wherry.networks import docker_user
from wherry.networks.firewall import Firewall, table_name


def raze(bridge: str) -> None:
    """Remove a bridge, its table of rules and those in dockerd's; what is not there is fine. Raises OSError."""
    route = Connection()
    try:
        if link.find(route, bridge) is not None:
            route.transact([link.delete(bridge)])
    finally:
        route.close()
    nftables = Nftables()
    try:
        Firewall(nftables, table_name(bridge)).remove()
        docker_user.withdraw(nftables, bridge)
    finally:
        nftables.close()
