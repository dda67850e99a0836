"""Words that types are written with: those of `typing` for who checks types, no more than is asked for at run time.

A start has no use for most of `typing`, and importing it took as long as thirty rooms, and half a megabyte.
"""

from __future__ import annotations

__all__ = [
    "IO",
    "TYPE_CHECKING",
    "Annotated",
    "Any",
    "ClassVar",
    "Generic",
    "Literal",
    "NoReturn",
    "Protocol",
    "TextIO",
    "TypeAlias",
    "TypeGuard",
    "TypeVar",
    "cast",
    "dataclass_transform",
    "get_args",
    "get_origin",
    "overload",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import (
        IO,
        Annotated,
        Any,
        ClassVar,
        Generic,
        Literal,
        NoReturn,
        Protocol,
        TextIO,
        TypeAlias,
        TypeGuard,
        TypeVar,
        cast,
        dataclass_transform,
        get_args,
        get_origin,
        overload,
    )
else:
    from types import GenericAlias, UnionType

    class Any:
        """Whatever."""

    class Protocol:
        """A shape that classes have without saying so."""

    class Generic:
        """A class of which there are several kinds."""

        def __class_getitem__(cls, _kind):
            return cls

    class Literal:
        """One of these values: `get_args` has them."""

        __class_getitem__ = classmethod(GenericAlias)

    class Annotated:
        """A type, and what more is said of it, in `get_args`."""

        __class_getitem__ = classmethod(GenericAlias)

    IO = ClassVar = NoReturn = TextIO = TypeAlias = TypeGuard = None  # stand in annotations only, which nobody reads

    def TypeVar(*_, **__):
        return Any

    def cast(_kind, value):
        return value

    def overload(function):
        return function

    def dataclass_transform(**_):
        return lambda made: made

    def get_args(kind):
        return getattr(kind, "__args__", ())

    def get_origin(kind):
        return UnionType if isinstance(kind, UnionType) else getattr(kind, "__origin__", None)
