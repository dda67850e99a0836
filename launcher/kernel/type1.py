"""VFIO type1: IOMMU groups in, address spaces out (Documentation/driver-api/vfio.rst).

A class per descriptor, a method per ioctl: the container, which is an address space, and the group. `Type1` is what of
them the runner sees: a group that does not fit a container gets another, and whatever the kernel gives only by groups
is asked for by groups here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import ExitStack, suppress

from launcher.kernel.api import Device as AnyDevice
from launcher.kernel.api import DmaLimits
from launcher.kernel.call import ioctl
from launcher.kernel.descriptor import Descriptor
from launcher.kernel.memory import HostMemory
from launcher.kernel.vfio import BarMapping, Device
from launcher.kernel.vfio_info import ask, capabilities
from launcher.native import ffi, lib
from launcher.values import HostDevice, PciAddress, Span


class Container(Descriptor):
    """/dev/vfio/vfio: an IOMMU address space that groups share."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._joined: list[Group] = []

    def has(self, group: Group) -> None:
        """It is in this container, as long as it has not gone."""
        self._joined.append(group)

    def api_version(self) -> int:
        """VFIO_GET_API_VERSION: 0 since there is VFIO."""
        return ioctl(self.fd, "VFIO_GET_API_VERSION")

    def set_iommu(self) -> None:
        """Type 1 version 2, or 1 where there is no other. EPERM: no interrupt remapping."""
        new = ioctl(self.fd, "VFIO_CHECK_EXTENSION", lib.VFIO_TYPE1v2_IOMMU)
        ioctl(self.fd, "VFIO_SET_IOMMU", lib.VFIO_TYPE1v2_IOMMU if new else lib.VFIO_TYPE1_IOMMU)

    def limits(self) -> DmaLimits:
        """VFIO_IOMMU_GET_INFO: what can be mapped. No ranges from a kernel before 5.4: not known."""
        info, buffer = ask("struct vfio_iommu_type1_info", self.fd, "VFIO_IOMMU_GET_INFO")
        ranges: tuple[Span, ...] = ()
        available = None
        has_caps = info.flags & lib.VFIO_IOMMU_INFO_CAPS
        for kind, place in capabilities(buffer, info.cap_offset if has_caps else 0):
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

    def map_bar(self, iova: int, mapping: BarMapping) -> None:
        self.map_dma(iova, mapping, 0, mapping.size)

    def unmap_dma(self, iova: int, size: int) -> None:
        """The whole of what was mapped there. The kernel says how much it unmapped: nothing, or EINVAL, when it has
        taken the last group out."""
        request = ffi.new("struct vfio_iommu_type1_dma_unmap *")
        request.argsz = ffi.sizeof(request[0])
        request.iova, request.size = iova, size
        try:
            ioctl(self.fd, "VFIO_IOMMU_UNMAP_DMA", request)
            if request.size != size:
                raise OSError(errno.ENOENT, f"unmapped {request.size:#x} of {size:#x} bytes", "VFIO_IOMMU_UNMAP_DMA")
        except OSError:
            if not self._joined or not all(group.has_gone() for group in self._joined):
                raise


class Group(Descriptor):
    """/dev/vfio/N: an IOMMU group, which is isolated as a whole."""

    def __init__(self, fd: int, number: int) -> None:
        super().__init__(fd)
        self.number = number

    def viable(self) -> bool:
        """VFIO_GROUP_GET_STATUS. False: a driver of the host has a part of the group."""
        status = ffi.new("struct vfio_group_status *")
        status.argsz = ffi.sizeof(status[0])
        ioctl(self.fd, "VFIO_GROUP_GET_STATUS", status)
        return bool(status.flags & lib.VFIO_GROUP_FLAGS_VIABLE)

    def set_container(self, container: Container) -> None:
        """EINVAL: it does not fit this container (or none, if it is the first); EPERM: not viable."""
        ioctl(self.fd, "VFIO_GROUP_SET_CONTAINER", ffi.new("int *", container.fd))
        container.has(self)

    def unset_container(self) -> None:
        """EBUSY while a device of it is open; EINVAL: it is in none."""
        ioctl(self.fd, "VFIO_GROUP_UNSET_CONTAINER")

    def has_gone(self) -> bool:
        """Whether the kernel has taken it out of its container because the host has its last device back. While it is
        at that, this waits (vfio_device_remove_group of Linux 6.1 and later)."""
        try:
            self.viable()
        except OSError as error:
            return error.errno == errno.ENODEV
        return False

    def open_device(self, address: HostDevice) -> Device:
        """ENODEV: not in this group, or not bound to a VFIO driver; EACCES: a VF whose PF wants a token."""
        name = ffi.new("char[]", str(address).encode())
        return Device(ioctl(self.fd, "VFIO_GROUP_GET_DEVICE_FD", name), address)


class Type1:
    """Address spaces that are containers. No container is opened before a group joins."""

    keeps_devices = False

    def __init__(self, open_container: Callable[[], Container], open_group: Callable[[int], Group]) -> None:
        self._open_container, self._open_group = open_container, open_group
        self._groups: dict[int, Group] = {}
        self._members: dict[Container, list[int]] = {}

    def open_group(self, group: int) -> None:
        """Open the group by its number. EBUSY: somebody has it; ENOENT: no member is bound to a VFIO driver."""
        self._groups[group] = self._open_group(group)

    def close_group(self, group: int) -> None:
        """Close the group, which is in no container any more."""
        self._groups.pop(group).close()

    def viable(self, group: int) -> bool:
        """False: a driver of the host has a part of the group."""
        return self._groups[group].viable()

    def join(self, group: int) -> Container:
        """The first container that takes the group, or a new one. EINVAL of a container: the next one is tried."""
        for container, members in self._members.items():
            try:
                self._groups[group].set_container(container)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                continue
            members.append(group)
            return container
        return self._begin(group)

    def _begin(self, group: int) -> Container:
        """A container with its first group, without which it has no IOMMU."""
        first, container = self._groups[group], self._open_container()
        try:
            first.set_container(container)
            container.set_iommu()
        except OSError:
            with suppress(OSError):  # it never was in it, or the group's close takes it out: the cause counts
                first.unset_container()
            container.close()
            raise
        self._members[container] = [group]
        return container

    def leave(self, group: int) -> None:
        """Take the group out of its container, which goes with its last one. EBUSY while a device of it is open."""
        container = next(one for one, members in self._members.items() if group in members)
        self._members[container].remove(group)
        with ExitStack() as last:
            if not self._members[container]:
                del self._members[container]
                last.callback(container.close)
            try:
                self._groups[group].unset_container()
            except OSError:
                if not self._groups[group].has_gone():
                    raise

    def files(self) -> tuple[Group, ...]:
        """The open groups, which KVM is told of before any device is opened."""
        return tuple(self._groups.values())

    def open_device(self, group: int, address: HostDevice) -> Device:
        """A function of an open group that has joined. Errors as of Group.open_device."""
        return self._groups[group].open_device(address)

    def close_device(self, device: AnyDevice) -> None:
        """VFIO resets it, if it can, when nobody else has it open."""
        device.close()

    def reset_bus(self, device: AnyDevice) -> set[PciAddress]:
        """Who was reset with the device; nobody where a group on its bus is not open.

        The kernel takes the groups of all on the bus and no others.
        """
        together = device.hot_reset_set()
        owners = {number for number, _ in together}
        if not owners <= self._groups.keys():
            return set()
        device.hot_reset([self._groups[number] for number in sorted(owners)])
        return {address for _, address in together}
