"""What `--only` says, or a program, in; the terms of a plan that may touch these functions and no others out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from launcher.errors import Diagnostic, WrongUsage
from launcher.planner.decided import Terms
from launcher.values import PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.planner.places import Locate

Given: TypeAlias = tuple[PciAddress, ...] | None  # None: `--only` was not said

_WAY = "write host addresses, as `--only 0000:c1:00.0,0000:c1:00.1`: `vmlaunch devices` lists them"


def given_functions(text: str) -> tuple[PciAddress, ...]:
    """The words of `--only`: addresses between commas."""
    words = text.replace(",", " ").split()
    if not words:
        raise WrongUsage(Diagnostic("E572", "--only names no device", help=(_WAY,)))
    return _addresses(words)


def terms_of(where: Locate, only: Iterable[PciAddress | str] | None = None) -> Terms:
    return Terms(where, None if only is None else _addresses(only))


def narrowed(mine: Given, given: Given) -> Given:
    """What a saved plan may touch, of what is given now."""
    if mine is None or given is None:
        return mine if given is None else given
    return tuple(one for one in mine if one in given)


def _addresses(words: Iterable[PciAddress | str]) -> tuple[PciAddress, ...]:
    """By number, each once. A scheduler may have given none."""
    found = {one if isinstance(one, PciAddress) else _address(one) for one in words}
    return tuple(sorted(found))


def _address(word: str) -> PciAddress:
    try:
        return PciAddress.parse(word)
    except ValueError:
        raise WrongUsage(Diagnostic("E572", f"--only: {word!r} is no PCI address", help=(_WAY,))) from None
