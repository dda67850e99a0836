"""A size and what is free of an address space in, the first place that fits out. Pure."""

from __future__ import annotations

from launcher.typed import TYPE_CHECKING
from launcher.values import align_up

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.values import Span


def natural(size: int) -> int:
    """A BAR's alignment: the power of two that holds it."""
    return 1 << (size - 1).bit_length()


def first_fit(size: int, free: Iterable[Span]) -> int | None:
    """In order of `free`, naturally aligned. None: nowhere."""
    for span in free:
        start = align_up(span.start, natural(size))
        if start + size <= span.end:
            return start
    return None
