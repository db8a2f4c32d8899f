"""What the daemon says to the process that serves published ports on IPv6 addresses of the host."""

from msgspec import Struct


class Relay(Struct, frozen=True, kw_only=True):
    """One port of the host that is relayed to an address and port of a container; protocol tcp or udp."""

    protocol: str
    host_ip: str
    host_port: int
    container_ip: str
    container_port: int


class Serve(Struct, frozen=True, kw_only=True, tag="serve"):
    """Relay this; the bound socket comes along. No answer."""

    relay: Relay


class Drop(Struct, frozen=True, kw_only=True, tag="drop"):
    """Stop relaying these, also what is connected; the answer is Kept, their ports are free then."""

    relays: tuple[Relay, ...]


class Keep(Struct, frozen=True, kw_only=True, tag="keep"):
    """Stop all but these; the answer is Kept."""

    relays: tuple[Relay, ...]


class Kept(Struct, frozen=True, kw_only=True):
    """What is being relayed."""

    relays: tuple[Relay, ...]


Word = Serve | Drop | Keep

WORD_BYTES_MAX = 1 << 20
