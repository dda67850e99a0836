"""Several records of one host in; the one that counts out, and what is to be said of the others."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.typed import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.api.inventories import Source
    from launcher.values import Moment


class Dated(Protocol):
    """What was made of the facts of a host."""

    @property
    def source(self) -> Source: ...
    @property
    def recorded_at(self) -> Moment | None: ...


T = TypeVar("T", bound=Dated)


def newest(name: str, same: Sequence[T]) -> tuple[T | None, Diagnostic | None]:
    """Of the host `name`. None: which one it is cannot be told."""
    first, *more = sorted(same, key=lambda one: one.recorded_at.seconds if one.recorded_at else -1, reverse=True)
    if not more:
        return first, None
    evidence = tuple(f"{one.source}: {one.recorded_at or 'nobody knows when'}" for one in (first, *more))
    help_ = ("delete the older ones",)
    if first.recorded_at is None or first.recorded_at == more[0].recorded_at:
        fact = f"{name} is there {len(same)} times, and which is the newest is not known: it is left out"
        return None, Diagnostic("E576", fact, first.source.where, evidence, help_)
    fact = f"{name} is there {len(same)} times: the one that was recorded last counts"
    return first, Diagnostic("W576", fact, first.source.where, evidence, help_)
