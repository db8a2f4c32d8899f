"""Which of an index's images fits a platform: normal forms and variants (containerd/platforms).

A machine of variant v8 runs v7, v6 and v5 too, one of amd64 level 3 runs 2 and 1: the best match is the nearest below.
"""

import os
import re
from collections.abc import Iterable

from wherry.oci.image import Descriptor, Platform

_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_SYSTEM = re.compile(r"[A-Za-z0-9_-]+")
# How containerd/platforms writes the shape of an operating system, escaped as Go prints it.
_SYSTEM_SHAPE = r"^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.%-]*)((?:\\+[A-Za-z0-9_.%-]+)*)\\))?$"
KNOWN_ARCHITECTURES = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle"}
    | {"ppc64", "ppc64le", "riscv64", "s390x", "wasm"}
)
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
}
_DEFAULT_VARIANTS = {"arm": "v7", "arm64": "v8", "amd64": "v1"}


class PlatformError(ValueError):
    """Not a platform such as `linux/arm64/v8`."""


def parse_platform(text: str) -> Platform:
    """`os[/architecture[/variant]]` or an architecture alone. Raises PlatformError."""
    parts = text.split("/")
    if len(parts) > 3:
        raise PlatformError(f'"{text}": cannot parse platform specifier: invalid argument')
    if not _SYSTEM.fullmatch(parts[0]):
        raise PlatformError(
            f'"{parts[0]}" is an invalid OS component of "{text}": OSAndVersion specifier component must match '
            f'"{_SYSTEM_SHAPE}": invalid argument'
        )
    wrong = next((part for part in parts if not _WORD.fullmatch(part)), None)
    if wrong is not None:
        raise PlatformError(
            f'"{wrong}" is an invalid component of "{text}": platform specifier component must match '
            '"^[A-Za-z0-9_.-]+$": invalid argument'
        )
    if len(parts) > 1:
        return normalised(Platform(os=parts[0].lower(), architecture=parts[1].lower(), variant="".join(parts[2:])))
    word = parts[0].lower()
    if word in {"linux", "windows", "darwin", "freebsd"}:
        return normalised(Platform(os=word, architecture=host_platform().architecture))
    if word not in _ARCHITECTURES and word not in KNOWN_ARCHITECTURES:
        raise PlatformError(f'"{text}": unknown operating system or architecture: invalid argument')
    return normalised(Platform(os="linux", architecture=word))


def host_platform() -> Platform:
    """The platform of this machine."""
    return normalised(Platform(os="linux", architecture=os.uname().machine))


def normalised(platform: Platform) -> Platform:
    """One spelling for each platform; the default variant is left unsaid but for arm."""
    architecture, implied = _ARCHITECTURES.get(platform.architecture.lower(), (platform.architecture.lower(), ""))
    variant = platform.variant.lower() or implied
    if variant.isdecimal():
        variant = f"v{variant}"
    if architecture in {"arm64", "amd64"} and variant == _DEFAULT_VARIANTS[architecture]:
        variant = ""
    if architecture == "arm" and not variant:
        variant = _DEFAULT_VARIANTS["arm"]
    return Platform(
        os=platform.os.lower() or "linux", architecture=architecture, variant=variant, os_version=platform.os_version
    )


def format_platform(platform: Platform) -> str:
    """`linux/arm64/v8` as Docker prints it."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def matches(wanted: Platform, offered: Platform) -> bool:
    """Whether an image for `offered` runs where `wanted` is asked for."""
    return _distance(normalised(wanted), normalised(offered)) is not None


def choose(manifests: Iterable[Descriptor], wanted: Platform) -> Descriptor | None:
    """The best image of an index: nearest variant first, then the index's order. Attestations never match."""
    best: tuple[int, Descriptor] | None = None
    for descriptor in manifests:
        if descriptor.platform is None:
            continue
        distance = _distance(normalised(wanted), normalised(descriptor.platform))
        if distance is not None and (best is None or distance < best[0]):
            best = (distance, descriptor)
    return best[1] if best else None


def _distance(wanted: Platform, offered: Platform) -> int | None:
    """How far below the wish an offer is; None when it does not fit."""
    if wanted.os != offered.os:
        return None
    if wanted.architecture == offered.architecture:
        return _variant_distance(wanted.architecture, wanted.variant, offered.variant)
    if wanted.architecture == "arm64" and offered.architecture == "arm":
        # 32-bit code runs on 64-bit machines of variant 8 (containerd/platforms Only).
        below = _variant_distance("arm", "v8", offered.variant)
        return None if below is None else 100 + below
    if wanted.architecture == "amd64" and offered.architecture == "386":
        return 100
    return None


def _variant_distance(architecture: str, wanted: str, offered: str) -> int | None:
    default = _DEFAULT_VARIANTS.get(architecture, "")
    high, low = (re.fullmatch(r"v([0-9]+)(\.[0-9]+)?", variant or default) for variant in (wanted, offered))
    if high is None or low is None:
        return 0 if wanted == offered else None
    distance = int(high[1]) - int(low[1])
    return distance if distance >= 0 else None
