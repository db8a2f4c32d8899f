"""`port`: where a container's ports are published."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.cli.flags import Verb
from wherry.cli.options.ports import order, split_protocol
from wherry.cli.output import emit
from wherry.client import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _port(session: Session, _: Given, arguments: list[str]) -> int:
    found = session.client.json(containers.inspect(arguments[0]))
    published = {port: where for port, where in (found["NetworkSettings"].get("Ports") or {}).items() if where}
    if len(arguments) == 1:
        lines = [f"{port} -> {_shown(where)}" for port, places in order(published) for where in places]
        emit("".join([f"{text}\n" for text in lines]))
        return 0
    wanted = arguments[1]
    protocol, number = split_protocol(wanted)
    if not (number.isascii() and number.isdigit()):
        raise CommandError(f"Error: invalid port ({wanted})")
    places = published.get(f"{number}/{protocol}")
    if not places:
        raise CommandError(f"Error: No public port '{wanted}' published for {arguments[0]}")
    emit("".join([f"{_shown(where)}\n" for where in places]))
    return 0


def _shown(where: dict[str, str]) -> str:
    address = where.get("HostIp", "")
    return f"[{address}]:{where['HostPort']}" if ":" in address else f"{address}:{where['HostPort']}"


PORT = Verb("CONTAINER [PRIVATE_PORT[/PROTO]]", _port, arguments=(1, 2))
