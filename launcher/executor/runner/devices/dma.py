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
        self._ram: list[Span] = []
        self._peer_maps = 0
        self._unmapped: dict[Span, OSError | None] = {}  # out of turn, and what came of it

    def map_ram(self, one: RamRange, bank: HostMemory) -> None:
        self.space.map_dma(one.guest, bank, one.offset, one.size)
        self._ram.append(Span(one.guest, one.size))

    def map_peer(self, guest: int, mapping: BarMapping) -> bool:
        """False: other devices do not reach it. Not every IOMMU translates to where BARs are."""
        with suppress(OSError):
            self.space.map_bar(guest, mapping)
            self._peer_maps += 1
            return True
        return False

    def unmap(self, span: Span) -> None:
        """What was unmapped out of turn is not unmapped again; what was refused then is raised now."""
        if span not in self._unmapped:
            self.space.unmap_dma(span.start, span.size)
        elif refused := self._unmapped.pop(span):
            raise refused

    def unmap_ram(self) -> None:
        """Before it is its turn."""
        for span in reversed(self._ram):
            try:
                self.space.unmap_dma(span.start, span.size)
                self._unmapped[span] = None
            except OSError as refused:
                self._unmapped[span] = refused

    def report(self) -> ContainerReport:
        ram = sum(one.size for one in self._ram)
        return ContainerReport(tuple(self.groups), len(self._ram), ram, self._peer_maps)
