"""`system dial-stdio`: the daemon's connection on standard input and output, for clients that come by ssh."""

from __future__ import annotations

from wherry.cli.flags import Verb
from wherry.cli.streams import Pump, raw_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _dial(session: Session, _: Given, __: list[str]) -> int:
    connection = session.client.take()
    try:
        Pump(connection, raw_output, stdin=True).run()
    finally:
        connection.wire.close()
    return 0


DIAL_STDIO = Verb("", _dial)
