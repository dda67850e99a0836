"""A host in, the hosts out that differ from it in one fact: each with the name of the fact."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from types import NoneType, UnionType

from launcher.codec import decode
from launcher.host.facts import HostFacts
from launcher.planner.keeping import name_of
from launcher.record import field_types, fields, is_record, record, replace
from launcher.typed import Annotated, Any, Literal, get_args, get_origin
from launcher.values import Missing
from tests.planning import HOSTS

_MAC = "(..:){5}.."
_MOST = 4  # values for one fact that other hosts have in its place


@record
class Change:
    """`name` says which fact is another one; `host` makes the host."""

    name: str
    host: Callable[[], HostFacts]

    def __repr__(self) -> str:
        return self.name


def changes(facts: HostFacts) -> list[Change]:
    """Every fact with a few other values: of the same type, and those that it has on other hosts."""
    return [Change(name.lstrip("."), make) for name, make in _of(HostFacts, facts, ())]


@cache
def recorded() -> dict[str, HostFacts]:
    """All of tests/hosts, by name."""
    return {path.stem: decode(HostFacts, json.loads(path.read_text())) for path in sorted(HOSTS.glob("*.json"))}


Making = Iterator[tuple[str, Callable[[], Any]]]


def _of(kind: Any, value: Any, seen: tuple[Any, ...]) -> Making:
    """(name, how to make it) of all that `value` could be instead; `seen` are values of the same field elsewhere."""
    for n, other in enumerate(_others(kind, value, seen)):
        yield f" ({n})", lambda other=other: other
    if isinstance(value, tuple):
        yield from _of_items(value)
    elif isinstance(value, dict):
        yield from _of_entries(value)
    elif is_record(value) and not hasattr(value, "parse") and not isinstance(value, Missing):
        yield from _of_fields(value)


def _of_fields(value: Any) -> Making:
    for name, kind in _hints(type(value)).items():
        for below, make in _of(kind, getattr(value, name), _seen()[type(value), name]):
            yield f".{name}{below}", lambda name=name, make=make: replace(value, **{name: make()})


def _of_items(value: tuple[Any, ...]) -> Making:
    """No two things in a list get one name: the kernel's have names of their own."""
    names = {name_of(item) for item in value}
    for n, item in enumerate(value):
        key = name_of(item) or n
        yield f"[{key}] (gone)", lambda n=n: (*value[:n], *value[n + 1 :])
        if is_record(item) and not hasattr(item, "parse"):
            for below, make in _of_fields(item):
                if name_of(make()) != name_of(item) and name_of(make()) in names:
                    continue
                yield f"[{key}]{below}", lambda n=n, make=make: (*value[:n], make(), *value[n + 1 :])


def _of_entries(value: dict[str, Any]) -> Making:
    for key, item in value.items():
        yield f"[{key}] (gone)", lambda key=key: {name: one for name, one in value.items() if name != key}
        for below, make in _of(type(item), item, ()):
            yield f"[{key}]{below}", lambda key=key, make=make: value | {key: make()}


def _others(kind: Any, value: Any, seen: tuple[Any, ...]) -> list[Any]:
    kinds = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    found: list[Any] = [] if any(get_origin(one) is Literal for one in kinds) else _plain_others(value)
    for one in kinds:
        if one is NoneType:
            found.append(None)
        elif one is Missing:
            found.append(Missing("denied", "/sys/of/another/host"))
        elif get_origin(one) is Literal:
            found += get_args(one)
        elif get_origin(one) is tuple:
            found.append(())
    return [one for n, one in enumerate([*found, *seen]) if one != value and one not in found[:n]]


def _plain_others(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int():
            return [0, value + 1, value * 2 + 1]
        case str() if re.fullmatch(_MAC, value):
            return [f"{value[:-1]}{'0' if value.endswith('f') else 'f'}"]
        case str():
            return [f"{value}x"]
    return []


@cache
def _seen() -> dict[tuple[type, str], tuple[Any, ...]]:
    """What each field of each record is, on all recorded hosts."""
    found: dict[tuple[type, str], list[Any]] = defaultdict(list)
    waiting: list[Any] = [*recorded().values()]
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            waiting += one
        elif is_record(one) and not hasattr(one, "parse"):
            for name in fields(one):
                value = getattr(one, name)
                waiting.append(value)
                there = found[type(one), name]
                if len(there) < _MOST and value not in there and not isinstance(one, HostFacts):
                    there.append(value)
    return defaultdict(tuple, {key: tuple(values) for key, values in found.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    kinds = field_types(kind)
    return {name: get_args(one)[0] if get_origin(one) is Annotated else one for name, one in kinds.items()}
