"""`--mount`: comma-separated `name=value` pairs, quoted as in CSV."""

from __future__ import annotations

import os

from wherry.cli.errors import CommandError
from wherry.cli.flags import Kind, read_bool
from wherry.cli.options.quantities import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Mount = dict[str, Any]

TYPES = ("bind", "volume", "tmpfs", "image", "npipe", "cluster")
PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
FLAG_LIKE = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src")


def read(text: str) -> Mount:
    """One mount as the API has it. ValueError in docker's words."""
    mount: Mount = {}
    try:
        for field in fields(text.strip()):
            key, equals, value = field.partition("=")
            key = key.lower()
            if not equals:
                if key not in FLAG_LIKE:
                    raise ValueError(f"invalid field '{field}' must be a key=value pair")
                value = "true"
            _set(mount, key, value, field)
    except CommandError as error:
        raise ValueError(str(error)) from None
    _check(mount)
    return {"Type": mount.pop("Type", "volume"), **mount}


MOUNT = Kind("mount", read, gathers=True)


def fields(text: str) -> list[str]:
    """What stands between commas, quoted as in CSV. ValueError in docker's words."""
    if not text:
        raise ValueError("EOF")
    if '"' not in text:
        return text.split(",")
    import csv

    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ValueError(f"parse error: {error}") from None


def _set(mount: Mount, key: str, value: str, field: str) -> None:
    setter = _SETTERS.get(key)
    if setter is None:
        raise ValueError(f"unexpected key '{key}' in '{field}'")
    try:
        setter(mount, value)
    except ValueError as error:
        words = str(error)
        if words.startswith("strconv"):
            words = f"invalid value for {key}: {value}"
        raise ValueError(words) from None


def _type(mount: Mount, value: str) -> None:
    mount["Type"] = value.lower()


def _source(mount: Mount, value: str) -> None:
    mount["Source"] = os.path.abspath(value) if value == "." or value.startswith(("./", "../")) else value


def _target(mount: Mount, value: str) -> None:
    mount["Target"] = value


def _read_only(mount: Mount, value: str) -> None:
    mount["ReadOnly"] = read_bool(value)


def _in(group: str, name: str, read_value: Callable[[str], Any]) -> Callable[[Mount, str], None]:
    def set_it(mount: Mount, value: str) -> None:
        mount.setdefault(group, {})[name] = read_value(value)

    return set_it


def _propagation(mount: Mount, value: str) -> None:
    mount.setdefault("BindOptions", {})["Propagation"] = value.lower()


def _bind_recursive(mount: Mount, value: str) -> None:
    options = mount.setdefault("BindOptions", {})
    if value == "disabled":
        options["NonRecursive"] = True
    elif value == "writable":
        options["ReadOnlyNonRecursive"] = True
    elif value == "readonly":
        options["ReadOnlyForceRecursive"] = True
    elif value != "enabled":
        raise ValueError(
            f'invalid value for bind-recursive: {value} (must be "enabled", "disabled", "writable", or "readonly")'
        )


def _volume_label(mount: Mount, value: str) -> None:
    name, _, text = value.partition("=")
    mount.setdefault("VolumeOptions", {}).setdefault("Labels", {})[name] = text


def _driver_options(mount: Mount) -> dict[str, Any]:
    options: dict[str, Any] = mount.setdefault("VolumeOptions", {}).setdefault("DriverConfig", {})
    return options


def _volume_driver(mount: Mount, value: str) -> None:
    _driver_options(mount)["Name"] = value


def _volume_option(mount: Mount, value: str) -> None:
    name, _, text = value.partition("=")
    _driver_options(mount).setdefault("Options", {})[name] = text


def _size(text: str) -> int:
    try:
        return size(text)
    except ValueError:
        raise ValueError(f"invalid value for tmpfs-size: {text}") from None


def _octal(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise ValueError(f"invalid value for tmpfs-mode: {text}") from None


_SETTERS: dict[str, Callable[[Mount, str], None]] = {
    "type": _type,
    "source": _source,
    "src": _source,
    "target": _target,
    "dst": _target,
    "destination": _target,
    "readonly": _read_only,
    "ro": _read_only,
    "consistency": lambda mount, value: mount.__setitem__("Consistency", value.lower()),
    "bind-propagation": _propagation,
    "bind-nonrecursive": _in("BindOptions", "NonRecursive", read_bool),
    "bind-create-src": _in("BindOptions", "CreateMountpoint", read_bool),
    "bind-recursive": _bind_recursive,
    "volume-nocopy": _in("VolumeOptions", "NoCopy", read_bool),
    "volume-subpath": _in("VolumeOptions", "Subpath", str),
    "image-subpath": _in("ImageOptions", "Subpath", str),
    "volume-label": _volume_label,
    "volume-driver": _volume_driver,
    "volume-opt": _volume_option,
    "tmpfs-size": _in("TmpfsOptions", "SizeBytes", _size),
    "tmpfs-mode": _in("TmpfsOptions", "Mode", _octal),
}

_OPTIONS_OF = {"BindOptions": "bind", "VolumeOptions": "volume", "TmpfsOptions": "tmpfs", "ImageOptions": "image"}


def _check(mount: Mount) -> None:
    kind = mount.get("Type", "volume")
    if not kind:
        raise ValueError("type is required")
    if not mount.get("Target"):
        raise ValueError("target is required")
    for group, belongs in _OPTIONS_OF.items():
        if group in mount and kind != belongs and not (group == "VolumeOptions" and kind == "cluster"):
            raise ValueError(f"cannot mix '{belongs}-*' options with mount type '{kind}'")
    options = mount.get("BindOptions", {})
    if options.get("ReadOnlyNonRecursive") and not mount.get("ReadOnly"):
        raise ValueError("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")
    if options.get("ReadOnlyForceRecursive"):
        if not mount.get("ReadOnly"):
            raise ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
        if options.get("Propagation") != "rprivate":
            raise ValueError(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
            )
