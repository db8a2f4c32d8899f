"""The distribution-spec's documents: errors, tag lists, upload ranges."""

import msgspec
from msgspec import Struct

ERRORS_MAX = 64


class DistributionError(Struct, frozen=True, kw_only=True):
    """One error as a registry tells it (distribution-spec, "Error Codes")."""

    code: str = ""
    message: str | None = None

    def __str__(self) -> str:
        words = self.code.lower().replace("_", " ")
        return f"{words}: {self.message or words}"


class _Errors(Struct, frozen=True):
    errors: tuple[DistributionError, ...] | None = None


class _Details(Struct, frozen=True):
    details: str = ""


class TagList(Struct, frozen=True):
    """One page of a repository's tags."""

    name: str = ""
    tags: tuple[str, ...] | None = None


class Token(Struct, frozen=True, kw_only=True):
    """A token server's answer; lives at least 60 seconds (distribution, token specification)."""

    token: str = ""
    access_token: str = ""
    refresh_token: str = ""
    expires_in: int = 60

    @property
    def bearer(self) -> str:
        """The token under either of its names."""
        return self.token or self.access_token


def parse_errors(body: bytes) -> tuple[DistributionError, ...]:
    """The errors in an answer's body; none when it is not such a document."""
    try:
        return (msgspec.json.decode(body, type=_Errors).errors or ())[:ERRORS_MAX]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()


def parse_details(body: bytes) -> str:
    """The `details` that some registries send in place of errors; empty when there are none."""
    try:
        return msgspec.json.decode(body, type=_Details).details
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
