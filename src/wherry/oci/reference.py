"""Names of images: parsing, docker.io's shorthands, and the familiar form people read (distribution/reference).

```
docker.io/library/busybox:1.36@sha256:…
└ domain ┘└──── path ────┘└tag┘└digest┘
```
`busybox` is short for `docker.io/library/busybox`; without tag and digest it means the tag `latest`.
"""

import re
from dataclasses import dataclass, replace

from wherry.oci.digest import is_digest

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
NAME_LENGTH_MAX = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])"
_DOMAIN = rf"{_HOST}(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"\w[\w.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

REFERENCE = re.compile(rf"({_DOMAIN})/({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?", re.ASCII)
IDENTIFIER = re.compile(r"[0-9a-f]{64}")
TAG = re.compile(_TAG, re.ASCII)


class InvalidReference(ValueError):
    """Not the name of an image; the text is distribution/reference's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A parsed name; `str()` is the canonical form, `familiar` the one people read."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people write it: `busybox`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(OFFICIAL)
        return self.path if "/" in short else short

    @property
    def familiar(self) -> str:
        """The whole as people write it: `busybox:latest`."""
        return self.familiar_name + self._suffix

    @property
    def is_name_only(self) -> bool:
        """Neither a tag nor a digest was said."""
        return not self.tag and not self.digest

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix

    def with_default_tag(self) -> "Reference":
        """With the tag `latest` when it has neither tag nor digest."""
        return replace(self, tag=DEFAULT_TAG) if self.is_name_only else self

    def with_tag(self, tag: str) -> "Reference":
        """The same repository with another tag. Raises InvalidReference."""
        if TAG.fullmatch(tag) is None:
            raise InvalidReference("invalid tag format")
        return replace(self, tag=tag, digest="")

    def with_digest(self, digest: str) -> "Reference":
        """The same repository by digest alone."""
        return replace(self, tag="", digest=digest)


def parse_reference(text: str) -> Reference:
    """A name as a user types it, normalised (distribution/reference ParseNormalizedNamed). Raises InvalidReference."""
    if IDENTIFIER.fullmatch(text):
        raise InvalidReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, remainder = _split_domain(text)
    repository = remainder.partition("@")[0].partition(":")[0]
    if repository != repository.lower():
        raise InvalidReference(f"invalid reference format: repository name ({repository}) must be lowercase")
    return _parse_canonical(f"{domain}/{remainder}")


def parse_any_reference(text: str) -> Reference | str:
    """A name, or an image's digest for `sha256:…` and 64 hex digits (ParseAnyReference). Raises InvalidReference."""
    if IDENTIFIER.fullmatch(text):
        return f"sha256:{text}"
    if is_digest(text):
        return text
    return parse_reference(text)


def _parse_canonical(text: str) -> Reference:
    found = REFERENCE.fullmatch(text)
    if found is None:
        raise InvalidReference("invalid reference format")
    domain, path, tag, digest = (part or "" for part in found.groups())
    if digest and not is_digest(digest):
        raise InvalidReference("invalid reference format")
    # Since distribution/reference 0.6 the limit is on the path without the domain.
    if len(path) > NAME_LENGTH_MAX:
        raise InvalidReference(f"repository name must not be more than {NAME_LENGTH_MAX} characters")
    return Reference(domain=domain, path=path, tag=tag, digest=digest)


def _split_domain(text: str) -> tuple[str, str]:
    """Tell `localhost:5000/x` from `user/x`: a domain has a dot, a colon or a capital, or is `localhost`."""
    first, slash, rest = text.partition("/")
    is_domain = slash and (first == "localhost" or "." in first or ":" in first or first != first.lower())
    domain, remainder = (first, rest) if is_domain else (DEFAULT_DOMAIN, text)
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = OFFICIAL + remainder
    return domain, remainder
