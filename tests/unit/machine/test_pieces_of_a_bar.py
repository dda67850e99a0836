"""How a BAR is cut: mapped where it may be, trapped where it must be, MSI-X's tables served here."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.machine.pieces import PAGE, Piece, pieces, pieces_of_bar, served
from launcher.values import KIB, MIB, Span, align_down, align_up


def test_a_bar_without_tables_is_mapped_whole() -> None:
    found = pieces(MIB, [Span(0, MIB)], None, None)
    assert found == (Piece(Span(0, MIB), "mmap"),)
    assert served(found) == "mmap"


def test_the_pages_of_the_tables_are_trapped_and_the_rest_of_an_nvme_is_mapped() -> None:
    found = pieces(16 * KIB, [Span(0, 16 * KIB)], Span(0x2000, 33 * 16), Span(0x3000, 8))
    assert found == (
        Piece(Span(0, 0x2000), "mmap"),
        Piece(Span(0x2000, 0x210), "table"),
        Piece(Span(0x2210, 0xDF0), "trap"),
        Piece(Span(0x3000, 8), "pending"),
        Piece(Span(0x3008, 0xFF8), "trap"),
    )
    assert served(found) == "split"


def test_both_tables_in_the_page_of_the_registers_leave_nothing_to_map() -> None:
    found = pieces(4 * KIB, [Span(0, 4 * KIB)], Span(0x800, 0x40), Span(0xC00, 8))
    assert [piece.served for piece in found] == ["trap", "table", "trap", "pending", "trap"]
    assert served(found) == "trap"


def test_a_bar_of_256_bytes_is_trapped_though_the_kernel_would_map_its_page() -> None:
    assert pieces(256, [Span(0, 256)], None, None) == (Piece(Span(0, 256), "trap"),)
    assert pieces(256, [Span(0, 4 * KIB)], None, None) == (Piece(Span(0, 256), "trap"),)


def test_what_cannot_be_mapped_is_trapped() -> None:
    assert pieces(32, (), None, None) == (Piece(Span(0, 32), "trap"),)
    sparse = pieces(32 * KIB, [Span(0, 4 * KIB), Span(8 * KIB, 8 * KIB)], None, None)
    assert [(piece.span.start, piece.served) for piece in sparse] == [
        (0, "mmap"),
        (4 * KIB, "trap"),
        (8 * KIB, "mmap"),
        (16 * KIB, "trap"),
    ]


def test_a_table_that_reaches_over_the_end_is_served_up_to_it() -> None:
    found = pieces(8 * KIB, [Span(0, 8 * KIB)], Span(0x1800, 0x8000), Span(0x20000, 8))
    assert found == (
        Piece(Span(0, 4 * KIB), "mmap"),
        Piece(Span(0x1000, 0x800), "trap"),
        Piece(Span(0x1800, 0x800), "table"),
    )


def test_where_both_tables_claim_one_place_the_first_has_it() -> None:
    found = pieces(8 * KIB, [Span(0, 8 * KIB)], Span(0, 0x100), Span(0x80, 8))
    assert [piece.served for piece in found] == ["table", "trap", "mmap"]


spans = st.builds(Span, st.integers(0, 80 * KIB), st.one_of(st.integers(1, 40 * KIB), st.just(4 * KIB)))
aligned = st.builds(lambda start, size: Span(start * PAGE, size * PAGE), st.integers(0, 20), st.integers(1, 20))


@settings(max_examples=500, deadline=None)
@given(
    st.integers(4, 16).map(lambda bits: 1 << bits),
    st.lists(st.one_of(spans, aligned), max_size=4),
    st.none() | spans,
    st.none() | spans,
)
def test_any_bar_is_covered_once_and_no_page_of_a_table_is_ever_mapped(
    size: int, mappable: list[Span], table: Span | None, pending: Span | None
) -> None:
    found = pieces(size, mappable, table, pending)
    assert (found[0].span.start, found[-1].span.end) == (0, size)
    assert all(one.span.end == other.span.start for one, other in pairwise(found))
    mapped = {page for piece in found if piece.served == "mmap" for page in pages_of(piece.span)}
    assert all(page % PAGE == 0 for page in mapped)
    forbidden = {page for span in (table, pending) if span for page in pages_of(span)}
    whole = {page for area in mappable for page in whole_pages(area, size)}
    assert mapped == whole - forbidden


def pages_of(span: Span) -> range:
    return range(align_down(span.start, PAGE), span.end, PAGE)


def whole_pages(span: Span, size: int) -> range:
    return range(align_up(span.start, PAGE), align_down(min(span.end, size), PAGE), PAGE)


def test_a_bar_without_a_byte_has_no_pieces() -> None:
    """Nobody's hardware, but a facts file can say so."""
    assert pieces_of_bar("mem32", 0, (None, None)) == ()
    assert served(()) == "trap"
    with pytest.raises(ValueError, match="not a span"):
        pieces_of_bar("mem32", 0, (None, None), ())
