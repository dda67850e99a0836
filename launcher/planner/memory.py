"""(banks, reserved spans, Layout) -> where each byte of RAM is in the guest. Pure."""

from __future__ import annotations

from launcher.plan.steps import RamRange
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, KIB, MIB, Span, align_down, align_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.machine.board import Layout
    from launcher.spec.parts import Bank

# A range starts on a multiple of this in the guest and in its bank, or the host's pages could not back the guest's.
GRANULES = {"4KiB": 4 * KIB, "thp": 2 * MIB, "2MiB": 2 * MIB, "1GiB": GIB}
PAGE_SIZES = {"4KiB": 4 * KIB, "thp": 0, "2MiB": 2 * MIB, "1GiB": GIB}

# More than any guest address KVM can have; whether the host's width is enough is a question of its own.
_EVERYTHING = Span(0, 1 << 60)


def place_memory(banks: tuple[Bank, ...], reserved: Iterable[Span], layout: Layout) -> tuple[RamRange, ...]:
    """Banks with `at` stand there in one piece; the others follow each other from 0 and flow round what is taken."""
    fixed = [_fixed(number, bank, bank.at) for number, bank in enumerate(banks) if bank.at is not None]
    taken = [layout.hole, *reserved, *(span_of(one) for one in fixed)]
    flowing: list[RamRange] = []
    for number, bank in enumerate(banks):
        if bank.at is None:
            start = flowing[-1].guest + flowing[-1].size if flowing else 0
            flowing.extend(_flow(number, bank, start, taken))
    return tuple(sorted([*fixed, *flowing], key=lambda one: one.guest))


def _fixed(number: int, bank: Bank, at: int) -> RamRange:
    return RamRange(at, bank.size, number, 0)


def _flow(number: int, bank: Bank, start: int, taken: list[Span]) -> Iterator[RamRange]:
    granule, offset = GRANULES[bank.pages], 0
    for free in Span(start, _EVERYTHING.size).minus(taken):
        guest, end = align_up(free.start, granule), align_down(free.end, granule)
        if guest >= end:
            continue
        size = min(bank.size - offset, end - guest)
        yield RamRange(guest, size, number, offset)
        offset += size
        if offset == bank.size:
            return


def span_of(one: RamRange) -> Span:
    return Span(one.guest, one.size)


def free_place(size: int, granule: int, taken: Iterable[Span]) -> int | None:
    """The lowest address at which a piece of this size collides with nothing."""
    starts = ((align_up(one.start, granule), one.end) for one in _EVERYTHING.minus(taken))
    return next((start for start, end in starts if start + size <= end), None)
