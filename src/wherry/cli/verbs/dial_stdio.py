"""`system dial-stdio`: the daemon's connection on standard input and output, for clients that come by ssh."""

from __future__ import annotations

from wherry.cli.flags import Verb
from wherry.cli.streams import Pump, raw_output
from wherry.client.dial import dial
from wherry.client.http import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _dial(session: Session, _: Given, __: list[str]) -> int:
    address = session.client.address
    session.client.close()
    connection = Connection(dial(address))
    try:
        Pump(connection, raw_output, stdin=True).run()
    finally:
        connection.wire.close()
    return 0


DIAL_STDIO = Verb("", _dial)
