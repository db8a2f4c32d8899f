"""`top`: the processes of a container."""

from __future__ import annotations

from wherry.cli.flags import Verb
from wherry.cli.output import emit
from wherry.cli.table import aligned
from wherry.client import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session

COLUMN_WIDTH_MIN = 20


def _top(session: Session, _: Given, arguments: list[str]) -> int:
    answer = session.client.json(containers.top(arguments[0], " ".join(arguments[1:])))
    rows = [answer["Titles"], *(answer["Processes"] or ())]
    emit(aligned(rows, minimum=COLUMN_WIDTH_MIN))
    return 0


TOP = Verb("CONTAINER [ps OPTIONS]", _top, arguments=(1, None), interspersed=False)
