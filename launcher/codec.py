"""Records in, plain JSON values out, and back with every field checked. Pure, and no pydantic.

How a type is read is worked out once: a facts file has a million values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from types import NoneType, UnionType

from launcher.record import defaults, field_types, fields, is_record
from launcher.row import NamedTuple
from launcher.typed import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin
from launcher.values import HexMark

T = TypeVar("T")

MOST = 1 << 72  # what ends where addresses end does so below; more is on no machine, and overflows what shows it
MANY, TEXTS = 1 << 12, 1 << 17  # that are known again: types of a record's values; addresses
_PLAIN: frozenset[type] = frozenset((str, int, bool, float, NoneType))


class DecodeError(ValueError):
    """The value at `path` is not what the type asks for."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'the top'}: {problem}")
        self.path, self.problem = path, problem


class Unfit(Exception):
    """A DecodeError on its way up: every field or item it comes out of goes to the front of `path`."""

    def __init__(self, problem: str, *path: str) -> None:
        self.problem, self.path = problem, list(path)


class Reader(NamedTuple):
    """Values of exactly the types in `fits` are taken as they are; `read` is asked about the others.

    Of a union `choices` are the readers, by the type that each takes.
    """

    fits: frozenset[type]
    read: Callable[[Any], Any]
    takes: type = object
    choices: tuple[Reader, ...] = ()

    def of(self, kind: type) -> Callable[[Any], Any]:
        """What reads values of this type: the only one that may."""
        those = [one for one in self.choices if one.takes in (kind, object)]
        return those[0].read if len(those) == 1 else self.read


def encode(value: object, kind: Any = None) -> Any:
    """Addresses become hexadecimal text, tuples lists, records objects with their fields in order."""
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value) if _is_hex(kind) else value
    if type(value) in _PLAIN:
        return value
    if is_record(value) and not isinstance(value, type):
        return str(value) if hasattr(value, "parse") else written(value)
    if isinstance(value, (tuple, list)):
        inner = _item_kind(kind)
        return [encode(item, inner) for item in value]
    if isinstance(value, dict):
        inner = get_args(kind)[1] if get_origin(kind) is dict else None
        return {str(key): encode(item, inner) for key, item in value.items()}
    return value


def written(value: Any) -> dict[str, Any]:
    """The same of a record that is an object."""
    shape: Any = type(value)
    found = {}
    for name, kind in field_types(shape).items():
        item = getattr(value, name)
        found[name] = item if item is None or type(item) in (str, bool) else encode(item, kind)
    return found


def decode(kind: type[T], plain: Any, path: str = "") -> T:
    """The reverse of encode. DecodeError names the first field that does not fit."""
    shape: Any = kind
    try:
        result: T = learn(shape).read(plain)
    except Unfit as unfit:
        raise DecodeError(".".join([path, *unfit.path]).lstrip("."), unfit.problem) from None
    return result


def number(text: str) -> int:
    """Of JSON's digits. ValueError: no machine has it."""
    if abs(found := int(text)) > MOST:
        raise ValueError(f"{text[:20]}... is a number that no machine has")
    return found


@cache
def learn(kind: Any) -> Reader:
    """How to read it."""
    origin = get_origin(kind)
    if kind is Any:
        return Reader(_PLAIN, lambda plain: plain)
    if origin is Annotated:
        return Reader(frozenset(), _read_hex, str) if _is_hex(kind) else learn(get_args(kind)[0])
    if origin is UnionType:
        return _union_reader(get_args(kind))
    if origin is tuple:
        return Reader(frozenset(), _tuple_reader(get_args(kind)), list)
    if origin is None and not is_record(kind):
        return Reader(frozenset([kind]), lambda plain: _expect(kind, plain))
    if origin is Literal:
        return Reader(frozenset(), _literal_reader(kind))
    if origin is dict:
        return Reader(frozenset(), _dict_reader(kind), dict)
    if hasattr(kind, "parse"):
        return Reader(frozenset(), _text_reader(kind), str)
    return Reader(frozenset(), _record_reader(kind), dict)


def _read_hex(plain: Any) -> int:
    try:
        address = int(_expect(str, plain), 16)
    except ValueError:
        address = -1
    return address if 0 <= address <= MOST else _refuse(f"{plain!r} is not a hexadecimal address")


def _literal_reader(kind: Any) -> Callable[[Any], Any]:
    choices = get_args(kind)
    return lambda plain: plain if plain in choices else _refuse(f"{plain!r} is not one of {choices}")


def _union_reader(kinds: tuple[Any, ...]) -> Reader:
    """What fits none is told as if it were meant to be the first. A dict takes all that has names: it is asked last."""
    dicts = [kind for kind in kinds if _is_dict(kind)]
    others = [kind for kind in kinds if not _is_dict(kind) and kind is not NoneType]
    readers = [learn(kind) for kind in (*others, *dicts)]

    def read(plain: Any) -> Any:
        problems = []
        for one in readers:
            try:
                return one.read(plain)
            except Unfit as unfit:
                problems.append(unfit)
        raise problems[0]

    nothing = frozenset([NoneType]) if NoneType in kinds else frozenset()
    return Reader(nothing.union(*(one.fits for one in readers)), read, choices=tuple(readers))


def _is_dict(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is dict


def _tuple_reader(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        each = learn(kinds[0])
        return lambda plain: _read_list(plain, each) if plain or type(plain) is not list else ()
    readers = [learn(kind) for kind in kinds]

    def read(plain: Any) -> tuple[Any, ...]:
        if len(_expect(list, plain)) != len(readers):
            _refuse(f"{len(plain)} items where {len(readers)} belong")
        return tuple(_read_at(str(n), one, item) for n, (one, item) in enumerate(zip(readers, plain, strict=True)))

    return read


def _read_list(plain: Any, each: Reader) -> tuple[Any, ...]:
    if each.fits.issuperset(map(type, _expect(list, plain))):
        return tuple(plain)
    found: list[Any] = []
    fits, read, add = each.fits, each.read, found.append
    try:
        for item in plain:
            add(item if type(item) in fits else read(item))
    except Unfit as unfit:
        unfit.path.insert(0, str(len(found)))
        raise
    return tuple(found)


def _dict_reader(kind: Any) -> Callable[[Any], Any]:
    each = learn(get_args(kind)[1])
    return lambda plain: _read_all(_expect(dict, plain).items(), each)


def _read_all(items: Any, each: Reader) -> dict[Any, Any]:
    return {key: item if type(item) in each.fits else _read_at(str(key), each, item) for key, item in items}


def _read_at(name: str, reader: Reader, plain: Any) -> Any:
    try:
        return reader.read(plain)
    except Unfit as unfit:
        unfit.path.insert(0, name)
        raise


def _text_reader(kind: Any) -> Callable[[Any], Any]:
    parse = lru_cache(TEXTS)(kind.parse)

    def read(plain: Any) -> Any:
        try:
            return parse(_expect(str, plain))
        except ValueError as error:
            _refuse(str(error))

    return read


def _record_reader(kind: Any) -> Callable[[Any], Any]:
    """Most records were written by us, each field in its place."""
    hints = field_types(kind)
    names = fields(kind)
    readers = {name: learn(hints[name]) for name in names}
    required = readers.keys() - defaults(kind).keys()
    read_values = _values_reader(names, readers)

    def read(plain: Any) -> Any:
        in_place = type(plain) is dict and tuple(plain) == names
        try:
            return kind(*read_values(list(plain.values()))) if in_place else kind(**by_name(plain))
        except ValueError as error:
            _refuse(str(error))

    def by_name(plain: Any) -> dict[str, Any]:
        if unknown := _expect(dict, plain).keys() - readers.keys():
            _refuse("unknown field", next(name for name in plain if name in unknown))
        if missing := required - plain.keys():
            _refuse("missing", next(name for name in names if name in missing))
        return {
            name: item if type(item := plain[name]) in reader.fits else _read_at(name, reader, item)
            for name, reader in readers.items()
            if name in plain
        }

    return read


def _values_reader(names: tuple[str, ...], readers: dict[str, Reader]) -> Callable[[list[Any]], list[Any]]:
    """In their place. How they are read goes by their types, which are few."""
    shapes: dict[tuple[type, ...], list[tuple[int, Callable[[Any], Any]]]] = {}

    def read(values: list[Any]) -> list[Any]:
        types = tuple(map(type, values))
        if (shape := shapes.get(types)) is None:
            shape = shape_of(types)
        n = 0
        try:
            for n, one in shape:
                values[n] = one(values[n])
        except Unfit as unfit:
            unfit.path.insert(0, names[n])
            raise
        return values

    def shape_of(types: tuple[type, ...]) -> list[tuple[int, Callable[[Any], Any]]]:
        if len(shapes) >= MANY:
            shapes.clear()
        those = ((n, readers[name], types[n]) for n, name in enumerate(names))
        found = shapes[types] = [(n, one.of(kind)) for n, one, kind in those if kind not in one.fits]
        return found

    return read


def _expect(kind: Any, plain: Any) -> Any:
    if type(plain) is kind:
        return plain
    fits = isinstance(plain, kind) and (kind is bool or not isinstance(plain, bool))
    if not fits and not (kind is float and type(plain) is int):
        _refuse(f"{type(plain).__name__} where {kind.__name__} belongs")
    return plain


def _refuse(problem: str, *path: str) -> NoReturn:
    raise Unfit(problem, *path)


def _item_kind(kind: Any) -> Any:
    for choice in (kind, *get_args(kind)):
        if get_origin(choice) is tuple:
            return get_args(choice)[0]
    return None


@cache
def _is_hex(kind: Any) -> bool:
    return any(
        get_origin(choice) is Annotated and any(isinstance(mark, HexMark) for mark in get_args(choice)[1:])
        for choice in (kind, *get_args(kind))
    )
