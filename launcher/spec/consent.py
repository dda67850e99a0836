"""A device's list `allow` in, its words out: `in-use: eth0` is `in-use=eth0`. A Problem is raised otherwise. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from launcher.spec.problems import Problem, did_you_mean
from launcher.spec.scalars import kind

WORDS = ("in-use", "no-reset", "unsafe-interrupts")
NAMED = "in-use="


def listed(given: object) -> object:
    """With a word for each name that `in-use` is given; what is no list is told by its type."""
    return [word for one in given for word in _words(one)] if isinstance(given, list | tuple) else given


def word(given: object) -> str:
    if isinstance(given, str) and (given in WORDS or (given.startswith(NAMED) and given.removeprefix(NAMED).strip())):
        return given
    if isinstance(given, Mapping):
        way = "as in `in-use: eth0`, or `in-use: [eth0, vtcon1]`"
        raise Problem("E116", "only `in-use` goes with names here", help=(way,)).error()
    if isinstance(given, str) and given.startswith(NAMED):  # what has no names would accept every use
        way = "write whose use it accepts, as in `in-use: eth0`, or `in-use: [eth0, vtcon1]`"
        raise Problem("E116", "`in-use` goes with a name here, and this one is empty", help=(way,)).error()
    shown = str(given)[:80] if isinstance(given, str) else kind(given)
    help_ = (*did_you_mean(str(given), WORDS), f"it is one of {', '.join(WORDS)}, or in-use=NAME")
    raise Problem("E116", f"{shown} is not a choice here", help=help_).error()


def _words(one: object) -> Iterator[object]:
    names = one.get("in-use") if isinstance(one, Mapping) and set(one) == {"in-use"} else None
    many = names if isinstance(names, list | tuple) else [names]
    if many and all(isinstance(name, str) for name in many):
        yield from (f"{NAMED}{name}" for name in many)
    else:
        yield one
