"""`typing.NamedTuple` for the sixty that a start makes: a class with annotations in, a class of tuples out.

`typing` compiles each annotation of a class, and a constructor, before anybody uses it, which takes 0.1 ms of a start.
Here the first rows of a class are filled field by field, as the first records are; mypy checks both alike.
"""

from __future__ import annotations

from operator import itemgetter

__all__ = ["NamedTuple"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FEW = 4  # rows of a class for which no constructor is compiled


def _fill_or_compile(cls: Any, *values: Any, **named: Any) -> Any:
    given = dict(zip(cls._fields, values, strict=False)) | named
    whole = {**cls._field_defaults, **given}
    if cls._made >= FEW or len(given) != len(values) + len(named) or whole.keys() != {*cls._fields}:
        cls.__new__ = _constructor(cls)  # which also says what is wrong with what is given
        return cls.__new__(cls, *values, **named)
    cls._made += 1
    return tuple.__new__(cls, [whole[name] for name in cls._fields])


def _constructor(cls: Any) -> Any:
    scope = {"_new": tuple.__new__} | {f"_default_{name}": value for name, value in cls._field_defaults.items()}
    parameters = [f"{name}=_default_{name}" if name in cls._field_defaults else name for name in cls._fields]
    fields = "".join(f"{name}, " for name in cls._fields)
    exec(f"def __new__({', '.join(['_cls', *parameters])}): return _new(_cls, ({fields}))", scope)
    scope["__new__"].__qualname__ = f"{cls.__qualname__}.__new__"
    return scope["__new__"]


def _replace(self: Any, **changes: Any) -> Any:
    return type(self)(**self._asdict() | changes)


def _asdict(self: Any) -> dict[str, Any]:
    return dict(zip(self._fields, self, strict=True))


def _made_of(self: Any) -> tuple[Any, ...]:
    """For copies and pickles."""
    return tuple(self)


def _show(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"


_SHARED = {
    "__slots__": (),
    "__new__": _fill_or_compile,
    "_made": 0,
    "_replace": _replace,
    "_asdict": _asdict,
    "__repr__": _show,
    "__getnewargs__": _made_of,
}


class _Maker(type):
    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, body)
        names = tuple(body.get("__annotations__", ()))
        own = {
            "_fields": names,
            "__match_args__": names,
            "_field_defaults": {one: body[one] for one in names if one in body},
        }
        fields = {one: property(itemgetter(n)) for n, one in enumerate(names)}
        return type(name, (tuple,), {**_SHARED, **own, **body, **fields})


if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class NamedTuple(metaclass=_Maker):
        """What classes of rows say that they are."""
