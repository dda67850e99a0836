"""JSON text in, a record out, as `decode` makes it of what `json` reads: sooner where records are alike. Pure.

Of a host's 100,000 functions most differ from the one before in four values of forty. Of two such records the text
between these values is kept, and where it stands again they alone are read: all the rest is what it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from itertools import count
from json import JSONDecoder
from operator import ne
from types import UnionType

from launcher.codec import Reader, Unfit, decode, learn
from launcher.record import field_types, fields, is_record, replace
from launcher.row import NamedTuple
from launcher.typed import Any, TypeVar, cast, get_args, get_origin

T = TypeVar("T")
Scan = Callable[[str, int], tuple[Any, int]]

MOST = 8  # values in which records differ that are alike
WORTH, LONGEST = 4, 1 << 10  # records that a pattern has to read, and records after one that has not, without another
_BLANKS = re.compile(r"[ \t\n\r]*")
_RECORDS = re.compile(r"\[[ \t\n\r]*\{")


class Odd(ValueError):
    """Something is not for us: `json` and `decode` read it, or say what is wrong with it."""


def read_alike(kind: type[T], text: str, parse_int: Callable[[str], int]) -> T:
    """Odd, or another ValueError of `json` or `decode`, whose place may not be the one in the text."""
    try:
        found: T = _Text(text, parse_int).whole(kind)
    except (StopIteration, RecursionError, Unfit):
        raise Odd from None
    return found


class _Level(NamedTuple):
    """A record or a tuple: `make` makes it of `values`, and it is the value at `place` of the level `above`."""

    make: Callable[..., Any]
    values: list[Any]
    above: int = 0
    place: int = 0


class _Pattern:
    """How a record is written: the text before each value that is its own, and behind the last one. `levels` are what
    it is made of, itself first. It is known up to `known`."""

    def __init__(self, begun: int) -> None:
        self.levels, self.rest, self.known = list[_Level](), "", begun
        self.pieces: list[tuple[str, int, int, int, Container[type], Callable[[Any], Any]]] = []

    def add(self, text: str, start: int, end: int, level: int, place: int, reader: Reader) -> None:
        """A value, from `start` to `end`."""
        before = text[self.known : start]
        self.pieces.append((before, len(before), level, place, reader.fits, reader.read))
        self.known = end

    def read(self, text: str, at: int, scan: Scan) -> tuple[Any, int] | None:
        """What is written there, and where that ends. None: the text is another."""
        filled, stands = [one[1].copy() for one in self.levels], text.startswith
        for before, length, level, place, fits, read in self.pieces:
            if not stands(before, at):
                return None
            value, at = scan(text, at + length)
            filled[level][place] = value if type(value) in fits else read(value)
        if not stands(self.rest, at):
            return None
        for make, _, above, place in self.levels[:0:-1]:
            filled[above][place] = make(*filled.pop())
        return self.levels[0][0](*filled[0]), at + len(self.rest)


class _Text:
    """`at` is before what comes next."""

    def __init__(self, text: str, parse_int: Callable[[str], int]) -> None:
        decoder: Any = JSONDecoder(parse_int=parse_int)
        self.once: Any = JSONDecoder(object_pairs_hook=_once)
        self.text, self.at, self.scan = text, 0, cast("Scan", decoder.scan_once)

    def whole(self, kind: Any) -> Any:
        """Its tuples of records are read one by one."""
        types, plain, records = field_types(kind), dict[str, Any](), dict[str, tuple[Any, ...]]()
        for name in self._keys("{}"):
            if name in plain:
                raise Odd
            item = _item(types.get(name))
            if is_record(item) and _RECORDS.match(self.text, self.at):
                plain[name], records[name] = [], self._records(item)
            else:
                plain[name] = self._value()
        self._skip_blanks()
        if self.at < len(self.text):
            raise Odd
        return replace(decode(kind, plain), **records)

    def _records(self, kind: Any) -> tuple[Any, ...]:
        found, before, waits, wait = list[Any](), None, 1, 1
        self._sign("[")
        while True:
            begun, plain = self.at, self._value()
            found.append(decode(kind, plain))
            if self._sign(",]") == "]":
                return tuple(found)
            wait -= 1
            if wait <= 0 and _are_alike(before, plain):
                pattern, already = self._pattern(begun, kind, before, plain, found[-1]), len(found)
                while one := pattern.read(self.text, self.at, self.scan):
                    found.append(one[0])
                    self.at = one[1]
                waits = 1 if len(found) - already >= WORTH else min(2 * waits, LONGEST)
                wait = waits
            before = plain

    def _pattern(self, begun: int, kind: Any, before: Any, plain: Any, made: Any) -> _Pattern:
        """Of what is written from `begun` to here: `plain`, which is `made` for us. `before` is alike."""
        self.once.scan_once(self.text, begun)
        pattern, end, self.at = _Pattern(begun), self.at, begun
        self._compare(pattern, kind, before, plain, _Level(kind, _values(made)))
        self.at, pattern.rest = end, self.text[pattern.known : end]
        return pattern

    def _compare(self, pattern: _Pattern, kind: Any, before: Any, plain: Any, level: _Level) -> None:
        number = len(pattern.levels)
        pattern.levels.append(level)
        for key in self._keys("{}" if is_record(kind) else "[]"):
            start = self.at
            if before[key] == plain[key]:
                self._value()
                continue
            place, its = (fields(kind).index(key), field_types(kind)[key]) if is_record(kind) else (key, _item(kind))
            if inner := _inner(its, before[key], plain[key]):
                make, values = inner if is_record(inner) else _tuple, _values(level.values[place])
                self._compare(pattern, inner, before[key], plain[key], _Level(make, values, number, place))
            else:
                self._value()
                pattern.add(self.text, start, self.at, number, place, learn(its))

    def _keys(self, signs: str) -> Iterator[Any]:
        """Names or numbers of the values between the signs. Who asks for the next one has read the value."""
        self._sign(signs[0])
        for number in count():
            yield self._name() if signs == "{}" else number
            if self._sign("," + signs[1]) != ",":
                return

    def _name(self) -> str:
        if type(name := self._value()) is not str:
            raise Odd
        self._sign(":")
        return name

    def _value(self) -> Any:
        try:
            value, self.at = self.scan(self.text, self.at)
        except StopIteration:
            raise Odd from None
        return value

    def _sign(self, signs: str) -> str:
        """One of them. What ends a value is its end: the blanks behind it are not its own."""
        self._skip_blanks()
        sign = self.text[self.at : self.at + 1]
        if not sign or sign not in signs:
            raise Odd
        self.at += 1
        if sign not in "}]":
            self._skip_blanks()
        return sign

    def _skip_blanks(self) -> None:
        if blanks := _BLANKS.match(self.text, self.at):
            self.at = blanks.end()


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Of a name that is there twice json takes the last, and whoever goes by the text meets the first."""
    if len(dict(pairs)) < len(pairs):
        raise Odd


def _are_alike(before: Any, plain: Any) -> bool:
    """Both are objects with the same names, or lists of objects that are as many; and few of their values differ."""
    if type(before) is dict and type(plain) is dict and before.keys() == plain.keys():
        return sum(1 for name, value in plain.items() if before[name] != value) <= MOST
    if type(before) is list and type(plain) is list and len(before) == len(plain):
        return {*map(type, plain)} == {dict} and sum(map(ne, before, plain)) <= MOST
    return False


def _inner(kind: Any, before: Any, plain: Any) -> Any:
    """The record or the tuple of records that `plain` is, if it can be nothing else, and `before` is alike."""
    choices = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    those = [one for one in choices if (get_origin(one) is tuple if type(plain) is list else _is_object(one))]
    only = those[0] if len(those) == 1 and _are_alike(before, plain) else None
    return only if is_record(only) or _item(only) else None


def _is_object(kind: Any) -> bool:
    """In JSON."""
    origin: Any = get_origin(kind)
    return origin is dict or (is_record(kind) and not hasattr(kind, "parse"))


def _item(kind: Any) -> Any:
    """What a tuple of any length is of."""
    inner = get_args(kind)
    return inner[0] if get_origin(kind) is tuple and len(inner) == 2 and inner[1] is Ellipsis else None


def _values(made: Any) -> list[Any]:
    return [getattr(made, name) for name in fields(made)] if is_record(made) else list(made)


def _tuple(*values: Any) -> tuple[Any, ...]:
    return values
