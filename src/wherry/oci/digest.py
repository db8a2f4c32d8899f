"""Content digests: `algorithm:hex`, checked before they ever become part of a path (image-spec descriptor.md)."""

import hashlib
import re
from typing import Protocol

# image-spec registers these two; both are at hand everywhere.
_SHAPES = {"sha256": re.compile(r"sha256:[0-9a-f]{64}"), "sha512": re.compile(r"sha512:[0-9a-f]{128}")}


class DigestError(ValueError):
    """Not a digest, or not of a supported algorithm."""


class Hash(Protocol):
    """The part of hashlib's objects that is used here."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """The sum of all bytes so far, in hex."""


def is_digest(text: str) -> bool:
    """Whether this is a whole digest of a supported algorithm."""
    shape = _SHAPES.get(text.partition(":")[0])
    return shape is not None and shape.fullmatch(text) is not None


def check_digest(text: str) -> str:
    """The digest itself. Raises DigestError."""
    if not is_digest(text):
        raise DigestError(f"invalid digest: {text!r}")
    return text


def split_digest(digest: str) -> tuple[str, str]:
    """Algorithm and hex digits. Raises DigestError."""
    algorithm, _, digits = check_digest(digest).partition(":")
    return algorithm, digits


def hasher(algorithm: str = "sha256") -> Hash:
    """An empty hash of a supported algorithm. Raises DigestError."""
    if algorithm not in _SHAPES:
        raise DigestError(f"unsupported digest algorithm: {algorithm!r}")
    return hashlib.new(algorithm)


def digest_of(data: bytes | memoryview, algorithm: str = "sha256") -> str:
    """The digest of bytes in memory."""
    summed = hasher(algorithm)
    summed.update(data)
    return f"{algorithm}:{summed.hexdigest()}"
