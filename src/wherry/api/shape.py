"""Decoded JSON to records, as leniently as Go's decoder and refused in its words.

Keys match in any case, but never inside maps of the user's; null means not said; unknown keys are ignored. A
difference that is kept: of an object that is said twice the last one wins, where Go merges the two.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from wherry.api.gotypes import FIELDS, INTEGERS, RECORDS, UNUSED, WORD_LISTS
from wherry.api.syntax import Json, Number
from wherry.model.errors import InvalidParameter

T = TypeVar("T", bound=Struct)

# Takes a decoded value, gives what msgspec.convert takes. Raises _Mismatch.
Reader = Callable[[Json], Json]

# Go folds these two letters onto s and k besides the ASCII ones (encoding/json fold.go).
_FOLDED = {0x17F: "s", 0x212A: "k"}


class _Mismatch(Exception):
    """A value of the wrong kind; the readers above it add where it was."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__()
        self.found = found
        self.wanted = wanted
        self.path: list[str] = []
        self.is_item = False
        self.is_alone = False

    def under(self, key: str, *, item: bool = False) -> "_Mismatch":
        if not self.path:
            self.is_item = item
        self.path.insert(0, key.replace("~", "~0").replace("/", "~1"))
        return self


def shape(value: Json, kind: type[T], *, root: str = "") -> T:
    """A decoded JSON value as a record. `root` is Go's name of the record in messages. Raises InvalidParameter."""
    try:
        folded = _reader(kind)({} if value is None else value)
    except _Mismatch as wrong:
        raise InvalidParameter(
            f"invalid JSON: json: cannot unmarshal {wrong.found} into {_where(wrong, root)}"
        ) from None
    return msgspec.convert(folded, kind)


def fields_said(value: Json, kind: type[Struct]) -> set[str]:
    """The record's fields, by their names on the wire, for which an object says more than null."""
    names = _names(kind)
    if not isinstance(value, dict):
        return set()
    return {names[folded] for key in value if value[key] is not None and (folded := fold(key)) in names}


def fold(key: str) -> str:
    """A key as Go compares keys: letters in one case."""
    return key.translate(_FOLDED).lower() if not key.isascii() else key.lower()


def _where(wrong: _Mismatch, root: str) -> str:
    if wrong.is_alone or not wrong.path:
        return f"Go value of type {wrong.wanted}"
    place = f"{root}.{'.'.join(wrong.path)} of type {wrong.wanted}"
    return place if wrong.is_item else f"Go struct field {place}"


@cache
def _names(kind: type[Struct]) -> dict[str, str]:
    return {fold(name): name for name in kind.__struct_encode_fields__}


@cache
def _reader(kind: type[Struct]) -> Reader:
    name = kind.__name__
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    readers = {field.encode_name: _field_reader(name, field) for field in info.fields}
    unused = {key: _unused_reader(*place) for key, place in UNUSED.get(name, {}).items()}
    names = _names(kind) | {fold(key): key for key in unused}
    return _object_reader(readers | unused, names, RECORDS.get(name, name), unused=frozenset(unused))


def _object_reader(
    readers: dict[str, Reader], names: dict[str, str], go_type: str, *, unused: frozenset[str]
) -> Reader:
    def read(value: Json) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Mismatch(_kind(value), go_type)
        said = {}
        for key, item in value.items():
            wire = key if key in readers else names.get(fold(key))
            if wire is None or item is None:
                continue
            try:
                said[wire] = readers[wire](item)
            except _Mismatch as wrong:
                raise wrong.under(key) from None
        return {wire: item for wire, item in said.items() if wire not in unused} if unused else said

    return read


def _unused_reader(kind: type, go_type: str) -> Reader:
    return _type_reader(types.type_info(kind), go_type)


def _field_reader(record: str, field: types.Field) -> Reader:
    place = (record, field.encode_name)
    if place in WORD_LISTS:
        return _read_words
    return _type_reader(_said(field.type), FIELDS.get(place))


def _said(info: types.Type) -> types.Type:
    """The type of a field that may be None: what it is when it is said."""
    if isinstance(info, types.UnionType):
        return next(member for member in info.types if not isinstance(member, types.NoneType))
    return info


def _type_reader(info: types.Type, go_type: str | None = None) -> Reader:
    match info:
        case types.StructType():
            return _reader(info.cls)
        case types.StrType():
            return _exact_reader(str, go_type or "string")
        case types.BoolType():
            return _exact_reader(bool, "bool")
        case types.IntType():
            return _integer_reader(go_type or "int64")
        case types.TupleType():
            return _array_reader(len(info.item_types), _integer_reader("uint"), go_type or "[]uint")
        case types.VarTupleType() | types.ListType():
            return _list_reader(info.item_type, go_type)
        case types.DictType():
            return _map_reader(info.value_type, go_type)
        case _:
            return _read_anything


def _read_anything(value: Json) -> Json:
    return value


def _exact_reader(kind: type, go_type: str) -> Reader:
    def read(value: Json) -> Json:
        if type(value) is not kind:
            raise _Mismatch(_kind(value), go_type)
        return value

    return read


def _integer_reader(go_type: str) -> Reader:
    least, most = INTEGERS[go_type]

    def read(value: Json) -> int:
        if type(value) is int and least <= value <= most:
            return value
        if isinstance(value, Number):
            raise _Mismatch(f"number {value.literal}", go_type)
        raise _Mismatch(f"number {value}" if type(value) is int else _kind(value), go_type)

    return read


def _array_reader(length: int, item: Reader, go_type: str) -> Reader:
    """Go's arrays: what is missing is zero, what is too much is ignored."""

    def read(value: Json) -> list[Any]:
        if not isinstance(value, list):
            raise _Mismatch(_kind(value), go_type)
        items = _items(value[:length], item, 0)
        return items + [0] * (length - len(items))

    return read


def _list_reader(item_type: types.Type, go_type: str | None) -> Reader:
    item, zero = _type_reader(item_type), _zero(item_type)
    wanted = go_type or f"[]{_go_name(item_type)}"

    def read(value: Json) -> list[Any]:
        if not isinstance(value, list):
            raise _Mismatch(_kind(value), wanted)
        return _items(value, item, zero)

    return read


def _items(values: list[Any], item: Reader, zero: Json) -> list[Any]:
    read = []
    for index, value in enumerate(values):
        try:
            read.append(zero if value is None else item(value))
        except _Mismatch as wrong:
            raise wrong.under(str(index), item=True) from None
    return read


def _map_reader(value_type: types.Type, go_type: str | None) -> Reader:
    item, zero = _map_item(value_type)
    wanted = go_type or f"map[string]{_go_name(value_type)}"

    def read(value: Json) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Mismatch(_kind(value), wanted)
        said = {}
        for key, one in value.items():
            try:
                said[key] = zero if one is None else item(one)
            except _Mismatch as wrong:
                raise wrong.under(key) from None
        return said

    return read


def _map_item(value_type: types.Type) -> tuple[Reader, Json]:
    if isinstance(value_type, types.UnionType):
        return _type_reader(_said(value_type)), None
    if isinstance(value_type, types.DictType):
        return _read_nothing, {}
    return _type_reader(value_type), _zero(value_type)


def _read_nothing(value: Json) -> dict[str, Any]:
    """Go's empty struct, the value of a map that is a set: any object will do."""
    if not isinstance(value, dict):
        raise _Mismatch(_kind(value), "struct {}")
    return {}


def _read_words(value: Json) -> list[str]:
    """A list of words, or one word."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(item is None or isinstance(item, str) for item in value):
        return [item or "" for item in value]
    wrong = _Mismatch(_kind(value), "string")
    wrong.is_alone = True
    raise wrong


def _zero(info: types.Type) -> Json:
    match info:
        case types.StrType():
            return ""
        case types.IntType():
            return 0
        case types.BoolType():
            return False
        case types.StructType() | types.DictType():
            return {}
        case types.VarTupleType() | types.ListType():
            return []
        case _:
            return None


def _go_name(info: types.Type) -> str:
    match _said(info):
        case types.StrType():
            return "string"
        case types.StructType(cls=cls):
            return RECORDS.get(cls.__name__, cls.__name__)
        case types.VarTupleType(item_type=item) | types.ListType(item_type=item):
            return f"[]{_go_name(item)}"
        case _:
            return "struct {}"


def _kind(value: Json) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return "number"
