"""Rules about where RAM is in the guest: nothing else is there, the guest starts in it, addresses reach it. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.memory import GRANULES, free_place, span_of
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.widths import address_bits
from launcher.typed import TYPE_CHECKING
from launcher.values import Span, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.machine.board import Layout
    from launcher.plan.steps import RamRange
    from launcher.planner.decided import Reserved, Situation, Width
    from launcher.spec.parts import Bank


def check_ram(
    banks: tuple[Bank, ...],
    ranges: tuple[RamRange, ...],
    reserved: tuple[Reserved, ...],
    limits: tuple[Width, ...],
    layout: Layout,
) -> Iterator[Diagnostic]:
    kept = [(layout.hole, "the machine's own addresses (32-bit BARs, APICs, MSI)")]
    kept += [(one.span, f"what the IOMMU reserves for {_whose(one)}{_kind(one)}") for one in reserved]
    for number, bank in enumerate(banks):
        if bank.at is not None:
            yield from _check_fixed(number, bank, bank.at, ranges, kept, layout)
        elif sum(one.size for one in ranges if one.bank == number) < bank.size:
            groups = tuple(f"{one.span} reserved by the IOMMU for {_whose(one)}{_kind(one)}" for one in reserved)
            help_ = ("leave out the device whose IOMMU group reserves so much",)
            yield Diagnostic(
                "E308", f"bank {number} has no place in the guest", in_spec(f"memory.{number}"), groups, help_
            )
    yield from _check_low(banks, ranges, reserved, layout)
    yield from _check_width(ranges, limits)


def _check_fixed(
    number: int, bank: Bank, at: int, ranges: tuple[RamRange, ...], kept: list[tuple[Span, str]], layout: Layout
) -> Iterator[Diagnostic]:
    """Bank against bank is the spec's own matter: E110. The bank at 0 stays there if no other is."""
    span = Span(at, bank.size)
    hit = next(((taken, why) for taken, why in kept if taken.overlaps(span)), None)
    if hit is None:
        return
    others = [span_of(one) for one in ranges if one.bank != number]
    place = free_place(bank.size, GRANULES[bank.pages], [taken for taken, _ in kept] + others)
    fact = f"bank {number} at {span} overlaps {hit[1]}, {hit[0]}"
    ways = ["leave out `at`, and the planner finds a place"]
    if place is not None and any(one.covers(_start(layout)) for one in (*others, Span(place, bank.size))):
        ways.append(f"or write `at: {place:#x}`")
    yield Diagnostic("E306", fact, in_spec(f"memory.{number}.at"), help=tuple(ways))


def _check_low(
    banks: tuple[Bank, ...], ranges: tuple[RamRange, ...], reserved: tuple[Reserved, ...], layout: Layout
) -> Iterator[Diagnostic]:
    start = _start(layout)
    if any(span_of(one).covers(start) for one in ranges):
        return
    taken = next((one for one in reserved if one.span.overlaps(start)), None)
    if taken is not None:
        fact = f"the IOMMU reserves {taken.span}{_kind(taken)}, where the guest must have RAM to start"
        yield Diagnostic("E310", fact, in_spec("devices"), help=(f"leave out what is in {_whose(taken)}",))
    elif all(bank.at is not None for bank in banks):
        help_ = ("leave out `at` of the first bank",)
        yield Diagnostic("E307", "no bank is at address 0, where the guest starts", in_spec("memory.0.at"), help=help_)
    else:
        fact = f"the guest has less than {show_size(start.size)} of memory at address 0, where it starts"
        yield Diagnostic("E307", fact, in_spec("memory.0.size"), help=("make the first bank larger",))


def _start(layout: Layout) -> Span:
    """The guest starts from tables in the first MiB."""
    return Span(0, max(layout.kernel_start, layout.tables.end))


def _whose(one: Reserved) -> str:
    return f"group{'s' if len(one.groups) > 1 else ''} {' '.join(map(str, one.groups))}"


def _kind(one: Reserved) -> str:
    return "" if one.kind == "reserved" else f" ({one.kind})"


def _check_width(ranges: tuple[RamRange, ...], limits: tuple[Width, ...]) -> Iterator[Diagnostic]:
    bits = address_bits(limits)
    beyond = [one for one in ranges if bits is not None and span_of(one).end > 1 << bits]
    if beyond:
        one = beyond[0]
        fact = f"bank {one.bank} reaches {span_of(one).last:#x}, and guest addresses have {bits} bits on this host"
        help_ = ("ask for less memory, or for lower addresses",)
        evidence = tuple(limit.what for limit in limits)
        yield Diagnostic("E311", fact, in_spec(f"memory.{one.bank}"), evidence, help_)


def _ram(it: Situation) -> Iterator[Diagnostic]:
    return check_ram(it.spec.memory, it.ranges, it.reserved, it.widths, it.board.layout)


RULES: tuple[Rule, ...] = (Rule("kernel", _ram),)
