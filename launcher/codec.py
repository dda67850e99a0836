"""Frozen dataclasses in, plain JSON values out, and back with every field checked. Pure, and no pydantic."""

from __future__ import annotations

import dataclasses
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from launcher.values import HexMark

T = TypeVar("T")


class DecodeError(ValueError):
    """The value at `path` is not what the type asks for."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'the top'}: {problem}")
        self.path, self.problem = path, problem


def encode(value: object, kind: Any = None) -> Any:
    """Addresses become hexadecimal text, tuples lists, dataclasses objects with their fields in order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if hasattr(value, "parse"):
            return str(value)
        hints = _hints(type(value))
        return {f.name: encode(getattr(value, f.name), hints[f.name]) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        inner = _item_kind(kind)
        return [encode(item, inner) for item in value]
    if isinstance(value, dict):
        inner = get_args(kind)[1] if get_origin(kind) is dict else None
        return {str(key): encode(item, inner) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and _is_hex(kind):
        return hex(value)
    return value


def decode(kind: type[T], plain: Any, path: str = "") -> T:
    """The reverse of encode. DecodeError names the first field that does not fit."""
    result: T = _decode(kind, plain, path)
    return result


def _decode(kind: Any, plain: Any, path: str) -> Any:
    if kind is Any:
        return plain
    origin = get_origin(kind)
    if origin is Annotated:
        return _decode_hex(plain, path) if _is_hex(kind) else _decode(get_args(kind)[0], plain, path)
    if origin in (Union, UnionType):
        return _decode_union(kind, plain, path)
    if origin is Literal:
        return plain if plain in get_args(kind) else _refuse(path, f"{plain!r} is not one of {get_args(kind)}")
    if origin is tuple:
        return _decode_tuple(kind, plain, path)
    if origin is dict:
        _expect(dict, plain, path)
        return {key: _decode(get_args(kind)[1], item, f"{path}.{key}") for key, item in plain.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, plain, path)
    return _expect(kind, plain, path)


def _decode_hex(plain: Any, path: str) -> int:
    try:
        return int(_expect(str, plain, path), 16)
    except ValueError:
        return int(_refuse(path, f"{plain!r} is not a hexadecimal address"))


def _decode_union(kind: Any, plain: Any, path: str) -> Any:
    choices = get_args(kind)
    if plain is None and NoneType in choices:
        return None
    problems = []
    for choice in choices:
        if choice is NoneType:
            continue
        try:
            return _decode(choice, plain, path)
        except DecodeError as error:
            problems.append(error)
    raise problems[0]


def _decode_tuple(kind: Any, plain: Any, path: str) -> tuple[Any, ...]:
    _expect(list, plain, path)
    kinds = get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_decode(kinds[0], item, f"{path}.{n}") for n, item in enumerate(plain))
    if len(kinds) != len(plain):
        _refuse(path, f"{len(plain)} items where {len(kinds)} belong")
    return tuple(_decode(inner, item, f"{path}.{n}") for n, (inner, item) in enumerate(zip(kinds, plain, strict=True)))


def _decode_dataclass(kind: Any, plain: Any, path: str) -> Any:
    if hasattr(kind, "parse"):
        try:
            return kind.parse(_expect(str, plain, path))
        except ValueError as error:
            _refuse(path, str(error))
    _expect(dict, plain, path)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in plain:
        if name not in fields:
            _refuse(f"{path}.{name}".lstrip("."), "unknown field")
    hints, values = _hints(kind), {}
    for name, field in fields.items():
        place = f"{path}.{name}".lstrip(".")
        if name in plain:
            values[name] = _decode(hints[name], plain[name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            _refuse(place, "missing")
    try:
        return kind(**values)
    except ValueError as error:
        _refuse(path, str(error))


def _expect(kind: Any, plain: Any, path: str) -> Any:
    fits = isinstance(plain, kind) and (kind is bool or not isinstance(plain, bool))
    if not fits and not (kind is float and type(plain) is int):
        _refuse(path, f"{type(plain).__name__} where {kind.__name__} belongs")
    return plain


def _refuse(path: str, problem: str) -> Any:
    raise DecodeError(path, problem)


def _item_kind(kind: Any) -> Any:
    for choice in (kind, *get_args(kind)):
        if get_origin(choice) is tuple:
            return get_args(choice)[0]
    return None


def _is_hex(kind: Any) -> bool:
    return any(
        get_origin(choice) is Annotated and any(isinstance(mark, HexMark) for mark in choice.__metadata__)
        for choice in (kind, *get_args(kind))
    )


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
