"""`doctor`: what this host can do, without a daemon."""

from __future__ import annotations

import os
import sys

from wherry.cli.errors import CommandError
from wherry.cli.flags import STRING, Flag, Verb
from wherry.cli.output import flush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session

NOT_ROOT = "wherry doctor makes namespaces, mounts and rules to see whether it can, so it needs root: try sudo"
FORMATS = ("", "text", "json")


def _doctor(_session: Session, given: Given, _: list[str]) -> int:
    if given["format"] not in FORMATS:
        raise CommandError(f'unknown format "{given["format"]}": text or json')
    if os.geteuid() != 0:
        raise CommandError(NOT_ROOT)
    flush()
    # What it tries belongs to the daemon's half of the house, of which the command line knows nothing.
    words = ["-P", "-m", "wherry.bootstrap.doctor", given["format"], given["data-root"]]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - a program of our own


DOCTOR = Verb(
    "[OPTIONS]",
    _doctor,
    Flag("data-root", "", STRING, "Directory that the daemon keeps its state in", shown_default='"/var/lib/wherry"'),
    Flag("format", "", STRING, 'Format of the output ("text", "json")'),
    details="Exits with 0 when containers can run here and with 1 otherwise. Everything it tries is undone.",
)
