"""Platforms, `os[/arch[/variant]]`, in the API's form."""

from __future__ import annotations

from wherry.cli.errors import CommandError
from wherry.jsontext import encode

ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386", "i686": "386"}


SYSTEMS = ("linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "wasip1", "android", "plan9", "solaris")
KNOWN = frozenset([*ARCHITECTURES, "amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "mips64le", "wasm"])


def check(text: str) -> str:
    """`text` if it names a platform or nothing. Raises CommandError in docker's words."""
    if text and "/" not in text and text.lower() not in SYSTEMS and text.lower() not in KNOWN:
        problem = f'"{text}": unknown operating system or architecture: invalid argument'
        raise CommandError(f"error parsing specified platform: {problem}")
    return text


def as_json(text: str) -> str:
    """The platform as the JSON that inspect, history, save and load take. Raises CommandError."""
    parts = text.lower().split("/")
    if not 1 <= len(parts) <= 3 or not all(part.replace("-", "").replace("_", "").isalnum() for part in parts):
        raise CommandError(f"invalid platform: {text!r} is an invalid OS component".replace("'", '"'))
    if len(parts) == 1:
        return encode({"os": parts[0]})
    platform = {"architecture": ARCHITECTURES.get(parts[1], parts[1]), "os": parts[0]}
    if len(parts) == 3:
        platform["variant"] = parts[2]
    return encode(platform)
