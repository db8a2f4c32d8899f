"""Which system call filter a container gets: Docker's default, the user's, the daemon's, or none."""

import functools

from wherry.engine.defaults.seccomp_default import default_profile
from wherry.engine.defaults.seccomp_profile import parse, resolve
from wherry.model.errors import InvalidParameter
from wherry.oci.runtime import Seccomp

UNCONFINED = "unconfined"
BUILTIN = "builtin"


def seccomp_filter(said: str, bounding: tuple[str, ...]) -> Seccomp | None:
    """The filter for a container whose bounding set is given; None for none.

    `said` is empty or `builtin` for Docker's default, `unconfined`, or a profile's JSON text.
    Raises InvalidParameter in dockerd's words.
    """
    if said == UNCONFINED:
        return None
    if said in ("", BUILTIN):
        return _default(frozenset(bounding))
    return resolve(parse(said), bounding)


@functools.lru_cache(maxsize=64)
def _default(bounding: frozenset[str]) -> Seccomp:
    found = resolve(default_profile(), bounding)
    if found is None:
        raise InvalidParameter("the default seccomp profile is empty")
    return found
