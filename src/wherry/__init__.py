"""Wherry: a container engine. Docker's API, containers that outlive their daemon, nothing left behind.

`wherry.connect()` speaks to a daemon, `wherry.aio.connect()` does so in asyncio; docs/python.md has examples. All names
are loaded when they are asked for: the command line and the daemon import this package, too, and need none of them.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry import aio as aio
    from wherry.client.errors import ApiError as ApiError
    from wherry.client.errors import BadAddress as BadAddress
    from wherry.client.errors import ClientError as ClientError
    from wherry.client.errors import Conflict as Conflict
    from wherry.client.errors import Denied as Denied
    from wherry.client.errors import Forbidden as Forbidden
    from wherry.client.errors import InvalidParameter as InvalidParameter
    from wherry.client.errors import NotFound as NotFound
    from wherry.client.errors import ProtocolError as ProtocolError
    from wherry.client.errors import ServerError as ServerError
    from wherry.client.errors import TimedOut as TimedOut
    from wherry.client.errors import Unauthorized as Unauthorized
    from wherry.client.errors import Unavailable as Unavailable
    from wherry.client.errors import Unreachable as Unreachable
    from wherry.client.errors import Unsupported as Unsupported
    from wherry.python.blocking.client import Client as Client
    from wherry.python.blocking.client import Scope as Scope
    from wherry.python.blocking.client import connect as connect
    from wherry.python.blocking.commands import ExecSession as ExecSession
    from wherry.python.blocking.container import Container as Container
    from wherry.python.blocking.engine import Engine as Engine
    from wherry.python.blocking.session import Session as Session
    from wherry.python.errors import ContainerError as ContainerError
    from wherry.python.errors import EngineFailed as EngineFailed
    from wherry.python.errors import NotReady as NotReady
    from wherry.python.errors import PullError as PullError
    from wherry.python.frames import Chunk as Chunk
    from wherry.python.frames import Line as Line
    from wherry.python.options import Command as Command
    from wherry.python.options import HealthCheck as HealthCheck
    from wherry.python.options import Options as Options
    from wherry.python.options import RunOptions as RunOptions
    from wherry.python.outcome import Completed as Completed

_ERRORS = (
    "ApiError BadAddress ClientError Conflict Denied Forbidden InvalidParameter NotFound ProtocolError ServerError "
    "TimedOut Unauthorized Unavailable Unreachable Unsupported"
)
_HOMES = {
    "wherry.client.errors": _ERRORS,
    "wherry.python.blocking.client": "Client Scope connect",
    "wherry.python.blocking.commands": "ExecSession",
    "wherry.python.blocking.container": "Container",
    "wherry.python.blocking.engine": "Engine",
    "wherry.python.blocking.session": "Session",
    "wherry.python.errors": "ContainerError EngineFailed NotReady PullError",
    "wherry.python.frames": "Chunk Line",
    "wherry.python.options": "Command HealthCheck Options RunOptions",
    "wherry.python.outcome": "Completed",
}


def __getattr__(name: str) -> object:
    """Load the module that has `name`."""
    from importlib import import_module  # noqa: PLC0415 - not in the way of a command line

    if name == "aio":
        return import_module("wherry.aio")
    for module, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'wherry' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is there to be asked for."""
    return sorted(["__version__", "aio", *(name for names in _HOMES.values() for name in names.split())])
