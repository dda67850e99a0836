"""Where BARs are in the guest and how they are served: properties that hold for all BARs, and single cases."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.host.config import decode_config
from launcher.host.facts import Bar, Config, Msix, PciFunction
from launcher.machine.function import PassedFunction
from launcher.machine.msix import tables_in
from launcher.machine.pieces import pieces_of_bar
from launcher.machine.x86.layout import BAR_PORTS, BARS_32, HIGH_RAM_START
from launcher.planner.bars import bar_pieces, high_window, place_bars, planned_bars
from launcher.record import replace
from launcher.values import GIB, KIB, MIB, PciAddress, Span, align_up
from tests.planning import codes, host, plan
from tests.unit.machine.devices import ALL

DISK = next(one for one in host("gpu07").pci if str(one.address) == "0000:02:00.0")
PAGE = 4 * KIB


def function(*bars: Bar, bus: int = 1, config: Config | None = None) -> PciFunction:
    return replace(DISK, address=PciAddress(0, bus, 0, 0), bars=bars, config=config)


def bar(kind: str, size: int, index: int = 0) -> Bar:
    return Bar(index, kind, prefetchable=False, start=0x1000, size=size)


sizes = {"io": st.integers(2, 14), "mem32": st.integers(4, 30), "mem64": st.integers(4, 38)}
kinds = st.sampled_from(list(sizes))
some_bars = kinds.flatmap(lambda kind: sizes[kind].map(lambda power: bar(kind, 1 << power)))
functions = st.lists(st.lists(some_bars, max_size=6), max_size=16).map(
    lambda all_: [
        function(*(replace(one, index=index) for index, one in enumerate(bars)), bus=bus)
        for bus, bars in enumerate(all_)
    ]
)
spans = st.lists(
    st.builds(
        Span, st.integers(0, 1 << 27).map(lambda page: page * PAGE), st.integers(1, 1 << 24).map(lambda n: n * PAGE)
    ),
    max_size=4,
)
widths = st.sampled_from([None, 36, 39, 40, 48, 57])


def room(one: Bar) -> int:
    return one.size if one.kind == "io" else align_up(one.size, PAGE)


@given(functions, spans, spans, widths)
def test_placed_bars_are_aligned_apart_and_out_of_the_way_of_all_else(these, ram, reserved, bits):
    places = place_bars(these, ram, reserved, bits)
    by_key = {(one.address, bar.index): bar for one in these for bar in one.bars}
    placed = {key: Span(guest, room(by_key[key])) for key, guest in places.items()}
    assert all(span.start % by_key[key].size == 0 for key, span in placed.items())
    ports = sorted(span for key, span in placed.items() if by_key[key].kind == "io")
    memory = sorted(span for key, span in placed.items() if by_key[key].kind != "io")
    for those in (ports, memory):
        assert all(one.end <= other.start for one, other in pairwise(those))
    assert all(BAR_PORTS.covers(one) for one in ports)
    assert not any(one.overlaps(other) for one in memory for other in (*ram, *reserved))
    assert all(BARS_32.covers(placed[key]) for key, one in by_key.items() if one.kind == "mem32" and key in placed)
    assert all(BARS_32.covers(one) or HIGH_RAM_START <= one.start < one.end <= 1 << (bits or 52) for one in memory)


@given(functions, spans, spans, widths)
def test_the_window_of_64_bit_bars_holds_no_ram(these, ram, reserved, bits):
    made = plan(
        "boot: {kernel: ./bzImage}\ncpus: 1\nmemory: 1GiB\ndevices: {disk: 0000:02:00.0}\n", host("gpu07")
    ).devices[0]
    places = place_bars(these, ram, reserved, bits)
    window = high_window([replace(made, bars=planned_bars(one, places)) for one in these])
    assert window is None or not any(window.overlaps(one) for one in ram)


def test_a_bar_of_64_gib_goes_above_ram_and_round_what_is_reserved():
    card = function(bar("mem64", 64 * GIB))
    assert list(place_bars([card], [Span(0, 3 * GIB)], [], 48).values()) == [256 * GIB]
    assert list(place_bars([card], [Span(0, 3 * GIB)], [Span(300 * GIB, MIB)], 48).values()) == [320 * GIB]


def test_small_64_bit_bars_go_above_4_gib_when_the_hole_is_full():
    many = [function(bar("mem64", 32 * MIB), bus=bus) for bus in range(40)]
    places = place_bars(many, [Span(0, 3 * GIB)], [], 48)
    assert len(places) == 40
    assert {guest < 4 * GIB for guest in places.values()} == {True, False}


def test_what_must_be_in_the_hole_is_there_before_what_may_be():
    choosy = [function(bar("mem64", 32 * MIB), bus=bus) for bus in range(30)]
    strict = [function(bar("mem32", 16 * MIB), bus=bus) for bus in range(100, 130)]
    assert len(place_bars([*choosy, *strict], [Span(0, 3 * GIB)], [], 48)) == 60


def test_a_bank_at_the_top_leaves_the_gap_below_it_to_bars():
    ram = [Span(0, 3 * GIB), Span(511 * GIB, GIB)]
    (guest,) = place_bars([function(bar("mem64", 32 * GIB))], ram, [], 39).values()
    assert 4 * GIB <= guest < 511 * GIB


def test_ports_follow_each_other_from_c000():
    card = function(bar("io", 32, 2), bar("io", 256, 3), bar("io", 8, 4))
    assert sorted(place_bars([card], [], [], None).values()) == [0xC000, 0xC100, 0xC120]


@pytest.mark.parametrize(
    ("size", "msix", "serve"),
    [
        (16 * KIB, None, "mmap"),
        (16 * KIB, Msix(65, 0, 0x2000, 0, 0x3000), "split"),
        (8 * KIB, Msix(65, 0, 0, 0, 0x1000), "trap"),
        (4 * KIB, Msix(4, 0, 0, 0, 0x800), "trap"),
        (16 * KIB, Msix(65, 4, 0, 4, 0x800), "mmap"),
        (16 * KIB, Msix(1025, 0, 0, 4, 0), "trap"),
        (32 * KIB, Msix(1025, 0, 0, 4, 0), "split"),
        (256, None, "trap"),
        (256, Msix(1, 0, 0, 0, 16), "trap"),
    ],
)
def test_only_the_pages_of_the_msix_table_are_trapped(size, msix, serve):
    one = function(bar("mem32", size), config=Config(msix=msix))
    assert [bar.serve for bar in planned_bars(one, {})] == [serve]


@pytest.mark.parametrize("shape", ALL.values(), ids=ALL)
def test_what_is_planned_is_what_is_served_where_vfio_maps_all_that_it_may(shape):
    """One device, read as a fact of the host and as the model that the guest gets: pieces of BARs are the same."""
    facts = decode_config(lambda offset, size: shape.config[offset : offset + size])
    bars = tuple(Bar(one.index, one.kind, one.prefetchable, 0x1000, one.size) for one in shape.bars)
    spans, found = PassedFunction(shape).msix_spans() or (), function(*bars, config=facts)
    for bar, place, planned in zip(bars, shape.bars, planned_bars(found, {}), strict=True):
        mappable = [Span(0, align_up(bar.size, PAGE))]
        assert bar_pieces(bar, found) == pieces_of_bar(bar.kind, bar.size, tables_in(bar.index, spans), mappable)
        assert planned.serve == place.serve


def test_a_bar_whose_configuration_was_not_read_is_mapped_if_it_can_be():
    assert [one.serve for one in planned_bars(function(bar("mem32", 16 * KIB)), {})] == ["mmap"]


def test_bars_of_less_than_a_page_get_a_page_of_their_own():
    places = place_bars([function(bar("mem32", 256, 0), bar("mem32", 16, 1))], [], [], None)
    assert sorted(places.values()) == [BARS_32.start, BARS_32.start + PAGE]


def test_a_bar_without_a_place_is_always_told():
    facts = host("gpu07")
    pci = tuple(
        replace(one, bars=tuple(bar("mem32", 256 * MIB, index) for index in range(6)))
        if one.address == DISK.address
        else one
        for one in facts.pci
    )
    made = plan(
        "boot: {kernel: ./bzImage}\ncpus: 1\nmemory: 1GiB\ndevices: {disk: 0000:02:00.0}\n", replace(facts, pci=pci)
    )
    lost = [one for one in made.devices[0].bars if one.guest is None]
    assert len(lost) == codes(made).count("E312") == 3
