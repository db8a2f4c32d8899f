"""`logs`: what a container wrote."""

from __future__ import annotations

from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.moments import unix
from wherry.cli.streams import copy_out
from wherry.client import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _logs(session: Session, given: Given, names: list[str]) -> int:
    if given["clear"]:
        session.client.send(containers.clear_logs(names[0])).read()
        return 0
    found = session.client.json(containers.inspect(names[0]))
    call = containers.logs(
        found["Id"],
        follow=given["follow"],
        timestamps=given["timestamps"],
        details=given["details"],
        tail=given["tail"],
        since=unix(given["since"], "since"),
        until=unix(given["until"], "until"),
    )
    copy_out(session.client.send(call), tty=found["Config"]["Tty"])
    return 0


LOGS = Verb(
    "[OPTIONS] CONTAINER",
    _logs,
    Flag("clear", "", BOOL, "Forget what was written so far (Wherry only)"),
    Flag("details", "", BOOL, "Show labels and variables that the log driver kept"),
    Flag("follow", "f", BOOL, "Go on with what comes"),
    Flag("since", "", STRING, 'Begin at a time ("2013-01-02T13:23:37Z") or so long ago ("42m")'),
    Flag("tail", "n", STRING, "Number of lines from the end", default="all"),
    Flag("timestamps", "t", BOOL, "Show when each line was written"),
    Flag("until", "", STRING, 'End at a time ("2013-01-02T13:23:37Z") or so long ago ("42m")'),
    arguments=(1, 1),
)
