"""Plain data in, records out, as a Form says; or a ValueError where it takes more to say what is wrong. Pure.

It takes what is valid, and no pydantic: importing that would be a third of the time to a plan. What it does not take
`launcher/spec/complaints.py` is asked about, in whose words a spec is refused. So it may doubt what is valid, and never
take what is not: `launcher/spec/parts.py` is made of the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from launcher.record import defaults
from launcher.row import NamedTuple
from launcher.typed import Any, Generic, TypeVar

Part = TypeVar("Part")
Read = Callable[[Any], Any]


class Doubt(ValueError):
    """Somebody else has to look at it."""


class Key(NamedTuple):
    """One key of a section: the field, how its value is read, and how it is written again, if not as it is."""

    field: str
    read: Read
    show: Callable[[Any], Any] | None = None


class Form(Generic[Part]):
    """A section of a spec: the record it becomes, its keys, and the rules between them."""

    def __init__(
        self, kind: type[Part], keys: Mapping[str, Key], rules: Callable[[Part], Iterable[object]] = lambda _: ()
    ) -> None:
        self.kind, self.keys, self.rules = kind, keys, rules
        self.defaults = {name: value for name, value in defaults(kind).items() if name != "said"}
        self.required = {key for key, one in keys.items() if one.field not in self.defaults}
        FORMS[kind] = self

    def read(self, given: object) -> Part:
        if type(given) is not dict or not self.required <= given.keys() <= self.keys.keys():
            raise Doubt
        values = {one.field: one.read(given[key]) for key, one in self.keys.items() if key in given}
        make: Any = self.kind
        made: Part = make(**values, said=frozenset(values))
        if any(True for _ in self.rules(made)):
            raise Doubt
        return made

    def plain(self, part: Part, *, short: bool = False) -> dict[str, Any]:
        """As it would be written, every key of it; `short`: without those that have their default."""
        found = {key: (getattr(part, one.field), one) for key, one in self.keys.items()}
        return {
            key: _plain(value, one.show, short)
            for key, (value, one) in found.items()
            if not (short and one.field in self.defaults and self.defaults[one.field] == value)
        }


FORMS: dict[type[Any], Form[Any]] = {}


def _plain(value: object, show: Callable[[Any], Any] | None, short: bool) -> Any:
    if form := FORMS.get(type(value)):
        return form.plain(value, short=short)
    if isinstance(value, tuple):
        return [_plain(one, show, short) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one, show, short) for key, one in value.items()}
    return value if show is None or value is None else show(value)


def number(least: int, most: int) -> Read:
    def read(given: object) -> int:
        if type(given) is int and least <= given <= most:
            return given
        raise Doubt

    return read


def truth(given: object) -> bool:
    if given is True or given is False:
        return given
    raise Doubt


def one_of(*choices: str) -> Read:
    def read(given: object) -> str:
        if type(given) is str and given in choices:
            return given
        raise Doubt

    return read


def optional(inner: Read) -> Read:
    return lambda given: None if given is None else inner(given)


def lengthened(lengthen: Callable[[object], object], inner: Read) -> Read:
    return lambda given: inner(lengthen(given))


def each(inner: Read) -> Read:
    def read(given: object) -> tuple[Any, ...]:
        if type(given) is not list and type(given) is not tuple:
            raise Doubt
        return tuple(map(inner, given))

    return read


def by_name(name: Read, inner: Read) -> Read:
    def read(given: object) -> Mapping[str, Any]:
        if type(given) is not dict:
            raise Doubt
        return MappingProxyType({name(key): inner(value) for key, value in given.items()})

    return read
