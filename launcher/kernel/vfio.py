"""VFIO: container, group, device (Documentation/driver-api/vfio.rst). A class per descriptor, a method per ioctl."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from typing import Any

from launcher.kernel.api import DmaLimits, FewVectors, IrqInfo, RegionInfo
from launcher.kernel.call import check, ioctl
from launcher.kernel.descriptor import Descriptor
from launcher.kernel.memory import HostMemory
from launcher.kernel.whole import write_whole
from launcher.native import ffi, lib
from launcher.values import GIB, KIB, MIB, PciAddress, Span

API_VERSION = 0
IRQS = {
    "intx": lib.VFIO_PCI_INTX_IRQ_INDEX,
    "msi": lib.VFIO_PCI_MSI_IRQ_INDEX,
    "msix": lib.VFIO_PCI_MSIX_IRQ_INDEX,
    "error": lib.VFIO_PCI_ERR_IRQ_INDEX,
    "request": lib.VFIO_PCI_REQ_IRQ_INDEX,
}
NO_EVENT = -1
_CAPS = 32  # of a chain; the kernel knows a handful


class Container(Descriptor):
    """/dev/vfio/vfio: an IOMMU address space that groups share."""

    def api_version(self) -> int:
        return ioctl(self.fd, "VFIO_GET_API_VERSION")

    def set_iommu(self) -> None:
        """Type 1 version 2, or 1 where there is no other. EPERM: no interrupt remapping."""
        new = ioctl(self.fd, "VFIO_CHECK_EXTENSION", lib.VFIO_TYPE1v2_IOMMU)
        ioctl(self.fd, "VFIO_SET_IOMMU", lib.VFIO_TYPE1v2_IOMMU if new else lib.VFIO_TYPE1_IOMMU)

    def limits(self) -> DmaLimits:
        """VFIO_IOMMU_GET_INFO: what can be mapped. No ranges from a kernel before 5.4: not known."""
        info, buffer = _with_room("struct vfio_iommu_type1_info", self.fd, "VFIO_IOMMU_GET_INFO")
        ranges: tuple[Span, ...] = ()
        available = None
        has_caps = info.flags & lib.VFIO_IOMMU_INFO_CAPS
        for kind, place in _capabilities(buffer, info.cap_offset if has_caps else 0):
            if kind == lib.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE:
                found = ffi.cast("struct vfio_iommu_type1_info_cap_iova_range *", place)
                pairs = ((one.start, one.end) for one in found.iova_ranges[0 : found.nr_iovas])
                ranges = tuple(Span.between(start, last) for start, last in pairs)
            elif kind == lib.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL:
                available = int(ffi.cast("struct vfio_iommu_type1_info_dma_avail *", place).avail)
        return DmaLimits(ranges, info.iova_pgsizes, available)

    def map_dma(self, iova: int, memory: HostMemory | BarMapping, offset: int, size: int) -> None:
        """Pins the memory. ENOMEM: RLIMIT_MEMLOCK; EINVAL: reserved, too wide, unaligned; EEXIST: mapped already."""
        if not 0 < size <= memory.size - offset or offset < 0:
            raise ValueError(f"{size:#x} bytes at {offset:#x} are not inside {memory.size:#x}")
        request = ffi.new("struct vfio_iommu_type1_dma_map *")
        request.argsz = ffi.sizeof(request[0])
        request.flags = lib.VFIO_DMA_MAP_FLAG_READ | lib.VFIO_DMA_MAP_FLAG_WRITE
        request.vaddr = int(ffi.cast("uintptr_t", memory.pointer)) + offset
        request.iova, request.size = iova, size
        ioctl(self.fd, "VFIO_IOMMU_MAP_DMA", request)

    def unmap_dma(self, iova: int, size: int) -> None:
        """The whole of what was mapped there. The kernel says how much it unmapped."""
        request = ffi.new("struct vfio_iommu_type1_dma_unmap *")
        request.argsz = ffi.sizeof(request[0])
        request.iova, request.size = iova, size
        ioctl(self.fd, "VFIO_IOMMU_UNMAP_DMA", request)
        if request.size != size:
            raise OSError(errno.ENOENT, f"unmapped {request.size:#x} of {size:#x} bytes", "VFIO_IOMMU_UNMAP_DMA")


class Group(Descriptor):
    """/dev/vfio/N."""

    def __init__(self, fd: int, number: int) -> None:
        super().__init__(fd)
        self.number = number

    def viable(self) -> bool:
        status = ffi.new("struct vfio_group_status *")
        status.argsz = ffi.sizeof(status[0])
        ioctl(self.fd, "VFIO_GROUP_GET_STATUS", status)
        return bool(status.flags & lib.VFIO_GROUP_FLAGS_VIABLE)

    def set_container(self, container: Container) -> None:
        """EINVAL: it does not fit this container (or none, if it is the first); EPERM: not viable."""
        ioctl(self.fd, "VFIO_GROUP_SET_CONTAINER", ffi.new("int *", container.fd))

    def unset_container(self) -> None:
        """EBUSY while a device of it is open."""
        ioctl(self.fd, "VFIO_GROUP_UNSET_CONTAINER")

    def open_device(self, address: PciAddress) -> Device:
        """ENODEV: not in this group, or not bound to a VFIO driver; EACCES: a VF whose PF wants a token."""
        name = ffi.new("char[]", str(address).encode())
        return Device(ioctl(self.fd, "VFIO_GROUP_GET_DEVICE_FD", name), address)


class Device(Descriptor):
    """One PCI function. Regions are indexed as VFIO does it: 0 to 5 the BARs, 6 the ROM, 7 configuration space."""

    def __init__(self, fd: int, address: PciAddress) -> None:
        super().__init__(fd)
        self.address = address
        self._config = self.region(lib.VFIO_PCI_CONFIG_REGION_INDEX)

    def resets_itself(self) -> bool:
        """VFIO could reset it when it was opened, and will try again when it is closed."""
        info = ffi.new("struct vfio_device_info *")
        info.argsz = ffi.sizeof(info[0])
        ioctl(self.fd, "VFIO_DEVICE_GET_INFO", info)
        return bool(info.flags & lib.VFIO_DEVICE_FLAGS_RESET)

    def region(self, index: int) -> RegionInfo:
        """A region that is not there, or cannot be asked about, has size 0."""
        try:
            info, buffer = _with_room("struct vfio_region_info", self.fd, "VFIO_DEVICE_GET_REGION_INFO", index)
        except OSError:
            return RegionInfo(0, 0, mappable=False, sparse=None)
        mappable = bool(info.flags & lib.VFIO_REGION_INFO_FLAG_MMAP)
        has_caps = info.flags & lib.VFIO_REGION_INFO_FLAG_CAPS
        sparse: tuple[Span, ...] | None = None
        for kind, place in _capabilities(buffer, info.cap_offset if has_caps else 0):
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
        """Fire these eventfds (-1: none) from vector `start` on. ENOSPC: the host has no vectors left."""
        action = lib.VFIO_IRQ_SET_DATA_EVENTFD | lib.VFIO_IRQ_SET_ACTION_TRIGGER
        self._set_irqs(name, action, start, len(events), events)

    def switch_off_irqs(self, name: str) -> None:
        self._set_irqs(name, lib.VFIO_IRQ_SET_DATA_NONE | lib.VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0)

    def mask_intx(self) -> None:
        self._set_irqs("intx", lib.VFIO_IRQ_SET_DATA_NONE | lib.VFIO_IRQ_SET_ACTION_MASK, 0, 1)

    def unmask_intx(self) -> None:
        self._set_irqs("intx", lib.VFIO_IRQ_SET_DATA_NONE | lib.VFIO_IRQ_SET_ACTION_UNMASK, 0, 1)

    def unmask_intx_on(self, event: int) -> None:
        """Each time this eventfd fires."""
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
            found = info.devices[0 : info.count]
            return tuple((d.group_id, PciAddress(d.segment, d.bus, d.devfn >> 3, d.devfn & 7)) for d in found)

    def hot_reset(self, groups: Sequence[Group]) -> None:
        """`groups` own all that it resets. EINVAL: they do not."""
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
        """`at` is a region's offset and the place in it."""
        found = os.pread(self.fd, size, at)
        if len(found) != size:
            raise OSError(errno.EIO, f"the device gave {len(found)} of {size} bytes", "pread")
        return found

    def write(self, at: int, data: bytes) -> None:
        write_whole(self.fd, data, at, "pwrite")

    def map(self, at: int, size: int) -> BarMapping:
        return BarMapping(self.fd, at, size)


class BarMapping:
    """A part of a region in this process, for KVM's memslots and peers' DMA. We never touch it: it may fault."""

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


def _with_room(kind: str, fd: int, call: str, index: int | None = None) -> tuple[Any, Any]:
    """A query whose answer may have capabilities behind it: asked twice when the kernel wants more room."""
    size = ffi.sizeof(kind)
    while True:
        buffer = ffi.new("uint8_t[]", size)
        info = ffi.cast(f"{kind} *", buffer)
        info.argsz = size
        if index is not None:
            info.index = index
        ioctl(fd, call, info)
        if info.argsz <= size:
            return info, buffer
        size = info.argsz


def _capabilities(buffer: Any, first: int) -> Iterator[tuple[int, Any]]:
    """Id and place of each in the chain, which is bounded and stays inside the buffer."""
    offset, header = first, "struct vfio_info_cap_header *"
    for _ in range(_CAPS):
        if not 0 < offset <= len(buffer) - ffi.sizeof("struct vfio_info_cap_header"):
            return
        found = ffi.cast(header, buffer + offset)
        yield found.id, buffer + offset
        offset = found.next
