"""Where RAM is in the guest: properties that hold for all banks and all that the IOMMU reserves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launcher.host.facts import IommuGroup, ReservedRegion
from launcher.machine.x86.layout import HOLE, LAYOUT
from launcher.plan.steps import DescribeMachine
from launcher.planner.decided import Width
from launcher.planner.memory import GRANULES, free_place, place_memory, span_of
from launcher.planner.regions import left_empty, memory_map, reserved_by
from launcher.planner.rules.ram import check_ram
from launcher.spec.parts import Bank
from launcher.values import GIB, KIB, MIB, Span
from tests.planning import host, plan

PAGE = {"4KiB": 4 * KIB, "thp": 4 * KIB, "2MiB": 2 * MIB, "1GiB": GIB}


@st.composite
def banks(draw: st.DrawFn) -> Bank:
    pages = draw(st.sampled_from(list(PAGE)))
    count = draw(st.integers(1, 40 if pages == "1GiB" else 5000))
    return Bank(size=count * PAGE[pages], pages=pages, node=None, at=None)


@st.composite
def reserved_spans(draw: st.DrawFn) -> Span:
    start = draw(st.integers(0, 1 << 26)) * 4 * KIB
    return Span(start, draw(st.integers(1, 1 << 12)) * 4 * KIB)


several_banks = st.lists(banks(), min_size=1, max_size=5).map(tuple)
several_spans = st.lists(reserved_spans(), max_size=6)


@given(several_banks, several_spans)
def test_every_byte_of_every_bank_is_placed_exactly_once(these, reserved):
    ranges = place_memory(these, reserved, LAYOUT)
    for number, bank in enumerate(these):
        pieces = sorted((one.offset, one.size) for one in ranges if one.bank == number)
        ends = [0, *(offset + size for offset, size in pieces)]
        assert [offset for offset, _ in pieces] == ends[:-1]
        assert ends[-1] == bank.size


@given(several_banks, several_spans)
def test_ram_touches_neither_the_hole_nor_reserved_spans_nor_other_ram(these, reserved):
    spans = [span_of(one) for one in place_memory(these, reserved, LAYOUT)]
    for span in spans:
        assert not span.overlaps(HOLE)
        assert not any(span.overlaps(one) for one in reserved)
        assert sum(span.overlaps(one) for one in spans) == 1


@given(several_banks, several_spans)
def test_host_pages_can_back_guest_pages_everywhere(these, reserved):
    for one in place_memory(these, reserved, LAYOUT):
        pages = these[one.bank].pages
        assert one.guest % GRANULES[pages] == 0
        assert one.offset % GRANULES[pages] == 0
        assert one.size % PAGE[pages] == 0


@given(several_banks, several_spans)
def test_banks_follow_each_other_in_the_order_of_the_file(these, reserved):
    ranges = place_memory(these, reserved, LAYOUT)
    assert [(one.bank, one.offset) for one in ranges] == sorted((one.bank, one.offset) for one in ranges)


@given(several_banks, st.lists(st.builds(
    lambda span, kind: ReservedRegion(span.start, span.last, kind), reserved_spans(),
    st.sampled_from(["direct", "reserved", "msi", "direct-relaxable", "quantum"]),
), max_size=5))  # fmt: skip
def test_the_memory_map_is_in_order_and_only_reserved_lines_may_meet_each_other(these, regions):
    reserved = reserved_by([IommuGroup(3, "DMA", (), tuple(regions))])
    lines = memory_map(these, place_memory(these, [one.span for one in reserved], LAYOUT), reserved, (), LAYOUT)
    assert [line.start for line in lines] == sorted(line.start for line in lines)
    own = [Span(line.start, line.size) for line in lines if line.kind != "reserved"]
    foreign = [Span(line.start, line.size) for line in lines if line.kind == "reserved"]
    for span in own:
        assert sum(span.overlaps(one) for one in own) == 1
        assert not any(span.overlaps(one) for one in foreign)


def bank(size: int, at: int | None = None, pages: str = "thp") -> Bank:
    return Bank(size=size, pages=pages, node=None, at=at)


def starts(*these: Bank, reserved: list[Span] | None = None) -> list[tuple[int, int]]:
    return [(one.guest, one.size) for one in place_memory(these, reserved or [], LAYOUT)]


def test_memory_up_to_3_gib_is_one_range_and_more_continues_above_4_gib():
    assert starts(bank(3 * GIB)) == [(0, 3 * GIB)]
    assert starts(bank(4 * GIB)) == [(0, 3 * GIB), (4 * GIB, GIB)]


def test_a_bank_of_1_gib_pages_leaves_the_gib_that_has_a_reserved_page():
    page = Span(0x7FFE8000, 16 * KIB)
    assert starts(bank(3 * GIB, pages="1GiB"), reserved=[page]) == [(0, GIB), (2 * GIB, GIB), (4 * GIB, GIB)]


def test_small_pages_lose_no_more_than_2_mib_to_a_reserved_page():
    page = Span(0x7FFE8000, 16 * KIB)
    assert starts(bank(3 * GIB), reserved=[page])[0] == (0, 2 * GIB - 2 * MIB)


def test_a_bank_flows_round_another_that_has_its_place():
    assert starts(bank(2 * GIB), bank(GIB, at=GIB)) == [(0, GIB), (GIB, GIB), (2 * GIB, GIB)]


def test_a_free_place_is_found_behind_what_is_taken():
    assert free_place(GIB, GIB, [Span(0, 100)]) == GIB
    assert free_place(GIB, GIB, [Span(0, 1 << 64)]) is None


def test_only_relaxable_regions_may_be_used():
    regions = (
        ReservedRegion(0, 0xFFFFFF, "direct-relaxable"),
        ReservedRegion(0xFEE00000, 0xFEEFFFFF, "msi"),
        ReservedRegion(0x10000000, 0x100FFFFF, "direct"),
        ReservedRegion(0x20000000, 0x200FFFFF, "quantum"),
    )
    found = reserved_by([IommuGroup(3, "DMA", (), regions), IommuGroup(7, "DMA", (), regions[1:2])])
    assert [(one.kind, one.groups) for one in found] == [("direct", (3,)), ("quantum", (3,)), ("msi", (3, 7))]


@st.composite
def wished_banks(draw: st.DrawFn) -> Bank:
    size = draw(st.integers(1, 2000)) * 2 * MIB
    return Bank(size=size, pages="2MiB", node=None, at=draw(st.integers(0, 1 << 20)) * 2 * MIB)


@given(wished_banks(), several_banks, st.lists(reserved_spans(), max_size=6), st.sampled_from([36, 39, 48]))
def test_ram_in_the_way_of_something_is_always_told(wished, others, spans, bits):
    banks = (*others, wished)
    regions = tuple(ReservedRegion(one.start, one.last, "reserved") for one in spans)
    reserved = reserved_by([IommuGroup(3, "DMA", (), regions)])
    ranges = place_memory(banks, [one.span for one in reserved], LAYOUT)
    told = {one.code for one in check_ram(banks, ranges, reserved, (Width(bits, "KVM"),), LAYOUT)}
    placed = [span_of(one) for one in ranges]
    assert ("E306" in told) == any(span_of(one).overlaps(hole) for one in ranges for hole in (HOLE, *spans))
    assert ("E311" in told) == any(one.end > 1 << bits for one in placed)
    assert ("E308" in told) == (sum(one.size for one in placed) < sum(one.size for one in banks))
    if not told:
        assert all(sum(one.overlaps(other) for other in placed) == 1 for one in placed)


def test_the_guest_is_told_each_hole_once_however_many_groups_make_it():
    ht = ReservedRegion(0xFD00000000, 0xFFFFFFFFFF, "reserved")
    part = ReservedRegion(0xFD00000000, 0xFD000FFFFF, "direct")
    msi = ReservedRegion(0xFEE00000, 0xFEEFFFFF, "msi")
    groups = [IommuGroup(number, "DMA", (), regions) for number, regions in enumerate([(msi, ht), (msi, ht, part)])]
    assert left_empty(reserved_by(groups), LAYOUT) == (Span(0xFD00000000, MIB), Span(0xFD00100000, 12 * GIB - MIB))


def test_the_machine_is_described_with_the_holes_that_are_not_its_own():
    text = "boot: {kernel: ./bzImage}\ncpus: 1\nmemory: 1GiB\n"
    for devices, holes in (("", ()), ("devices: {disk: 0000:02:00.0}\n", (Span(0xFD00000000, 12 * GIB),))):
        made = plan(text + devices, host("gpu07"))
        assert [one.reserved for one in made.steps if isinstance(one, DescribeMachine)] == [holes]
