"""An address space in; guest RAM and BARs mapped into it for the DMA of the functions there, and counted, out."""

from __future__ import annotations

from contextlib import suppress

from launcher.kernel.api import AddressSpace, BarMapping, HostMemory
from launcher.plan.outcome import ContainerReport
from launcher.plan.steps import RamRange
from launcher.values import Span


class DmaMaps:
    """What the functions of `groups` reach by DMA: RAM, mapped and so locked once, and the BARs of other devices."""

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        self.groups: list[int] = []
        self._ram_maps = self._ram_bytes = self._peer_maps = 0

    def map_ram(self, one: RamRange, bank: HostMemory) -> None:
        self.space.map_dma(one.guest, bank, one.offset, one.size)
        self._ram_maps += 1
        self._ram_bytes += one.size

    def map_peer(self, guest: int, mapping: BarMapping) -> bool:
        """False: other devices do not reach it. Not every IOMMU translates to where BARs are."""
        with suppress(OSError):
            self.space.map_bar(guest, mapping)
            self._peer_maps += 1
            return True
        return False

    def unmap(self, span: Span) -> None:
        self.space.unmap_dma(span.start, span.size)

    def report(self) -> ContainerReport:
        return ContainerReport(tuple(self.groups), self._ram_maps, self._ram_bytes, self._peer_maps)
