"""Records: what a class gets by its annotations."""

from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import pytest

from launcher.record import defaults, field, fields, is_record, mutable, record, replace


@record
class Shape:
    sides: ClassVar[str] = "many"
    name: str
    edges: int = 3

    def __post_init__(self) -> None:
        if self.edges < 3:
            raise ValueError("flat")


@record
class Coloured(Shape):
    colour: str = "red"


@record(order=True)
class Place:
    x: int
    y: int


@mutable
class Bag:
    things: list[int] = field(default_factory=list)


def test_a_record_is_equal_hashed_and_shown_by_its_fields() -> None:
    assert Shape("a") == Shape(name="a", edges=3) != Shape("b")
    assert len({Shape("a"), Shape("a"), Shape("b")}) == 2
    assert repr(Shape("a")) == "Shape(name='a', edges=3)"
    assert Shape("a") != Coloured("a")
    assert Shape.sides == "many"


def test_a_record_stays_as_it_is_and_has_no_other_attributes() -> None:
    shape = Shape("a")
    for name in ("name", "other"):
        with pytest.raises(AttributeError):
            setattr(shape, name, "b")
    with pytest.raises(AttributeError):
        del shape.name
    assert replace(shape, name="b") == Shape("b")
    assert shape.name == "a"


@pytest.mark.parametrize(("values", "named"), [((), {}), (("a",), {"corners": 4}), (("a", 3, 4), {})])
def test_what_its_fields_do_not_take_is_a_type_error(values: tuple[object, ...], named: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="Shape"):
        Shape(*values, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("one", [Shape("a"), Coloured("a", 4, "blue"), Place(1, 2), Bag([1])])
def test_it_can_be_copied_and_pickled(one: object) -> None:
    for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert again == one
        assert again is not one


def test_what_is_made_again_is_checked_again() -> None:
    with pytest.raises(ValueError, match="flat"):
        replace(Shape("a"), edges=2)


def test_fields_of_a_base_come_first() -> None:
    assert fields(Coloured) == ("name", "edges", "colour")
    assert defaults(Coloured) == {"edges": 3, "colour": "red"}
    assert Coloured("a", 4, "blue").colour == "blue"
    assert is_record(Coloured)
    assert not is_record(Coloured.__name__)
    assert not is_record(Coloured("a").__init__)  # type: ignore[misc]
    assert not is_record(fields)


def test_order_is_that_of_the_fields() -> None:
    assert sorted([Place(2, 1), Place(1, 2), Place(1, 1)]) == [Place(1, 1), Place(1, 2), Place(2, 1)]
    assert Place(2, 0) >= Place(1, 9)
    with pytest.raises(TypeError):
        assert Shape("a") < Shape("b")  # type: ignore[operator]


def test_each_mutable_has_a_default_of_its_own() -> None:
    one, other = Bag(), Bag()
    one.things.append(1)
    assert (one, other) == (Bag([1]), Bag())
    with pytest.raises(TypeError):
        hash(one)
