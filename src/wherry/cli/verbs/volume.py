"""`volume create` and `volume rm`."""

from __future__ import annotations

from wherry.cli.each import each
from wherry.cli.errors import CommandError
from wherry.cli.flags import BOOL, STRING, Flag, Verb
from wherry.cli.options.declared import LABELS, MAP
from wherry.cli.options.environment import pairs
from wherry.cli.output import line
from wherry.client import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.flags import Given
    from wherry.cli.session import Session


def _create(session: Session, given: Given, names: list[str]) -> int:
    if names and given["name"]:
        raise CommandError(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
        )
    body = {
        "Name": names[0] if names else given["name"],
        "Driver": given["driver"],
        "DriverOpts": pairs(given["opt"]),
        "Labels": pairs(given["label"]),
    }
    line(session.client.json(volumes.create(body))["Name"])
    return 0


def _rm(session: Session, given: Given, names: list[str]) -> int:
    return each(session, names, lambda name: volumes.remove(name, force=given["force"]))


CREATE = Verb(
    "[OPTIONS] [VOLUME]",
    _create,
    Flag("driver", "d", STRING, "Driver of the volume", default="local"),
    Flag("label", "", LABELS, "Set a label"),
    Flag("name", "", STRING, "Name of the volume", hidden=True),
    Flag("opt", "o", MAP, "Option of the driver", shown_default="map[]"),
    arguments=(0, 1),
)
RM = Verb(
    "[OPTIONS] VOLUME [VOLUME...]",
    _rm,
    Flag("force", "f", BOOL, "Do not complain about a volume that is not there"),
    arguments=(1, None),
)
