"""VFIO devices (Documentation/driver-api/vfio.rst), by whatever way they are opened. One method per ioctl."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence

from launcher.kernel.api import FewVectors, IrqInfo, RegionInfo
from launcher.kernel.call import check, ioctl
from launcher.kernel.descriptor import Descriptor
from launcher.kernel.vfio_info import ask, capabilities
from launcher.kernel.whole import write_whole
from launcher.native import ffi, lib
from launcher.typed import Any
from launcher.values import GIB, KIB, MIB, HostDevice, PciAddress, Span

IRQS = {
    "intx": lib.VFIO_PCI_INTX_IRQ_INDEX,
    "msi": lib.VFIO_PCI_MSI_IRQ_INDEX,
    "msix": lib.VFIO_PCI_MSIX_IRQ_INDEX,
    "error": lib.VFIO_PCI_ERR_IRQ_INDEX,
    "request": lib.VFIO_PCI_REQ_IRQ_INDEX,
}
NO_EVENT = -1


class Device(Descriptor):
    """One PCI function, or a mediated device that is one to a guest.

    Regions are indexed as VFIO does it: 0 to 5 the BARs, 6 the ROM, 7 configuration space.
    """

    def __init__(self, fd: int, address: HostDevice) -> None:
        super().__init__(fd)
        self.address = address
        self._config = self.region(lib.VFIO_PCI_CONFIG_REGION_INDEX)

    def resets_itself(self) -> bool:
        """VFIO could reset it when it was opened, and will try again when it is closed."""
        info = ffi.new("struct vfio_device_info *")
        info.argsz = ffi.sizeof(info[0])
        ioctl(self.fd, "VFIO_DEVICE_GET_INFO", info)
        return bool(info.flags & lib.VFIO_DEVICE_FLAGS_RESET)

    def reset(self) -> None:
        """VFIO_DEVICE_RESET, by itself and in D0. EINVAL: it cannot."""
        ioctl(self.fd, "VFIO_DEVICE_RESET")

    def region(self, index: int) -> RegionInfo:
        """A region that is not there, or cannot be asked about, has size 0."""
        try:
            info, buffer = ask("struct vfio_region_info", self.fd, "VFIO_DEVICE_GET_REGION_INFO", index)
        except OSError:
            return RegionInfo(0, 0, mappable=False, sparse=None)
        mappable = bool(info.flags & lib.VFIO_REGION_INFO_FLAG_MMAP)
        has_caps = info.flags & lib.VFIO_REGION_INFO_FLAG_CAPS
        sparse: tuple[Span, ...] | None = None
        for kind, place in capabilities(buffer, info.cap_offset if has_caps else 0):
            if kind == lib.VFIO_REGION_INFO_CAP_SPARSE_MMAP:
                found = ffi.cast("struct vfio_region_info_cap_sparse_mmap *", place)
                areas = found.areas[0 : found.nr_areas]
                sparse = tuple(Span(one.offset, one.size) for one in areas if one.size)
        return RegionInfo(info.size, info.offset, mappable=mappable, sparse=sparse)

    def irq(self, name: str) -> IrqInfo:
        """intx, msi, msix, error or request. One that is not there has none."""
        info = ffi.new("struct vfio_irq_info *")
        info.argsz, info.index = ffi.sizeof(info[0]), IRQS[name]
        try:
            ioctl(self.fd, "VFIO_DEVICE_GET_IRQ_INFO", info)
        except OSError:
            return IrqInfo(0, resizable=False)
        return IrqInfo(info.count, resizable=not info.flags & lib.VFIO_IRQ_INFO_NORESIZE)

    def set_irq_events(self, name: str, start: int, events: Sequence[int]) -> None:
        """VFIO fires these eventfds (-1: none) from vector `start` on. ENOSPC: the host has no vectors left."""
        action = lib.VFIO_IRQ_SET_DATA_EVENTFD | lib.VFIO_IRQ_SET_ACTION_TRIGGER
        self._set_irqs(name, action, start, len(events), events)

    def switch_off_irqs(self, name: str) -> None:
        """The host gives back all vectors of this kind; whoever waits for one is woken no more."""
        self._set_irqs(name, lib.VFIO_IRQ_SET_DATA_NONE | lib.VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0)

    def mask_intx(self) -> None:
        """The line fires no more, until it is unmasked."""
        self._set_irqs("intx", lib.VFIO_IRQ_SET_DATA_NONE | lib.VFIO_IRQ_SET_ACTION_MASK, 0, 1)

    def unmask_intx(self) -> None:
        self._set_irqs("intx", lib.VFIO_IRQ_SET_DATA_NONE | lib.VFIO_IRQ_SET_ACTION_UNMASK, 0, 1)

    def unmask_intx_on(self, event: int) -> None:
        """VFIO unmasks the line each time this eventfd fires: the guest has ended the interrupt."""
        self._set_irqs("intx", lib.VFIO_IRQ_SET_DATA_EVENTFD | lib.VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, (event,))

    def _set_irqs(self, name: str, action: int, start: int, count: int, events: Sequence[int] = ()) -> None:
        data = b"".join(event.to_bytes(4, "little", signed=True) for event in events)
        request = ffi.new("struct vfio_irq_set *", {"data": len(data)})
        request.argsz = ffi.sizeof("struct vfio_irq_set") + len(data)
        request.flags, request.index, request.start, request.count = action, IRQS[name], start, count
        ffi.memmove(request.data, data, len(data))
        left = ioctl(self.fd, "VFIO_DEVICE_SET_IRQS", request)
        if left:  # nothing was done: as many vectors as this could be had
            raise FewVectors(left, start + count)

    def hot_reset_set(self) -> tuple[tuple[int, PciAddress], ...]:
        """(group, address) of all that a reset of the bus would reset. OSError ENODEV: there is no such reset."""
        return tuple(self._dependent(self._hot_reset_info()))

    def _dependent(self, info: Any) -> Iterator[tuple[int, PciAddress]]:
        for one in info.devices[0 : info.count]:
            yield one.group_id, PciAddress(one.segment, one.bus, one.devfn >> 3, one.devfn & 7)

    def _hot_reset_info(self) -> Any:
        count = 0
        while True:
            info = ffi.new("struct vfio_pci_hot_reset_info *", {"devices": count})
            info.argsz = ffi.sizeof("struct vfio_pci_hot_reset_info") + count * ffi.sizeof(
                "struct vfio_pci_dependent_device"
            )
            try:
                ioctl(self.fd, "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", info)
            except OSError as error:
                if error.errno != errno.ENOSPC or info.count <= count:
                    raise
                count = info.count
                continue
            return info

    def hot_reset(self, groups: Sequence[Descriptor]) -> None:
        """`groups` own all that it resets, or, with none, the iommufd that it is bound to. EINVAL: they do not."""
        request = ffi.new("struct vfio_pci_hot_reset *", {"group_fds": len(groups)})
        request.argsz = ffi.sizeof("struct vfio_pci_hot_reset") + 4 * len(groups)
        request.count = len(groups)
        for n, group in enumerate(groups):
            request.group_fds[n] = group.fd
        ioctl(self.fd, "VFIO_DEVICE_PCI_HOT_RESET", request)

    def read_config(self, offset: int, size: int) -> bytes:
        """Up to 4096 bytes; OSError, or fewer bytes, where the device does not answer."""
        size = min(size, self._config.size - offset)  # the kernel reads nothing if not all is there
        return os.pread(self.fd, size, self._config.offset + offset) if size > 0 else b""

    def write_config(self, offset: int, data: bytes) -> None:
        """OSError EIO: the device took a part of it, which is no configuration that anybody asked for."""
        write_whole(self.fd, data, self._config.offset + offset, "pwrite of configuration space")

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes at `at`, which is a region's offset and the place in it. OSError: it does not answer."""
        found = os.pread(self.fd, size, at)
        if len(found) != size:
            raise OSError(errno.EIO, f"the device gave {len(found)} of {size} bytes", "pread")
        return found

    def write(self, at: int, data: bytes) -> None:
        write_whole(self.fd, data, at, "pwrite")

    def map(self, at: int, size: int) -> BarMapping:
        return BarMapping(self.fd, at, size)

    def share(self, mapping: BarMapping, index: int, offset: int) -> None:
        """Other devices are to reach what is mapped of that region. By type1 they are given the mapping itself."""


class BarMapping:
    """A part of a region in this process, for KVM's memslots and peers' DMA. We never touch it: it may fault.

    `dma_buf`: a descriptor of the same part, which iommufd takes in place of it; the device closes that.
    """

    dma_buf: int | None = None

    def __init__(self, fd: int, at: int, size: int) -> None:
        made = ffi.new("void **")
        alignment = next((page for page in (GIB, 2 * MIB) if size >= page), 4 * KIB)
        check(lib.memory_map_file(fd, at, size, alignment, made), "mmap")
        self.pointer: Any = made[0]
        self.size = size

    def close(self) -> None:
        if self.pointer != ffi.NULL:
            lib.memory_release(self.pointer, self.size)
            self.pointer = ffi.NULL
