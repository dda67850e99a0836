"""What `--only` says, or a program, in; the terms of a plan that may touch these functions and no others out."""

from __future__ import annotations

from launcher.errors import Diagnostic, WrongUsage
from launcher.planner.decided import Terms
from launcher.typed import TYPE_CHECKING, TypeAlias
from launcher.values import HostDevice, host_device

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.planner.places import Locate

Given: TypeAlias = tuple[HostDevice, ...] | None  # None: `--only` was not said

_WAY = "write host addresses, as `--only 0000:c1:00.0,0000:c1:00.1`, or UUIDs: `vmlaunch devices` lists them"


def given_functions(text: str) -> tuple[HostDevice, ...]:
    """The words of `--only`: addresses between commas, and UUIDs of mediated devices."""
    words = text.replace(",", " ").split()
    if not words:
        raise WrongUsage(Diagnostic("E572", "--only names no device", help=(_WAY,)))
    return _addresses(words)


def terms_of(where: Locate, only: Iterable[HostDevice | str] | None = None) -> Terms:
    return Terms(where, None if only is None else _addresses(only))


def narrowed(mine: Given, given: Given) -> Given:
    """What a saved plan may touch, of what is given now."""
    if mine is None or given is None:
        return mine if given is None else given
    return tuple(one for one in mine if one in given)


def _addresses(words: Iterable[HostDevice | str]) -> tuple[HostDevice, ...]:
    """By their text, each once. A scheduler may have given none."""
    found = {_address(one) if isinstance(one, str) else one for one in words}
    return tuple(sorted(found, key=str))


def _address(word: str) -> HostDevice:
    try:
        return host_device(word)
    except ValueError:
        raise WrongUsage(Diagnostic("E572", f"--only: {word!r} is no PCI address", help=(_WAY,))) from None
