"""A network namespace to be made, as a value that travels to the process that makes it."""

from msgspec import Struct

# rtnetlink's group number marks the links that are ours: everything else on our bridge belongs to somebody.
LINK_GROUP = 0x77727279

# What dockerd gives every container that has a network namespace of its own (moby daemon/oci_linux.go).
BASE_SYSCTLS = (
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
)


class Interface(Struct, frozen=True, kw_only=True):
    """One veth pair: `host_name` a port of the bridge with index `bridge`, `name` inside with its address.

    `gateway` empty: no default route over it. `isolated` keeps it from the bridge's other isolated ports. `link_local`
    are further addresses.
    """

    host_name: str
    name: str
    bridge: int
    mac: str
    address: str
    prefix: int
    gateway: str
    mtu: int
    isolated: bool = False
    link_local: tuple[str, ...] = ()


class Make(Struct, frozen=True, kw_only=True, tag="make"):
    """Make a namespace with these interfaces and kernel parameters; the answer carries its descriptor."""

    interfaces: tuple[Interface, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()


class Tune(Struct, frozen=True, kw_only=True, tag="tune"):
    """Write kernel parameters in the namespace whose descriptor comes along."""

    sysctls: tuple[tuple[str, str], ...]


class Answer(Struct, frozen=True, kw_only=True):
    """`error` is empty when all went well; else nothing is left behind."""

    error: str = ""


Order = Make | Tune
