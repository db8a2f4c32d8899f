"""The versions of the API: which are served, and how a client names one."""

import re
from typing import NamedTuple

from wherry.model.errors import InvalidParameter

_PREFIX = re.compile(r"/v([0-9.]{1,32})(?=/)")


class Version(NamedTuple):
    """A version that compares as numbers do: 1.9 is older than 1.24."""

    major: int
    minor: int

    def __str__(self) -> str:
        """As clients write it."""
        return f"{self.major}.{self.minor}"


OLDEST = Version(1, 24)
NEWEST = Version(1, 51)


class TooOld(InvalidParameter):
    """A client older than the oldest version served. Such clients read plain text, not JSON."""


def split_version(path: str) -> tuple[str, str]:
    """The version that a request's path begins with, empty when it names none, and the path without it."""
    match = _PREFIX.match(path)
    return (match.group(1), path[match.end() :]) if match else ("", path)


def served_version(said: str) -> Version:
    """A version as a client says it; the newest for an empty one. Raises InvalidParameter in dockerd's words."""
    if not said:
        return NEWEST
    numbers = [int(part or "0") for part in said.split(".")]
    if numbers < list(OLDEST):
        raise TooOld(
            f"client version {said} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version"
        )
    if numbers > list(NEWEST):
        raise InvalidParameter(f"client version {said} is too new. Maximum supported API version is {NEWEST}")
    return Version(numbers[0], numbers[1])
