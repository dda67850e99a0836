"""A BAR as the kernel describes it in, how each part of it is served out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from launcher.values import KIB, Span, align_down, align_up

PAGE = 4 * KIB


class Piece(NamedTuple):
    """A part of a BAR: mapped into the guest, trapped and read from the device, or one of MSI-X's tables."""

    span: Span
    served: Literal["mmap", "trap", "table", "pending"]


def pieces(size: int, mappable: Iterable[Span], table: Span | None, pending: Span | None) -> tuple[Piece, ...]:
    """`mappable`: what the kernel would map of it. Pages of the tables are trapped, and all else of them as it is."""
    tables = [(span, kind) for span, kind in ((table, "table"), (pending, "pending")) if span]
    pages = [_pages(span) for span, _ in tables]
    mapped = [part for area in mappable if (whole := _whole_pages(area)) for part in whole.minus(pages)]
    rest = Span(0, size).minus([*mapped, *(span for span, _ in tables)])
    found = [Piece(span, "mmap") for span in mapped] + [Piece(span, "trap") for span in rest]
    found += [Piece(span, "table" if kind == "table" else "pending") for span, kind in tables if span.end <= size]
    return tuple(sorted(found))


def served(found: tuple[Piece, ...]) -> Literal["mmap", "split", "trap"]:
    ways = {piece.served for piece in found}
    if "mmap" not in ways:
        return "trap"
    return "mmap" if ways == {"mmap"} else "split"


def _pages(span: Span) -> Span:
    start = align_down(span.start, PAGE)
    return Span(start, align_up(span.end, PAGE) - start)


def _whole_pages(span: Span) -> Span | None:
    start, end = align_up(span.start, PAGE), align_down(span.end, PAGE)
    return Span(start, end - start) if start < end else None
