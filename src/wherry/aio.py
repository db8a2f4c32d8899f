"""The library for asyncio: what `wherry` itself has, to be awaited."""

from wherry.python.asynchronous.client import Client, Scope, connect
from wherry.python.asynchronous.commands import ExecSession
from wherry.python.asynchronous.container import Container
from wherry.python.asynchronous.engine import Engine
from wherry.python.asynchronous.session import Session

__all__ = ["Client", "Container", "Engine", "ExecSession", "Scope", "Session", "connect"]
