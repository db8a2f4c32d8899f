"""Mounts what a local volume's options name (`type`, `o`, `device`) on the volume's directory, as dockerd does."""

import ipaddress
import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from wherry.linux.mount import MS_BIND, MS_REMOUNT, mount, umount2
from wherry.model.errors import EngineError, InvalidParameter
from wherry.volumes.mountoptions import MS_RDONLY, parse_mount_options

OPTION_NAMES = ("type", "o", "device", "size")
_MANDATORY = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_NETWORK_TYPES = ("nfs", "cifs")


def check_options(options: Mapping[str, str]) -> None:
    """Whether a volume can be made with these. Raises InvalidParameter in dockerd's words."""
    for option in options:
        if option not in OPTION_NAMES:
            raise InvalidParameter(f'invalid option: "{option}"')
    if options.get("type") == "cifs" and _port(options.get("device", "")):
        raise InvalidParameter("port not allowed in CIFS device URL, include 'port' in 'o='")
    if "size" in options:
        raise InvalidParameter("quota size requested but no quota support")
    for option, needed in _MANDATORY.items():
        for other in needed:
            if option in options and other not in options:
                raise InvalidParameter(f'missing required option: "{other}"')


def needs_mount(options: Mapping[str, str]) -> bool:
    """Whether the volume is seen only once something is mounted."""
    return bool(options.get("device") or options.get("type"))


def is_mounted(path: str) -> bool:
    """Whether something is mounted right on a directory."""
    # The mount points as the kernel escapes them; st_dev would not tell a bind from within one file system.
    with open("/proc/self/mountinfo", "rb") as table:
        wanted = _escaped(os.path.realpath(path))
        return any(line.split(b" ", 5)[4] == wanted for line in table)


def mount_volume(path: str, options: Mapping[str, str]) -> None:
    """Mount a volume on its directory. Raises EngineError with dockerd's words."""
    device, words = _resolved(options)
    parsed = parse_mount_options(words)
    try:
        mount(device, path, options["type"], parsed.flags, parsed.data or None)
        if parsed.propagation:
            mount(None, path, None, parsed.propagation)
        if parsed.flags & MS_BIND and parsed.flags & ~MS_BIND & MS_RDONLY:
            # A bind takes no flag but recursion; the others are set by a second call (mount(2)).
            mount(None, path, None, parsed.flags | MS_REMOUNT)
    except OSError as error:
        if is_mounted(path):
            umount2(path)
        said = f"mount {device}:{path}"
        said += f", flags: {parsed.flags:#x}" if parsed.flags else ""
        said += f", data: {_without_password(parsed.data)}" if parsed.data else ""
        reason = os.strerror(error.errno or 0).lower()
        raise EngineError(
            f"error while mounting volume '{path}': failed to mount local volume: {said}: {reason}"
        ) from None


def unmount_volume(path: str) -> None:
    """Unmount a volume. Raises EngineError."""
    try:
        umount2(path)
    except OSError as error:
        if is_mounted(path):
            raise EngineError(f"error while unmounting volume '{path}': {os.strerror(error.errno or 0)}") from error


def _resolved(options: Mapping[str, str]) -> tuple[str, str]:
    """Device and options with host names as addresses, which the kernel's network file systems want."""
    device, words, kind = options["device"], options.get("o", ""), options["type"]
    if kind not in _NETWORK_TYPES:
        return device, words
    address = next((word.removeprefix("addr=") for word in words.split(",") if word.startswith("addr=")), "")
    if address and not _is_address(address):
        return device, words.replace(f"addr={address}", f"addr={_look_up(address)}", 1)
    host = urlsplit(device).hostname if kind == "cifs" else None
    if host and not _is_address(host):
        device = device.replace(f"//{host}", f"//{_look_up(host)}", 1)
    return device, words


def _port(device: str) -> int | None:
    try:
        return urlsplit(device).port
    except ValueError as error:
        raise InvalidParameter(f"error parsing mount device url: {error}") from None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _look_up(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None)[0][4][0])
    except OSError as error:
        raise EngineError(
            f"error resolving passed in network volume address: lookup {host}: {error.strerror}"
        ) from None


def _without_password(data: str) -> str:
    words = ("password=********" if word.startswith("password=") else word for word in data.split(","))
    return ",".join(words)


def _escaped(path: str) -> bytes:
    text = os.fsencode(path)
    for byte in (b"\\", b" ", b"\t", b"\n"):
        text = text.replace(byte, b"\\%03o" % byte[0])
    return text
