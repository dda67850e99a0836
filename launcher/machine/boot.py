"""What every guest is told of its memory, whatever protocol starts it: the map in the manner of e820. Pure."""

from __future__ import annotations

from typing import NamedTuple

from launcher.machine import layout
from launcher.plan.steps import RamRange
from launcher.values import Span

E820_RAM, E820_RESERVED = 1, 2


class Patch(NamedTuple):
    """Bytes for guest memory."""

    guest: int
    data: bytes


class MapEntry(NamedTuple):
    span: Span
    kind: int


def memory_map(ram: tuple[RamRange, ...], holes: tuple[Span, ...] = ()) -> tuple[MapEntry, ...]:
    """What the guest is told: RAM without the PC's legacy area, and what it must not use.

    `holes` are what the IOMMU reserves: a guest that is not told might move a BAR there.
    """
    reserved = [layout.LEGACY, layout.ECAM, layout.KVM_PAGES, layout.RESET_STUB, *holes]
    usable = [part for one in ram for part in Span(one.guest, one.size).minus(reserved)]
    entries = [MapEntry(span, E820_RAM) for span in usable] + [MapEntry(span, E820_RESERVED) for span in reserved]
    return tuple(sorted(entries))
