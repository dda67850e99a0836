"""A broken rule in, the error that carries it through pydantic out. Pure."""

from __future__ import annotations

from launcher.record import record
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import PydanticCustomError

FieldPath = tuple[str, ...]


@record
class Problem:
    """A diagnostic that does not know its file yet.

    `path` is the field, relative to whoever states the problem; `key` points at the key instead of the value;
    `also` is a second field the reader has to look at.
    """

    code: str
    message: str
    path: FieldPath = ()
    key: bool = False
    help: tuple[str, ...] = ()
    fix: str | None = None
    also: FieldPath | None = None

    def error(self) -> PydanticCustomError:
        """The form in which a validator raises it; the code is pydantic's error type."""
        from pydantic_core import PydanticCustomError

        return PydanticCustomError(self.code, "{message}", {"message": self.message, "problem": self})


def refuse(problems: Iterable[Problem]) -> None:
    """Raises all of them at once, each at its own path."""
    from pydantic_core import InitErrorDetails, ValidationError

    details = [InitErrorDetails(type=one.error(), loc=one.path, input=None) for one in problems]
    if details:
        raise ValidationError.from_exception_data("VmSpec", details)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """What was probably meant by a misspelled word."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower()[:64], list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """One help sentence for a typo, or none."""
    near = nearest(word, known)
    return (f"did you mean `{near}`?",) if near else ()
