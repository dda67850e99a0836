"""Records: a class with annotations in; a constructor, equality, hash and order by its fields out.

What `dataclasses` does, without compiling five functions for each class before anybody uses it: a hundred classes took
a third of the time to a guest's first instruction. The first records of a class are filled field by field, which takes
ten times as long as a constructor does, and a tenth of what compiling it takes: of most classes there are not more.
Those of which there are many get slots, for which the class is made a second time.

What dataclasses can do and records cannot is a TypeError where the class is made (`_check`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from operator import attrgetter

from launcher.typed import (
    Annotated,
    Any,
    Literal,
    NoReturn,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    overload,
)

T = TypeVar("T")
FEW = 4  # records of a class for which no constructor is compiled
_ROOT = (object,)
_MADE = {"__init__", "__slots__", "__setattr__", "__delattr__"}


class _Made:
    """A default that each new record gets one of its own of."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


_SHAREABLE = {int, str, bool, tuple, float, type(None), _Made}  # types of defaults that all records may have in common


def field(*, default_factory: Callable[[], T], **others: NoReturn) -> T:
    if others:
        raise TypeError(f"a record's field takes default_factory only, not {', '.join(others)}")
    return cast("T", _Made(default_factory))


@overload
def record(cls: type[T], *, order: bool = False, many: bool = False) -> type[T]: ...
@overload
def record(*, order: bool = False, many: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: Any = None, *, order: bool = False, many: bool = False) -> Any:
    """Frozen: equal and hashed by its fields; with `order`, sorted by them. `many`: of a spec or a host there may be
    hundreds."""
    shared = _FROZEN | (_ORDERED if order else {})
    make = _rebuild if many else _complete
    return make(cls, shared) if cls else lambda decorated: make(decorated, shared)


@dataclass_transform(field_specifiers=(field,))
def mutable(cls: type[T]) -> type[T]:
    """Its fields may change: equal by them, not to be hashed."""
    made: type[T] = _rebuild(cls, _COMPARED | {"__hash__": None})
    return made


def fields(kind: Any) -> tuple[str, ...]:
    """Names of the fields of a record or its class, in order, inherited ones first."""
    found: tuple[str, ...] = kind.__match_args__
    return found


def defaults(kind: Any) -> dict[str, Any]:
    """Of the fields that have one, by name."""
    return {name: one.factory() if isinstance(one, _Made) else one for name, one in kind.__defaults__.items()}


def is_record(value: object) -> bool:
    """A record, or the class of one. Functions have `__defaults__`, too."""
    return hasattr(value, "__values__")


@cache
def field_types(kind: Any) -> dict[str, Any]:
    """Types of the fields of a record, in their order."""
    words: dict[str, tuple[Any, str]] = {}
    for one in reversed(kind.__mro__):
        words |= {name: (word, one.__module__) for name, word in vars(one).get("__annotations__", {}).items()}
    return {name: _meant(*words[name]) for name in fields(kind)}


@cache
def _meant(word: Any, module: str) -> Any:
    """Many fields have the same word."""
    return eval(word, vars(sys.modules[module])) if isinstance(word, str) else word


def replace(one: T, **changes: Any) -> T:
    """A new record with other values in some fields."""
    return type(one)(**{name: getattr(one, name) for name in fields(one)} | changes)


def _complete(cls: Any, shared: dict[str, Any]) -> Any:
    own, made = _plan(cls, shared)
    for name in cls.__dict__.keys() & own:
        delattr(cls, name)
    for name, value in {**{name: shared[name] for name in shared.keys() - cls.__dict__.keys()}, **made}.items():
        setattr(cls, name, value)
    return cls


def _rebuild(cls: Any, shared: dict[str, Any]) -> Any:
    """The class again, with slots: they cannot be had afterwards."""
    own, made = _plan(cls, shared)
    body = {**shared, **cls.__dict__, **made}
    for name in (*own, "__dict__", "__weakref__"):
        body.pop(name, None)
    body |= {"__qualname__": cls.__qualname__, "__annotations__": cls.__annotations__, "__slots__": own}
    rebuilt = type(cls)(cls.__name__, cls.__bases__, body)
    _tell_methods(cls, rebuilt)
    return rebuilt


def _plan(cls: Any, shared: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Fields of its own, and what it gets that goes by its fields."""
    words, body = cls.__annotations__, cls.__dict__
    is_plain = cls.__bases__ == _ROOT and not body.keys() & _MADE and _are_plain(words)
    own = [*words] if is_plain else [name for name, kind in words.items() if _word(kind) != "ClassVar"]
    inherited = fields(cls) if is_record(cls) else ()
    names = (*inherited, *(name for name in own if name not in inherited)) if inherited else tuple(own)
    given = _given(cls, own)
    if not (
        is_plain and (*given,) == names[len(names) - len(given) :] and _SHAREABLE.issuperset(map(type, given.values()))
    ):
        _check(cls, names, given, frozen=shared.get("__setattr__") is _refuse_change)
    made = {"__match_args__": names, "__init__": _fill_or_compile, "__defaults__": given, "__made__": 0}
    return own, made | {"__values__": attrgetter(*names) if names else staticmethod(lambda _: ())}


def _are_plain(words: dict[str, Any]) -> bool:
    """Annotations that can be nothing but types of fields; else `_word` says what each is."""
    try:
        text = "\n".join(words.values())
    except TypeError:  # not all are texts
        return False
    return "Var" not in text and "KW_ONLY" not in text


def _tell_methods(before: Any, made: Any) -> None:
    """`super()` and `__class__` in a method mean the class that is made, not the one that they were written in."""
    for value in before.__dict__.values():
        method = getattr(value, "fget", None) or getattr(value, "__func__", value)
        names = getattr(getattr(method, "__code__", None), "co_freevars", ())
        cell = method.__closure__[names.index("__class__")] if "__class__" in names else None
        if cell is not None and cell.cell_contents is before:
            cell.cell_contents = made


def _word(annotation: object) -> str:
    """The name that an annotation begins with, without its module."""
    return str(annotation).partition("[")[0].rpartition(".")[2].rstrip("'>")


def _check(cls: Any, names: tuple[str, ...], given: dict[str, Any], *, frozen: bool) -> None:
    """TypeError: nobody is to look for what is wrong with a record in what it does later. Of most classes `_plan` has
    seen already that nothing can be."""
    words = {name: _word(kind) for name, kind in cls.__annotations__.items()}
    problems = [*_problems_of_class(cls, frozen), *_problems_of_fields(words, given), *_problems_of_order(names, given)]
    if problems:
        raise TypeError(f"record {cls.__qualname__}: {'; '.join(problems)}")


def _problems_of_class(cls: Any, frozen: bool) -> Iterator[str]:
    bases = [one for one in cls.__bases__ if is_record(one)]
    if len(bases) > 1:
        yield f"it cannot inherit the fields of both {' and '.join(one.__name__ for one in bases)}"
    if any((one.__setattr__ is _refuse_change) != frozen for one in bases):
        yield "what is frozen and what is mutable do not inherit from each other"
    for name in ("__init__", "__slots__", *(("__setattr__", "__delattr__") if frozen else ())):
        if name in cls.__dict__:
            yield f"{name} is made for it" + ("; write __post_init__" if name == "__init__" else "")


def _problems_of_fields(words: dict[str, str], given: dict[str, Any]) -> Iterator[str]:
    for name, word in words.items():
        if word in ("InitVar", "KW_ONLY"):
            yield f"{name} is {word}, which records do not have"
    for name, value in given.items():
        if type(value).__module__ == "dataclasses":
            yield f"the default of {name} is a field of dataclasses; take launcher.record.field"
        if type(value).__hash__ is None:
            yield f"all would share the default of {name}; write field(default_factory=...)"


def _problems_of_order(names: tuple[str, ...], given: dict[str, Any]) -> Iterator[str]:
    late = False
    for name in names:
        if late and name not in given:
            yield f"{name} has no default and follows one that has"
        late = late or name in given


def _given(cls: Any, own: list[str]) -> dict[str, Any]:
    """Defaults. A field that is said again without one has none."""
    inherited = {name: value for name, value in getattr(cls, "__defaults__", {}).items() if name not in own}
    return inherited | {name: cls.__dict__[name] for name in own if name in cls.__dict__}


def _fill_or_compile(self: Any, *values: Any, **named: Any) -> None:
    cls = type(self)
    given = dict(zip(cls.__match_args__, values)) | named  # noqa: B905 - what is too much is seen by the number
    whole = {**cls.__defaults__, **given}
    if cls.__made__ >= FEW or len(given) != len(values) + len(named) or whole.keys() != {*cls.__match_args__}:
        cls.__init__ = _constructor(cls)  # which also says what is wrong with what is given
        cls.__init__(self, *values, **named)
        return
    cls.__made__ += 1
    for name, value in whole.items():
        _set(self, name, value.factory() if isinstance(value, _Made) else value)
    if hasattr(cls, "__post_init__"):
        self.__post_init__()


_set = object.__setattr__


def _constructor(cls: Any) -> Any:
    """`__init__` with the fields as its parameters, as TypeErrors for wrong ones are to name them.

    What is frozen and has slots is filled as a draft, a class of the same slots that anybody may write: Python stores
    in a third of the time that it takes to call what sets a slot.
    """
    frozen = cls.__setattr__ is _refuse_change
    drafted = frozen and not cls.__dictoffset__
    scope: dict[str, Any] = {f"_default_{name}": value for name, value in cls.__defaults__.items()}
    scope |= {"_become": _become, "_draft": _draft(cls), "_made": cls} if drafted else {"_set": _set}
    made = {name: value for name, value in cls.__defaults__.items() if isinstance(value, _Made)}
    scope |= {f"_make_{name}": value.factory for name, value in made.items()}
    parameters = [f"{name}=_default_{name}" if name in cls.__defaults__ else name for name in fields(cls)]
    lines = [f" if {name} is _default_{name}: {name} = _make_{name}()" for name in made]
    store = " _set(self, '{0}', {0})" if frozen and not drafted else " self.{0} = {0}"
    stores = [store.format(name) for name in fields(cls)]
    lines += [" _become(self, _draft)", *stores, " self.__class__ = _made"] if drafted and stores else stores
    lines += [" self.__post_init__()"] if hasattr(cls, "__post_init__") else []
    exec(f"def __init__({', '.join(['self', *parameters])}):\n" + "\n".join(lines or [" pass"]), scope)
    scope["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return scope["__init__"]


_become = object.__dict__["__class__"].__set__


def _draft(cls: Any) -> Any:
    return type(cls)(cls.__name__, cls.__bases__, {"__slots__": cls.__slots__, "__setattr__": object.__setattr__})


def _refuse_change(self: object, name: str, *_: object) -> NoReturn:
    raise AttributeError(f"{type(self).__name__}.{name} is frozen")


def _equal(self: Any, other: Any) -> Any:
    return self.__values__(self) == other.__values__(other) if type(self) is type(other) else NotImplemented


def _before(self: Any, other: Any) -> Any:
    return self.__values__(self) < other.__values__(other) if type(self) is type(other) else NotImplemented


def _before_or_equal(self: Any, other: Any) -> Any:
    return self.__values__(self) <= other.__values__(other) if type(self) is type(other) else NotImplemented


def _hash(self: Any) -> int:
    return hash(self.__values__(self))


def _made_of(self: Any) -> tuple[Any, tuple[Any, ...]]:
    """For copies and pickles: made again, as nothing can be set."""
    return type(self), tuple(getattr(self, name) for name in fields(self))


def _show(self: Any) -> str:
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in fields(self))})"


def _for_pydantic(cls: Any, _source: Any, handler: Any) -> Any:
    """Its schema as a dataclass: the JSON Schemas are made by pydantic."""
    from pydantic_core import core_schema

    kinds, given = field_types(cls), defaults(cls)
    rows = []
    for name in fields(cls):
        schema = handler.generate_schema(_of_typing(kinds[name]))
        if name in given:
            schema = core_schema.with_default_schema(schema, default=_plain(given[name]))
        rows.append(core_schema.dataclass_field(name, schema))
    arguments = core_schema.dataclass_args_schema(cls.__name__, rows)
    return core_schema.dataclass_schema(cls, arguments, list(fields(cls)), ref=f"{cls.__module__}.{cls.__qualname__}")


def _of_typing(kind: Any) -> Any:
    """A type as pydantic knows it."""
    import typing
    from types import UnionType

    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return typing.Literal[inner]
    parts = tuple(_of_typing(one) for one in inner)
    if origin is UnionType:
        return typing.Union[parts]  # noqa: UP007 - there may be any number
    if origin is Annotated:
        return typing.Annotated[parts]
    if origin is not None:
        return origin[parts]
    return typing.Any if kind is Any else kind


def _plain(value: Any) -> Any:
    return {name: _plain(getattr(value, name)) for name in fields(value)} if is_record(value) else value


_COMPARED: dict[str, Any] = {
    "__eq__": _equal,
    "__repr__": _show,
    "__get_pydantic_core_schema__": classmethod(_for_pydantic),
}
_FROZEN = _COMPARED | {
    "__hash__": _hash,
    "__reduce__": _made_of,
    "__setattr__": _refuse_change,
    "__delattr__": _refuse_change,
}
_ORDERED = {"__lt__": _before, "__le__": _before_or_equal}  # Python turns them round for the others
