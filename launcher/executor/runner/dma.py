"""A container and the groups that share it in; guest RAM and BARs mapped for their DMA, and counted, out."""

from __future__ import annotations

from contextlib import suppress

from launcher.kernel.api import BarMapping, Container, HostMemory
from launcher.plan.outcome import ContainerReport
from launcher.plan.steps import RamRange
from launcher.values import Span


class DmaSpace:
    """RAM is mapped, and so locked, once. BARs are there for devices that talk to each other."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.groups: list[int] = []
        self._ram_maps = self._ram_bytes = self._peer_maps = 0

    def map_ram(self, one: RamRange, bank: HostMemory) -> None:
        self.container.map_dma(one.guest, bank, one.offset, one.size)
        self._ram_maps += 1
        self._ram_bytes += one.size

    def map_peer(self, guest: int, mapping: BarMapping) -> bool:
        """False: other devices do not reach it. Not every IOMMU translates to where BARs are."""
        with suppress(OSError):
            self.container.map_dma(guest, mapping, 0, mapping.size)
            self._peer_maps += 1
            return True
        return False

    def unmap(self, span: Span) -> None:
        self.container.unmap_dma(span.start, span.size)

    def report(self) -> ContainerReport:
        return ContainerReport(tuple(self.groups), self._ram_maps, self._ram_bytes, self._peer_maps)
