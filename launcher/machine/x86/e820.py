"""What every guest is told of its memory, whatever protocol starts it: the map in the manner of e820. Pure."""

from __future__ import annotations

from launcher.machine.start import MapEntry
from launcher.machine.x86 import layout
from launcher.plan.steps import RamRange
from launcher.values import Span

RAM, RESERVED = 1, 2


def memory_map(ram: tuple[RamRange, ...], holes: tuple[Span, ...] = ()) -> tuple[MapEntry, ...]:
    """What the guest is told: RAM without the PC's legacy area, and what it must not use.

    `holes` are what the IOMMU reserves: a guest that is not told might move a BAR there.
    """
    reserved = [layout.LEGACY, layout.ECAM, layout.KVM_PAGES, layout.RESET_STUB, *holes]
    usable = [part for one in ram for part in Span(one.guest, one.size).minus(reserved)]
    entries = [MapEntry(span, RAM) for span in usable] + [MapEntry(span, RESERVED) for span in reserved]
    return tuple(sorted(entries))
