"""Names of containers: checked, reserved, invented."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.engine.containers import by_name
from wherry.engine.engine import Engine
from wherry.model.errors import Conflict, InvalidParameter
from wherry.model.ids import is_valid_name

_ADJECTIVES = (
    "able", "amber", "bold", "brisk", "calm", "clever", "cosy", "daring", "dry", "eager", "early", "fair", "fleet",
    "frank", "gentle", "glad", "grand", "hardy", "hearty", "honest", "jolly", "keen", "kind", "lively", "loyal",
    "lucky", "mellow", "merry", "mild", "neat", "nimble", "noble", "patient", "placid", "plucky", "proud", "quick",
    "quiet", "ready", "rosy", "silver", "sleek", "snug", "steady", "stout", "sunny", "swift", "tidy", "trim", "warm",
    "wise", "witty", "young", "zesty",
)  # fmt: skip
_BOATS = (
    "barge", "barque", "brig", "canoe", "caravel", "catboat", "clipper", "coble", "coracle", "corvette", "cutter",
    "dhow", "dinghy", "dory", "ferry", "felucca", "frigate", "galleon", "galley", "gig", "gondola", "hoy", "hulk",
    "jolly", "junk", "kayak", "keelboat", "ketch", "launch", "lighter", "longship", "lugger", "packet", "pinnace",
    "pontoon", "pram", "proa", "punt", "raft", "sampan", "schooner", "scow", "shallop", "skiff", "sloop", "smack",
    "tartane", "tender", "trawler", "tug", "umiak", "wherry", "xebec", "yacht", "yawl",
)  # fmt: skip
_TRIES = 6


@contextmanager
def reserve(engine: Engine, name: str, *, container_id: str) -> Iterator[str]:
    """Hold a name (an invented one for "") until its container is recorded. Raises InvalidParameter, Conflict.

    On leaving the name is held by the record, or free again.
    """
    wanted = _checked(name) if name else _invent(engine)
    taken_by = by_name(engine, wanted)
    if taken_by is not None or wanted in engine.reserved_names:
        owner = taken_by.id if taken_by is not None else container_id
        raise Conflict(
            f'Conflict. The container name "/{wanted}" is already in use by container "{owner}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )
    engine.reserved_names.add(wanted)
    try:
        yield wanted
    finally:
        engine.reserved_names.discard(wanted)


def _checked(name: str) -> str:
    bare = name.removeprefix("/")
    if not is_valid_name(bare):
        raise InvalidParameter(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return bare


def _invent(engine: Engine) -> str:
    for attempt in range(_TRIES):
        name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_BOATS)}"
        if attempt:
            name += str(secrets.randbelow(10**attempt))
        if by_name(engine, name) is None and name not in engine.reserved_names:
            return name
    return f"{name}_{secrets.token_hex(4)}"
