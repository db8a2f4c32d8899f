"""Names of images: repository, tag, digest, and the registry they belong to.

The grammar is the distribution project's; only as much is checked here as a client must know to ask the right registry.
"""

from __future__ import annotations

from wherry.cli.errors import CommandError

DEFAULT_REGISTRY = "docker.io"
INDEX = "https://index.docker.io/v1/"
NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-/")
TAG_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
TAG_LENGTH_MAX = 128
HEX = frozenset("0123456789abcdef")
DIGEST_LETTERS = 64


class Reference:
    """`registry` docker.io for names without one, `path` the name below it, `tag` and `digest` "" when not said."""

    __slots__ = ("digest", "familiar", "path", "registry", "tag")

    def __init__(self, familiar: str, registry: str, path: str, tag: str, digest: str) -> None:
        self.familiar = familiar
        self.registry = registry
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def is_named_only(self) -> bool:
        """True when neither tag nor digest is said."""
        return not self.tag and not self.digest

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.familiar + tag + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """`text` as a reference. Raises CommandError, "invalid reference format", as docker does."""
    rest, at, digest = text.partition("@")
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    name = head + slash + last
    registry, path = _registry(name)
    if path and path.lower() != path and path.lower().strip("".join(NAME_LETTERS)) == "":
        raise CommandError(
            f"invalid reference format: repository name ({_canonical(registry, path)}) must be lowercase"
        )
    wrong_tag = bool(colon) and (not tag or len(tag) > TAG_LENGTH_MAX or tag[0] in ".-" or not set(tag) <= TAG_LETTERS)
    if not _is_path(path) or wrong_tag or (at and not _is_digest(digest)):
        raise CommandError("invalid reference format")
    familiar = path if registry == DEFAULT_REGISTRY else f"{registry}/{path}"
    if registry == DEFAULT_REGISTRY and path.startswith("library/") and path.count("/") == 1:
        familiar = path.removeprefix("library/")
    return Reference(familiar, registry, path, tag, digest)


def is_id(text: str) -> bool:
    """True for a whole image ID, with or without its algorithm."""
    return _is_digest(text) or (len(text) == DIGEST_LETTERS and set(text) <= HEX)


def _registry(name: str) -> tuple[str, str]:
    """The registry that a name begins with, if it does, and the rest."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        return (DEFAULT_REGISTRY if first in ("index.docker.io", DEFAULT_REGISTRY) else first), rest
    return DEFAULT_REGISTRY, name


def _canonical(registry: str, path: str) -> str:
    return f"library/{path}" if registry == DEFAULT_REGISTRY and "/" not in path else path


def _is_path(path: str) -> bool:
    if not path or not set(path) <= NAME_LETTERS or len(path) > 255:
        return False
    for part in path.split("/"):
        if not part or not part[0].isalnum() or not part[-1].isalnum() or ".." in part or "._" in part or "_." in part:
            return False
        if "___" in part or "-." in part or ".-" in part or "_-" in part or "-_" in part:
            return False
    return True


def _is_digest(text: str) -> bool:
    algorithm, colon, digits = text.partition(":")
    return bool(colon) and algorithm == "sha256" and len(digits) == DIGEST_LETTERS and set(digits) <= HEX


def auth_key(registry: str) -> str:
    """Under which name config.json keeps a registry's credentials."""
    return INDEX if registry in (DEFAULT_REGISTRY, "index.docker.io") else registry
