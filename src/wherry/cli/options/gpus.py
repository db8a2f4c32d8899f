"""`--gpus`: how many, or which, and what they must be able to do; quoted as in CSV."""

from __future__ import annotations

import re

from wherry.cli.flags import Kind
from wherry.cli.options.mounts import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Request = dict[str, Any]

ALL = -1
_NUMBER = re.compile(r"[+-]?[0-9]+")


def read(text: str) -> Request:
    """One request as the API has it. ValueError in docker's words."""
    request: Request = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    seen: set[str] = set()
    for field in fields(text):
        key, equals, value = field.partition("=")
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if not equals:
            key, value = "count", key
            seen.add(key)
        _set(request, key, value, field)
    if "count" not in seen and request["DeviceIDs"] is None:
        request["Count"] = 1
    return request


def _set(request: Request, key: str, value: str, field: str) -> None:
    match key:
        case "driver":
            request["Driver"] = value
        case "count":
            request["Count"] = _count(value)
        case "device":
            request["DeviceIDs"] = value.split(",")
        case "capabilities":
            request["Capabilities"] = [[*value.split(","), "gpu"]]
        case "options":
            request["Options"] = {name: said for name, _, said in (each.partition("=") for each in fields(value))}
        case _:
            raise ValueError(f"unexpected key '{key}' in '{field}'")


def _count(text: str) -> int:
    if text == "all":
        return ALL
    if not _NUMBER.fullmatch(text):
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer: invalid syntax')
    return int(text)


GPUS = Kind("gpu-request", read, gathers=True)
