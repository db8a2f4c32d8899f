"""Values as Go's fmt package shows, compares and judges them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def truth(value: Any) -> bool:
    """Go's idea of true: not the zero value, not empty."""
    return bool(value)


def type_name(value: Any) -> str:
    """The Go type that a JSON value is decoded to."""
    if isinstance(value, bool):
        return "bool"
    names = {
        str: "string",
        int: "json.Number",
        float: "float64",
        list: "[]interface {}",
        dict: "map[string]interface {}",
    }
    return names.get(type(value), "interface {}")


def shown(value: Any) -> str:
    """`value` as `%v` writes it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (list, tuple)):
        return "[" + " ".join([shown(item) for item in value]) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join([f"{key}:{shown(value[key])}" for key in sorted(value)]) + "]"
    return str(value)


def _float(value: float) -> str:
    """Go's %v for floats: shortest digits, an exponent below 1e-4 and from 1e21 on."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    if "e" in text and 1e-4 <= abs(value) < 1e21:
        return f"{value:f}".rstrip("0")
    return text
