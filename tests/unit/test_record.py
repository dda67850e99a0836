"""Records: what a class gets by its annotations; the same as from dataclasses, or a TypeError."""

from __future__ import annotations

import copy
import dataclasses
import operator
import pickle
import re
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from launcher.record import FEW, defaults, field, fields, is_record, mutable, record, replace


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


@record(order=True, many=True)
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


@pytest.mark.parametrize("before", [0, FEW - 1, FEW, FEW + 1])
def test_its_first_records_are_made_as_those_by_its_constructor(before: int) -> None:
    @record
    class Own(Shape):
        holes: tuple[int, ...] = ()
        marks: list[int] = field(default_factory=list)

    made = [Own("a", holes=(1,)) for _ in range(before)]
    for values, named in [((), {}), (("a", 3, (), [], 1), {}), (("a",), {"name": "b"}), (("a",), {"colour": "red"})]:
        with pytest.raises(TypeError, match=r"Own\.__init__"):
            Own(*values, **named)
    with pytest.raises(ValueError, match="flat"):
        Own("a", 2)
    one = Own("a", holes=(1,))
    assert all(each == one and each.marks is not one.marks for each in made)
    assert (one.edges, one.marks) == (3, [])


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


# ---- the same class made both ways ----

NAMES = ("a", "b", "c", "d")
REQUIRED, FRESH = "required", "fresh"  # a field without a default; one whose default is made each time
VALUES = st.one_of(st.integers(-1, 1), st.sampled_from(["", "x"]), st.tuples(st.integers(0, 1)))
DEFAULTS = st.one_of(st.sampled_from([REQUIRED, FRESH]), VALUES)
LAYERS = st.lists(st.dictionaries(st.sampled_from(NAMES), DEFAULTS, max_size=3), min_size=1, max_size=3)
SIGNS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
Layers = list[dict[str, Any]]


def as_dataclass(layers: Layers, *, frozen: bool, order: bool) -> Any:
    return _made(layers, dataclasses.dataclass(frozen=frozen, order=order, slots=True), dataclasses.field)


def as_record(layers: Layers, *, frozen: bool, order: bool, many: bool = False) -> Any:
    return _made(layers, record(order=order, many=many) if frozen else mutable, field)


def _made(layers: Layers, decorate: Callable[[type], type], field_of: Any) -> type:
    """A class of these fields; each layer inherits from the one before."""
    made = object
    for layer in layers:
        given_ = {name: value for name, value in layer.items() if value != REQUIRED}
        body = {name: field_of(default_factory=list) if one == FRESH else one for name, one in given_.items()}
        body |= {"__annotations__": dict.fromkeys(layer, "Any"), "__qualname__": "Made"}
        made = decorate(type("Made", () if made is object else (made,), body))
    return made


def outcome(deed: Callable[..., Any], *values: Any, **named: Any) -> Any:
    """What it gives, or the kind of its refusal."""
    try:
        return deed(*values, **named)
    except (TypeError, AttributeError) as error:
        return AttributeError if isinstance(error, AttributeError) else TypeError


@given(LAYERS, st.booleans(), st.booleans())
def test_a_record_is_made_of_what_a_dataclass_is_made_of(layers: Layers, frozen: bool, order: bool) -> None:
    """Each field in its place, also one that is said again; and none without a default behind one that has it."""
    one, other = (outcome(way, layers, frozen=frozen, order=order) for way in (as_dataclass, as_record))
    assert (one is TypeError) == (other is TypeError)
    if one is not TypeError:
        assert tuple(each.name for each in dataclasses.fields(one)) == fields(other) == other.__match_args__


@given(LAYERS, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_a_record_behaves_as_a_dataclass_does(
    layers: Layers, frozen: bool, order: bool, many: bool, data: st.DataObject
) -> None:
    order = order and frozen  # there is no mutable one with an order
    ways = (as_dataclass, partial(as_record, many=many))
    kinds = [outcome(way, layers, frozen=frozen, order=order) for way in ways]
    assume(TypeError not in kinds)
    names = fields(kinds[1])
    values = [data.draw(st.lists(VALUES, max_size=len(names) + 1)) for _ in range(2)]
    named = data.draw(st.dictionaries(st.sampled_from((*names, "unknown")), VALUES, max_size=2))
    seen = [list(_looked_at(kind, values, named)) for kind in kinds]
    assert seen[0] == seen[1]


def _looked_at(kind: Any, values: list[list[Any]], named: dict[str, Any]) -> Iterator[object]:
    """All that can be seen of two of a kind, and of what becomes of one."""
    one, other = outcome(kind, *values[0], **named), outcome(kind, *values[1])
    yield repr(one) if TypeError in (one, other) else (repr(one), repr(other))
    if TypeError in (one, other):
        return
    yield [outcome(sign, one, other) for sign in SIGNS], [outcome(sign, one, 1) for sign in SIGNS]
    yield outcome(lambda: hash(one) == hash(other) or one != other)
    yield repr(outcome(dataclasses.replace if dataclasses.is_dataclass(kind) else replace, one, **named))
    yield repr(copy.copy(one)), copy.deepcopy(one) == one
    yield outcome(setattr, one, "other", 7) in (AttributeError, TypeError)  # by a fault of theirs, with slots
    for name in kind.__match_args__:
        yield outcome(setattr, one, name, 7), outcome(delattr, one, name), outcome(getattr, one, name)


def test_those_of_which_there_are_many_have_slots() -> None:
    """As have those that may change: what is no field of theirs is refused."""
    has_dict = {
        kind: hasattr(made, "__dict__") for kind, made in ((Place, Place(1, 2)), (Bag, Bag()), (Shape, Shape("a")))
    }
    assert has_dict == {Place: False, Bag: False, Shape: True}
    with pytest.raises(TypeError):
        weakref.ref(Place(1, 2))
    with pytest.raises(AttributeError):
        Bag().other = 7  # type: ignore[attr-defined]


class Plain:
    def name(self) -> str:
        return "plain"


def with_a_constructor() -> None:
    @record
    class Made:
        name: str

        def __init__(self) -> None:
            pass


def with_two_bases() -> None:
    @record
    class Empty:
        pass

    @record
    class Both(Empty, Shape):
        pass


def from_a_mutable() -> None:
    @record
    class Sealed(Bag):
        pass


def from_a_frozen() -> None:
    @mutable
    class Open(Shape):
        pass


def with_a_way_to_change() -> None:
    @record
    class Open:
        name: str

        def __setattr__(self, name: str, value: object) -> None:
            pass


def with_a_shared_default() -> None:
    @record
    class Shared:
        names: list[str] = []  # noqa: RUF012 - that is the question


def with_keywords_only() -> None:
    @record
    class Keyed:
        _: dataclasses.KW_ONLY
        name: str


def with_what_only_the_constructor_gets() -> None:
    @record
    class Passed:
        name: dataclasses.InitVar[str]


def with_a_field_of_dataclasses() -> None:
    @record
    class Foreign:
        name: str = dataclasses.field(default="")


def with_a_default_in_a_field() -> None:
    @record
    class Filled:
        name: str = field(default_factory=str, default="")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (with_a_constructor, "__init__ is made for it; write __post_init__"),
        (with_two_bases, "it cannot inherit the fields of both Empty and Shape"),
        (from_a_mutable, "do not inherit from each other"),
        (from_a_frozen, "do not inherit from each other"),
        (with_a_way_to_change, "__setattr__ is made for it"),
        (with_a_shared_default, "all would share the default of names; write field(default_factory=...)"),
        (with_keywords_only, "_ is KW_ONLY, which records do not have"),
        (with_what_only_the_constructor_gets, "name is InitVar, which records do not have"),
        (with_a_field_of_dataclasses, "take launcher.record.field"),
        (with_a_default_in_a_field, "takes default_factory only, not default"),
    ],
)
def test_what_records_cannot_do_is_said_where_somebody_tries(made: Callable[[], None], said: str) -> None:
    with pytest.raises(TypeError, match=re.escape(said)):
        made()


@pytest.mark.parametrize("way", [record, mutable, dataclasses.dataclass])
def test_methods_know_the_class_that_they_are_in(way: Callable[[type], Any]) -> None:
    @way
    class Named(Plain):
        size: int = 1

        def __len__(self) -> int:
            return self.size

        def name(self) -> str:
            return f"{super().name()} {__class__.__name__}"  # type: ignore[name-defined]

    @way
    class Grown(Named):
        @property
        def kind(self) -> str:
            return f"grown {super().name()}"

    assert (Named().name(), Grown().kind, len(Grown(2))) == ("plain Named", "grown plain Named", 2)


@pytest.mark.parametrize("times", [1, FEW + 2])
def test_what_a_constructor_fills_is_of_its_own_class_and_frozen(times: int) -> None:
    """With more than a few of a class, each is filled as a draft of it."""
    made = [Coloured("a", 4, "blue") for _ in range(times)][-1]
    assert type(made) is Coloured
    assert made == Coloured("a", 4, "blue")
    with pytest.raises(AttributeError):
        made.name = "b"  # type: ignore[misc]
    bags = [Bag([n]) for n in range(times)]
    bags[0].things = []
    assert bags[-1] == Bag([times - 1] if times > 1 else [])
