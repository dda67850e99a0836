"""A VFIO device of the fake kernel: regions as bytes, one way to interrupt at a time, resets that want all owners."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from launcher.kernel.api import FewVectors, IrqInfo, RegionInfo
from launcher.values import KIB, PciAddress, Span
from tests.fakes.handle import Handle, Mappable, refuse
from tests.fakes.host import CONFIG_REGION, SHIFT, VFIO, FakeFunction

if TYPE_CHECKING:
    from tests.fakes.kernel import FakeKernel
    from tests.fakes.vfio import FakeGroup

_descriptors = itertools.count(1 << 20)  # numbers that no real one has
EXCLUSIVE = ("intx", "msi", "msix")
SET_IRQS = "VFIO_DEVICE_SET_IRQS"


class FakeDevice(Handle):
    """Open until it is closed, and until none of it is mapped."""

    def __init__(self, kernel: FakeKernel, group: FakeGroup | None, function: FakeFunction) -> None:
        """Without a group it is not enabled yet (fakes/iommufd.py)."""
        super().__init__(kernel)
        kernel.devices.append(self)
        self.fd = next(_descriptors)
        self.group, self.function, self.address = group, function, function.address
        self.irqs: dict[str, list[int]] = {}  # what is on -> eventfds
        self.masked, self.unmasks = False, -1  # INTx, and the eventfd that unmasks it
        self.mappings = 0
        function.reset_count += function.resets_when_opened and group is not None

    # -- resets --------------------------------------------------------------------------------------------------------

    def resets_itself(self) -> bool:
        self.kernel.call("VFIO_DEVICE_GET_INFO")
        return self.function.resets

    def reset(self) -> None:
        self.kernel.call("VFIO_DEVICE_RESET")
        if not self.function.resets:
            refuse(errno.EINVAL, "VFIO_DEVICE_RESET")
        self.function.reset_count += 1

    def hot_reset_set(self) -> tuple[tuple[int, PciAddress], ...]:
        call = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO"
        self.kernel.call(call)
        if not self.function.together:
            refuse(errno.ENODEV, call)
        return tuple((one.group, one.address) for one in self._together())

    def hot_reset(self, groups: Sequence[FakeGroup]) -> None:
        """Not more groups than functions, each of which a VFIO driver has."""
        call, found = "VFIO_DEVICE_PCI_HOT_RESET", self._together()
        self.kernel.call(call)
        if not found:
            refuse(errno.ENODEV, call)
        owned = {group.number for group in groups}
        if not 0 < len(groups) <= len(found) or not all(one.group in owned and one.driver == VFIO for one in found):
            refuse(errno.EINVAL, call)
        for one in found:
            one.reset_count += 1

    def _together(self) -> list[FakeFunction]:
        return [one for one in self.kernel.host.functions if one.address in self.function.together]

    # -- regions -------------------------------------------------------------------------------------------------------

    def region(self, index: int) -> RegionInfo:
        return self.function.regions.get(index, RegionInfo(0, index << SHIFT, mappable=False, sparse=None))

    def read_config(self, offset: int, size: int) -> bytes:
        self.kernel.call("pread")
        config = self.function.config
        if offset >= len(config):
            refuse(errno.EINVAL, "pread")
        return b"\xff" * size if self.function.lost else bytes(config[offset : offset + size])

    def write_config(self, offset: int, data: bytes) -> None:
        self.kernel.call("pwrite")
        self.function.config[offset : offset + len(data)] = data

    def read(self, at: int, size: int) -> bytes:
        self._reach(at, size, "pread")
        return bytes(size)

    def write(self, at: int, data: bytes) -> None:
        self._reach(at, len(data), "pwrite")

    def _reach(self, at: int, size: int, call: str) -> None:
        self.kernel.call(call)
        index, offset = at >> SHIFT, at & (1 << SHIFT) - 1
        if index == CONFIG_REGION or offset + size > self.region(index).size:
            refuse(errno.EINVAL, call)
        if index not in self.function.ports and not self.function.decodes:
            refuse(errno.EIO, call)

    def share(self, mapping: FakeBarMapping, index: int, offset: int) -> None:
        """By type1 the mapping itself is."""

    def map(self, at: int, size: int) -> FakeBarMapping:
        self.kernel.call("mmap of a BAR")
        found, offset = self.region(at >> SHIFT), at & (1 << SHIFT) - 1
        allowed = (Span(0, found.size),) if found.sparse is None and found.size else found.sparse or ()
        if not found.mappable or not any(one.covers(Span(offset, size)) for one in allowed) or offset % (4 * KIB):
            refuse(errno.EINVAL, "mmap of a BAR")
        return FakeBarMapping(self, size)

    # -- interrupts ----------------------------------------------------------------------------------------------------

    def irq(self, name: str) -> IrqInfo:
        return self.function.irqs.get(name, IrqInfo(0, resizable=False))

    def set_irq_events(self, name: str, start: int, events: Sequence[int]) -> None:
        self._set_irqs(name, start, len(events))
        if name in EXCLUSIVE and any(other in self.irqs for other in EXCLUSIVE if other != name):
            refuse(errno.EINVAL, SET_IRQS)
        known = {one.fd for one in self.kernel.eventfds}
        if not all(event == -1 or event in known for event in events):
            refuse(errno.EBADF, SET_IRQS)
        have, want = len(self.irqs.get(name, ())), start + len(events)
        if name in self.irqs and want > have and not self.irq(name).resizable:
            refuse(errno.EINVAL, SET_IRQS)
        if name in ("msi", "msix") and want > max(have, self.kernel.host.vectors):
            if self.kernel.host.vectors == 0:
                refuse(errno.ENOSPC, SET_IRQS)
            raise FewVectors(self.kernel.host.vectors, want)
        now = [*self.irqs.get(name, ()), *[-1] * want][: max(have, want)]
        now[start:want] = events
        self.irqs[name] = now

    def switch_off_irqs(self, name: str) -> None:
        self._set_irqs(name, 0, 0)
        self._on(name)
        del self.irqs[name]
        if name == "intx":
            self.masked, self.unmasks = False, -1

    def mask_intx(self) -> None:
        self._set_irqs("intx", 0, 1)
        self._on("intx")
        self.masked = True

    def unmask_intx(self) -> None:
        self._set_irqs("intx", 0, 1)
        self._on("intx")
        self.masked = False

    def unmask_intx_on(self, event: int) -> None:
        self._set_irqs("intx", 0, 1)
        self._on("intx")
        if event not in {one.fd for one in self.kernel.eventfds}:
            refuse(errno.EBADF, SET_IRQS)
        if self.function.by_hand:
            refuse(errno.ENOTTY, SET_IRQS)
        self.unmasks = event

    def _set_irqs(self, name: str, start: int, count: int) -> None:
        self.kernel.call(SET_IRQS)
        there = self.irq(name).vectors
        if start >= there or start + count > there:
            refuse(errno.EINVAL, SET_IRQS)

    def _on(self, name: str) -> None:
        if name not in self.irqs:
            refuse(errno.EINVAL, SET_IRQS)

    def events(self) -> set[int]:
        return {event for events in self.irqs.values() for event in events} | {self.unmasks}

    def fire(self, name: str, vector: int = 0) -> None:
        """What the hardware does."""
        self.kernel.fire(self.irqs[name][vector])

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        if not self.closed:
            self.kernel.untidy += [f"{self.address} closed with {name} on" for name in self.irqs]
        super().close()
        self.let_go()
        if self.function.close_error:
            refuse(self.function.close_error, "close")

    def let_go(self) -> None:
        if self.closed and not self.mappings and self in self.kernel.devices:
            self.kernel.devices.remove(self)
            self.function.reset_count += self.function.resets_when_opened
            if self.function.wanted:
                self.kernel.drivers.let_go(self.function)


class FakeBarMapping(Mappable):
    """It keeps its device open."""

    of_bar = True

    def __init__(self, device: FakeDevice, size: int) -> None:
        super().__init__(device.kernel, size)
        self.device = device
        self.dma_buf: int | None = None
        device.mappings += 1

    def close(self) -> None:
        if not self.closed:
            self.device.mappings -= 1
        super().close()
        self.device.let_go()
