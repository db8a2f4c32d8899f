"""Calls about further commands in a running container."""

from __future__ import annotations

from wherry.client.call import Call, escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def create(container: str, body: Mapping[str, Any]) -> Call:
    """Prepare a command; the answer has `Id`."""
    return Call("POST", f"/containers/{escape(container)}/exec", json=dict(body))


def start(exec_id: str, *, detach: bool, tty: bool, size: tuple[int, int] | None = None) -> Call:
    """Run it: to hijack, or with `detach` to send. `size` is rows and columns of its terminal."""
    body: dict[str, Any] = {"Detach": detach, "Tty": tty}
    if size is not None:
        body["ConsoleSize"] = list(size)
    return Call("POST", f"/exec/{exec_id}/start", json=body)


def inspect(exec_id: str) -> Call:
    """Its state: `Running`, `ExitCode`, `Pid`."""
    return Call("GET", f"/exec/{exec_id}/json")


def resize(exec_id: str, *, rows: int, columns: int) -> Call:
    """Tell its terminal the size."""
    return Call("POST", f"/exec/{exec_id}/resize", query={"h": rows, "w": columns})
