"""Rows are what `typing.NamedTuple` makes, as far as anybody here looks."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import Any

import pytest

from launcher.row import FEW, NamedTuple


class Ours(NamedTuple):
    """A place."""

    name: str
    size: int = 1
    parts: tuple[int, ...] = ()

    @property
    def whole(self) -> int:
        return self.size + sum(self.parts)

    @classmethod
    def small(cls, name: str) -> Ours:
        return cls(name, 0)


class Theirs(typing.NamedTuple):
    name: str
    size: int = 1
    parts: tuple[int, ...] = ()


@pytest.mark.parametrize("times", [1, FEW + 2])
def test_it_is_a_tuple_with_names(times: int) -> None:
    """Filled field by field at first, by a constructor of its own later."""
    for _ in range(times):
        one, same = Ours("a", parts=(1, 2)), Theirs("a", parts=(1, 2))
        assert one == same == ("a", 1, (1, 2))
        assert (one.name, one.size, one.parts, one.whole) == ("a", 1, (1, 2), 4)
        assert (hash(one), one < ("b",), [*one]) == (hash(same), True, ["a", 1, (1, 2)])
        assert repr(one).partition("(")[2] == repr(same).partition("(")[2]
        assert one._replace(size=3) == ("a", 3, (1, 2))
        assert one._asdict() == same._asdict()
        assert type(one._replace(size=3)) is type(Ours.small("b")) is Ours


def test_its_class_says_what_it_has() -> None:
    ours: Any = Ours
    assert ours._fields == ours.__match_args__ == Theirs._fields
    assert ours._field_defaults == Theirs._field_defaults
    assert (ours.__doc__, ours.__qualname__, ours.__module__) == ("A place.", "Ours", __name__)
    match Ours("a", 2):
        case Ours(name, size):
            assert (name, size) == ("a", 2)


def test_copies_are_equal() -> None:
    one = Ours("a", 2, (3,))
    assert copy.deepcopy(one) == copy.copy(one) == pickle.loads(pickle.dumps(one)) == one
    assert type(pickle.loads(pickle.dumps(one))) is Ours


@pytest.mark.parametrize("call", [Ours, lambda: Ours("a", 1, (), 2), lambda: Ours("a", name="b"),
                                  lambda: Ours("a", sise=1), lambda: Ours("a")._replace(sise=1)])  # fmt: skip
def test_what_does_not_fit_is_a_type_error(call: Any) -> None:
    with pytest.raises(TypeError, match=r"Ours\.__new__\(\)"):
        call()


def test_a_field_is_not_set() -> None:
    one: Any = Ours("a")
    with pytest.raises(AttributeError):
        one.name = "b"
    with pytest.raises(AttributeError):
        one.other = "b"
