"""A BAR as the kernel describes it in, how each part of it is served out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from launcher.row import NamedTuple
from launcher.typed import Literal
from launcher.values import KIB, Span, align_down, align_up

PAGE = 4 * KIB


Kind = Literal["io", "mem32", "mem64"]
Served = Literal["mmap", "split", "trap"]


class Piece(NamedTuple):
    """A part of a BAR: mapped into the guest, trapped and read from the device, one of MSI-X's tables, or registers of
    a device of ours."""

    span: Span
    served: Literal["mmap", "trap", "table", "pending", "registers"]


def pieces_of_bar(
    kind: Kind, size: int, tables: tuple[Span | None, Span | None], mappable: Iterable[Span] | None = None
) -> tuple[Piece, ...]:
    """For the plan and for whoever carries it out. I/O ports are trapped, and so are the pages of MSI-X's `tables`.

    `mappable` is what the kernel maps of it; a plan, which cannot know, expects all of it. Facts from elsewhere may
    have a BAR without a byte, of which a plan has no pieces; nobody opens one (ValueError).
    """
    if mappable is None:
        if size <= 0:
            return ()
        mappable = (Span(0, size),)
    return pieces(size, () if kind == "io" else mappable, *tables)


def pieces(size: int, mappable: Iterable[Span], table: Span | None, pending: Span | None) -> tuple[Piece, ...]:
    """`mappable`: what the kernel would map of it. Pages of the tables are trapped, and all else of them as it is."""
    whole = Span(0, size)
    pages = [pages_of(span) for span in (table, pending) if span]
    tables = tuple(_tables(whole, table, pending))
    mapped: list[Span] = []
    for area in mappable:
        if inside := _whole_pages(area, size):
            mapped += inside.minus([*pages, *mapped])
    rest = whole.minus([*mapped, *(piece.span for piece in tables)])
    return tuple(sorted([*tables, *(Piece(span, "mmap") for span in mapped), *(Piece(span, "trap") for span in rest)]))


def _tables(whole: Span, table: Span | None, pending: Span | None) -> Iterator[Piece]:
    """What of them is inside the BAR. Where a broken device has both in one place, only the table is served."""
    if table and table.overlaps(whole):
        yield Piece(_inside(table, whole), "table")
    if pending and pending.overlaps(whole) and not (table and table.overlaps(pending)):
        yield Piece(_inside(pending, whole), "pending")


def served(found: tuple[Piece, ...]) -> Served:
    """How the whole BAR is served: `split` when a part of it is mapped and another is not."""
    ways = {piece.served for piece in found}
    if "mmap" not in ways:
        return "trap"
    return "mmap" if ways == {"mmap"} else "split"


def pages_of(span: Span) -> Span:
    """The whole pages that the span touches."""
    start = align_down(span.start, PAGE)
    return Span(start, align_up(span.end, PAGE) - start)


def _inside(span: Span, whole: Span) -> Span:
    return Span(span.start, min(span.end, whole.end) - span.start)


def _whole_pages(span: Span, size: int) -> Span | None:
    start, end = align_up(span.start, PAGE), align_down(min(span.end, size), PAGE)
    return Span(start, end - start) if start < end else None
