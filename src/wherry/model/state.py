"""The life of a container as a table: one state at a time, a missing cell is a Conflict."""

from enum import StrEnum

from wherry.model.errors import Conflict


class Status(StrEnum):
    """What a container is; the values are the API's `State.Status`."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Happening(StrEnum):
    """What can happen to a container."""

    START = "start"
    DIE = "die"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    AWAIT_RESTART = "await restart"
    GIVE_UP = "give up"
    REMOVE = "remove"
    FAIL_REMOVAL = "fail removal"


TRANSITIONS: dict[Status, dict[Happening, Status]] = {
    Status.CREATED: {
        Happening.START: Status.RUNNING,
        Happening.DIE: Status.CREATED,  # a start that failed leaves it as it was
        Happening.REMOVE: Status.REMOVING,
    },
    Status.RUNNING: {
        Happening.PAUSE: Status.PAUSED,
        Happening.DIE: Status.EXITED,
        Happening.AWAIT_RESTART: Status.RESTARTING,
    },
    # A frozen process can still be killed, so PAUSED dies too.
    Status.PAUSED: {
        Happening.UNPAUSE: Status.RUNNING,
        Happening.DIE: Status.EXITED,
        Happening.AWAIT_RESTART: Status.RESTARTING,
    },
    Status.RESTARTING: {
        Happening.START: Status.RUNNING,
        Happening.DIE: Status.RESTARTING,
        Happening.GIVE_UP: Status.EXITED,
    },
    Status.EXITED: {
        Happening.START: Status.RUNNING,
        Happening.DIE: Status.EXITED,
        Happening.REMOVE: Status.REMOVING,
    },
    Status.REMOVING: {Happening.FAIL_REMOVAL: Status.DEAD},
    Status.DEAD: {Happening.REMOVE: Status.REMOVING},
}


def after(status: Status, happening: Happening) -> Status:
    """The state that follows. Raises Conflict where the table has no cell."""
    try:
        return TRANSITIONS[status][happening]
    except KeyError:
        raise Conflict(f"cannot {happening} a container that is {status}") from None
