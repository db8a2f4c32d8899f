"""Where an engine is: out of a URL and the environment, or in this process."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from wherry.client.address import Address, Tls, from_environment, parse, tls_from
from wherry.client.dial import Wire

# How long an engine may be silent in an ordinary call, and how many connections a client keeps for its next calls.
SECONDS = 60.0
IDLE_MAX = 8
LOCALHOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """An address, what proves who is there, or a function that opens connections; ports are published on `host`."""

    address: Address
    tls: Tls | None = None
    dialler: Callable[[], Wire] | None = None
    host: str = LOCALHOST


def place_of(url: str | None) -> Place:
    """The place that a URL or the environment names. Raises BadAddress."""
    config = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    tls = tls_from(os.environ, config_dir=config)
    address = parse(url or from_environment(os.environ), tls=tls is not None)
    return Place(address, tls, host=address.host or LOCALHOST)
