"""What the IOMMU reserves, and the guest's memory map with all that is in it. Pure."""

from __future__ import annotations

from collections import defaultdict

from launcher.plan.plan import MemoryLine
from launcher.planner.decided import Reserved
from launcher.planner.memory import span_of
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing, Span, show_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.host.facts import IommuGroup
    from launcher.machine.board import Layout
    from launcher.plan.plan import PlannedDevice
    from launcher.plan.steps import RamRange
    from launcher.spec.parts import Bank


def reserved_by(groups: Iterable[IommuGroup]) -> tuple[Reserved, ...]:
    """The union over the groups, by address. Only `direct-relaxable` may be used as if it were not there."""
    found: dict[tuple[Span, str], list[int]] = defaultdict(list)
    for group in groups:
        for region in () if isinstance(group.reserved, Missing) else group.reserved:
            if region.kind != "direct-relaxable" and region.last >= region.start:
                found[Span.between(region.start, region.last), region.kind].append(group.number)
    return tuple(Reserved(span, kind, tuple(numbers)) for (span, kind), numbers in sorted(found.items()))


def memory_map(
    banks: tuple[Bank, ...],
    ranges: tuple[RamRange, ...],
    reserved: tuple[Reserved, ...],
    devices: tuple[PlannedDevice, ...],
    layout: Layout,
) -> tuple[MemoryLine, ...]:
    """Every line of the guest's address space that is something, in order of address."""
    outside = [one for one in reserved if not _inside_the_machine(one, layout)]
    taken = [one.span for one in outside] + [span_of(one) for one in ranges]
    lines = (
        *(_ram(one, banks[one.bank], bool(devices)) for one in ranges),
        *_hole(reserved, taken, layout),
        *_high_window(devices, taken, layout),
        *(MemoryLine("reserved", one.span.start, one.span.size, why=one.kind, groups=one.groups) for one in outside),
    )
    return tuple(sorted(lines, key=lambda one: one.start))


def left_empty(reserved: tuple[Reserved, ...], layout: Layout) -> tuple[Span, ...]:
    """What the guest is told not to use, once each and without overlaps, as groups may reserve the same."""
    spans: list[Span] = []
    for one in reserved:
        if not _inside_the_machine(one, layout):
            spans += one.span.minus(spans)
    return tuple(sorted(spans))


def _inside_the_machine(one: Reserved, layout: Layout) -> bool:
    """The MSI window is where every x86 machine has it: no line of its own."""
    return any(part.span.covers(one.span) for part in layout.hole_parts if part.span != layout.bars_32)


def _ram(one: RamRange, bank: Bank, dma: bool) -> MemoryLine:
    return MemoryLine("ram", one.guest, one.size, one.bank, bank.pages, bank.node, dma)


def _hole(reserved: tuple[Reserved, ...], taken: list[Span], layout: Layout) -> Iterator[MemoryLine]:
    for part in layout.hole_parts:
        groups = {number for one in reserved if part.span.covers(one.span) for number in one.groups}
        for span in part.span.minus(taken):
            yield MemoryLine("mmio", span.start, span.size, why=part.why, groups=tuple(sorted(groups)))


def _high_window(devices: Iterable[PlannedDevice], taken: list[Span], layout: Layout) -> Iterator[MemoryLine]:
    """From the first BAR above the hole to the last one, without what lies between and is not theirs."""
    bars = ((one.alias, bar) for one in devices for bar in one.bars if bar.guest and bar.kind != "io")
    placed = [(Span(bar.guest, bar.size), alias) for alias, bar in bars if bar.guest]
    high = sorted((span, alias) for span, alias in placed if not layout.bars_32.covers(span))
    if not high:
        return
    for piece in Span.between(high[0][0].start, high[-1][0].last).minus(taken):
        contents = ", ".join(f"{alias} {show_size(span.size)}" for span, alias in high if piece.covers(span))
        yield MemoryLine("mmio", piece.start, piece.size, why=f"64-bit BARs: {contents}")
