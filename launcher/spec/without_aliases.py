"""What stands where aliases belong in, the same with aliases out, as help. Pure."""

from __future__ import annotations

from launcher.spec.addresses_of_others import Meant, meant
from launcher.spec.entries_of_others import entries
from launcher.spec.served import is_interface, unsaid
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.spec.problems import Problem

_OF_A_TEXT: dict[str, Callable[[str], Meant | Problem]] = {"devices": meant, "nics": unsaid}


def with_aliases(kind: str, given: object) -> tuple[str, ...]:
    """Nothing, where what is given says nothing of an entry."""
    if whole := entries(kind, given):
        return (f"each has an alias: write `{kind}: {whole}`",)
    listed = given if isinstance(given, list) else [given]
    named = [_bridge(one) for one in listed] if kind == "nics" else []
    if named and (whole := entries(kind, named)):
        which = "it is a bridge" if len(named) == 1 else "they are bridges"
        return (f"each has an alias: if {which}, write `nics: {whole}`", "a tap is `tap` in place of `bridge`")
    wrong = next((one for one in listed if isinstance(one, str) and not entries(kind, one)), None)
    if wrong is None or kind not in _OF_A_TEXT:
        return ()
    return ("each has an alias, and what it is behind that", *_OF_A_TEXT[kind](wrong).help)


def _bridge(given: object) -> object:
    """An interface that is named alone may be a bridge or a tap."""
    return {"bridge": given} if isinstance(given, str) and is_interface(given) else given
