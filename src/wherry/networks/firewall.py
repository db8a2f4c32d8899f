"""The daemon's own nftables table: static rules over sets and maps, an element for each bridge and published port.

Nobody else's table is read or written. A bridge is an element of some sets, a published port one of a map, so
publishing is one small transaction however many there are; `apply` writes the whole table anew in one
transaction, which is also how flushed or half-written ones are mended. Established connections live in conntrack
and notice nothing.

What the chains do, in the order a packet meets them
----------------------------------------------------
unroutable  a container cannot reach the host's 127.0.0.0/8, although our bridges route it for `published`
incoming    published ports, for packets from outside and from containers; never for 127.0.0.0/8, which a
            neighbour could otherwise reach through us (moby#45610)
outgoing    the same for the host's own programs, with 127.0.0.0/8
passing     into a bridge goes only what was published, what belongs to a known connection, and what its own
            containers send where they may; between other links nothing is decided here
leaving     containers look like the host from outside, and like the gateway where an answer would miss us
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from wherry.crashpoints import crash_point
from wherry.linux.nftables import Nftables
from wherry.networks.options import DEFAULT_BRIDGE
from wherry.networks.ports import EVERYWHERE


@dataclass(frozen=True, slots=True)
class BridgeRules:
    """One bridge: its link's name, its subnet as CIDR, whether its containers talk, whether they are masqueraded."""

    link: str
    subnet: str
    icc: bool
    masquerade: bool


@dataclass(frozen=True, slots=True)
class Mapping:
    """One published port of IPv4, from a host address to a container's."""

    protocol: str
    host_ip: str
    host_port: int
    container_ip: str
    container_port: int


@dataclass(slots=True)
class Firewall:
    """What the table shall hold, and the table. `uplinks` are links that are not routed to one another."""

    nftables: Nftables
    table: str
    bridges: tuple[BridgeRules, ...] = ()
    uplinks: tuple[str, ...] = ()
    mappings: set[Mapping] = field(default_factory=set)

    def apply(self) -> None:
        """Make the table what it shall be, in one transaction. Raises OSError."""
        self.nftables.run(render(self.table, self.bridges, self.uplinks, self.mappings))

    def publish(self, mappings: Collection[Mapping]) -> None:
        """Add published ports, all or none. Raises OSError."""
        self.mappings.update(mappings)
        try:
            crash_point("network.publishing")
            self._change("add", mappings)
            crash_point("network.rules-added")
        except OSError:
            self.mappings.difference_update(mappings)
            raise

    def withdraw(self, mappings: Collection[Mapping]) -> None:
        """Remove published ports. Raises OSError."""
        known = [mapping for mapping in mappings if mapping in self.mappings]
        self.mappings.difference_update(known)
        self._change("delete", known)

    def remove(self) -> None:
        """Remove the whole table; a missing one is fine. Raises OSError."""
        self.nftables.run(f"table inet {self.table}\ndelete table inet {self.table}")

    def wanted_content(self) -> set[tuple[str, str]]:
        """What the table shall hold: elements by the name of their set or map, and how many rules each chain has."""
        return content_of(render(self.table, self.bridges, self.uplinks, self.mappings))

    def present_content(self) -> set[tuple[str, str]]:
        """What the table in the kernel holds, in the same form: nothing when there is no table."""
        try:
            return content_of(self.nftables.run(f"list table inet {self.table}"))
        except OSError:
            return set()

    def found_uplinks(self) -> tuple[str, ...]:
        """What the table in the kernel holds as uplinks: nothing when there is no table."""
        try:
            objects = self.nftables.query(f"list set inet {self.table} uplinks")
        except OSError:
            return ()
        sets = [found["set"] for found in objects if "set" in found]
        return tuple(sets[0].get("elem", ())) if sets else ()

    def _change(self, verb: str, mappings: Collection[Mapping]) -> None:
        commands = [f"{verb} element inet {self.table} {_map(one)} {{ {_element(one)} }}" for one in mappings]
        if not commands:
            return
        try:
            self.nftables.run("\n".join(commands))
        except OSError:
            # Somebody flushed our table: put all of it back, this change included.
            self.apply()


def table_name(bridge: str) -> str:
    """Each daemon has a table of its own, told apart by its bridge."""
    return "wherry" if bridge == DEFAULT_BRIDGE else f"wherry-{bridge}"


def render(table: str, bridges: Iterable[BridgeRules], uplinks: Iterable[str], mappings: Iterable[Mapping]) -> str:
    """The commands that replace the table by one with this content."""
    bridges, mappings = tuple(bridges), tuple(mappings)
    exact = [_element(one) for one in mappings if one.host_ip != EVERYWHERE]
    everywhere = [_element(one) for one in mappings if one.host_ip == EVERYWHERE]
    return _TABLE.format(
        table=table,
        bridges=_elements(f'"{bridge.link}"' for bridge in bridges),
        uplinks=_elements(f'"{name}"' for name in uplinks),
        homes=_elements(f'{bridge.subnet} . "{bridge.link}"' for bridge in bridges),
        masqueraded=_elements(bridge.subnet for bridge in bridges if bridge.masquerade),
        talkative=_elements(f'"{bridge.link}" . "{bridge.link}"' for bridge in bridges if bridge.icc),
        published=_elements(exact),
        everywhere=_elements(everywhere),
    )


def content_of(ruleset: str) -> set[tuple[str, str]]:
    """A table in nft's language taken apart: `(set or map, element)`, and `(chain, "with N rules")`."""
    found: set[tuple[str, str]] = set()
    for kind, name, body in _BLOCK.findall(ruleset):
        if kind == "chain":
            rules = [line for line in body.splitlines() if line.strip() and not line.strip().startswith("type ")]
            found.add((f"chain {name}", f"with {len(rules)} rules"))
        else:
            elements = _LISTED.search(body)
            found.update((name, " ".join(each.split())) for each in elements[1].split(",")) if elements else None
    return found


def _elements(elements: Iterable[str]) -> str:
    joined = ", ".join(elements)
    return f"elements = {{ {joined} }}" if joined else ""


def _map(mapping: Mapping) -> str:
    return "published_everywhere" if mapping.host_ip == EVERYWHERE else "published"


def _element(mapping: Mapping) -> str:
    where = "" if mapping.host_ip == EVERYWHERE else f"{mapping.host_ip} . "
    target = f"{mapping.container_ip} . {mapping.container_port}"
    return f"{mapping.protocol} . {where}{mapping.host_port} : {target}"


_BLOCK = re.compile(r"^\s*(set|map|chain) (\w+) \{((?:[^{}]|\{[^{}]*\})*)\}", re.MULTILINE)
_LISTED = re.compile(r"elements = \{([^}]*)\}")

# The first two lines make `delete` succeed whether or not there is such a table.
_TABLE = """
table inet {table}
delete table inet {table}
table inet {table} {{
  set bridges {{ type ifname; {bridges} }}
  set uplinks {{ type ifname; {uplinks} }}
  set homes {{ type ipv4_addr . ifname; flags interval; {homes} }}
  set masqueraded {{ type ipv4_addr; flags interval; {masqueraded} }}
  set talkative {{ type ifname . ifname; {talkative} }}
  map published {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; {published} }}
  map published_everywhere {{ type inet_proto . inet_service : ipv4_addr . inet_service; {everywhere} }}

  chain unroutable {{
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
  }}
  chain incoming {{
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 127.0.0.0/8 return
    fib daddr type != local return
    dnat ip to meta l4proto . ip daddr . th dport map @published
    dnat ip to meta l4proto . th dport map @published_everywhere
  }}
  chain outgoing {{
    type nat hook output priority -100; policy accept;
    fib daddr type != local return
    dnat ip to meta l4proto . ip daddr . th dport map @published
    dnat ip to meta l4proto . th dport map @published_everywhere
  }}
  chain passing {{
    type filter hook forward priority filter; policy accept;
    iifname @uplinks oifname @uplinks ct state new drop
    oifname != @bridges accept
    ct state established,related accept
    ct status dnat accept
    iifname . oifname @talkative accept
    drop
  }}
  chain leaving {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    ip saddr . oifname @homes ct status dnat masquerade
    ip saddr . oifname @homes return
    ip saddr @masqueraded masquerade
  }}
}}
"""
