"""VFIO's containers and groups in the fake kernel: what may join what, and what may be mapped where."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from launcher.kernel.api import DmaLimits
from launcher.values import KIB, PciAddress, Span
from tests.fakes.device import FakeDevice
from tests.fakes.handle import Handle, Mappable, refuse
from tests.fakes.host import VFIO

if TYPE_CHECKING:
    from tests.fakes.kernel import FakeKernel

PAGES = 0x40201000  # 4 KiB, 2 MiB, 1 GiB


class FakeContainer(Handle):
    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__(kernel)
        self.groups: list[FakeGroup] = []
        self.joined: list[FakeGroup] = []  # all that have joined
        self.has_iommu = False
        self.maps: dict[Span, Mappable] = {}

    def api_version(self) -> int:
        return 0

    def set_iommu(self) -> None:
        self.kernel.call("VFIO_SET_IOMMU")
        if not self.groups or self.has_iommu:
            refuse(errno.EINVAL, "VFIO_SET_IOMMU")
        if not self.kernel.host.safe:
            refuse(errno.EPERM, "VFIO_SET_IOMMU")
        self.has_iommu = True

    def limits(self) -> DmaLimits:
        self.kernel.call("VFIO_IOMMU_GET_INFO")
        self._want_iommu("VFIO_IOMMU_GET_INFO")
        return DmaLimits(self.kernel.host.free, PAGES, self.kernel.host.most_maps - len(self.maps))

    def map_dma(self, iova: int, memory: Mappable, offset: int, size: int) -> None:
        call, host = "VFIO_IOMMU_MAP_DMA", self.kernel.host
        if not 0 < size <= memory.size - offset or offset < 0:
            raise ValueError(f"{size:#x} bytes at {offset:#x} are not inside {memory.size:#x}")
        self.kernel.call(call)
        self._want_iommu(call)
        if iova % (4 * KIB) or size % (4 * KIB) or offset % (4 * KIB):
            refuse(errno.EINVAL, call)
        span = Span(iova, size)
        if any(one.overlaps(span) for one in self.maps):
            refuse(errno.EEXIST, call)
        if not any(free.covers(span) for free in host.free):
            refuse(errno.EINVAL, call)
        if len(self.maps) >= host.most_maps:
            refuse(errno.ENOSPC, call)
        if sum(one.size for space in self.kernel.spaces for one in space.maps) + size > host.lockable:
            refuse(errno.ENOMEM, call)
        self.maps[span] = memory

    def map_bar(self, iova: int, mapping: Mappable) -> None:
        self.map_dma(iova, mapping, 0, mapping.size)

    def unmap_dma(self, iova: int, size: int) -> None:
        """No error of a container whose groups the kernel has taken out."""
        try:
            self._unmap(Span(iova, size), "VFIO_IOMMU_UNMAP_DMA")
        except OSError:
            if not all(group.has_gone() for group in self.joined):
                raise

    def _unmap(self, span: Span, call: str) -> None:
        """A part of a map stays; where there is none, the kernel says that it unmapped nothing."""
        self.kernel.call(call)
        self._want_iommu(call)
        inside = [one for one in self.maps if one.overlaps(span)]
        if not all(span.covers(one) for one in inside):
            refuse(errno.EINVAL, call)
        for one in inside:
            del self.maps[one]
        if sum(one.size for one in inside) != span.size:
            refuse(errno.ENOENT, call)

    def _want_iommu(self, call: str) -> None:
        if not self.has_iommu:
            refuse(errno.EINVAL, call)

    def join(self, group: FakeGroup) -> None:
        call, apart = "VFIO_GROUP_SET_CONTAINER", self.kernel.host.apart
        if self.groups and (group.number in apart or any(one.number in apart for one in self.groups)):
            refuse(errno.EINVAL, call)
        if any(not one.covers(span) for span in self.maps for one in self.kernel.host.free if one.overlaps(span)):
            refuse(errno.EINVAL, call)
        self.groups.append(group)
        self.joined.append(group)
        if self not in self.kernel.spaces:
            self.kernel.spaces.append(self)

    def leave(self, group: FakeGroup) -> None:
        """With the last group goes the IOMMU, and with it what is mapped."""
        self.groups.remove(group)
        if not self.groups:
            self.kernel.untidy += [f"unmapped by the container's end: {span}" for span in self.maps]
            self.maps.clear()
            self.has_iommu = False
            self.kernel.spaces.remove(self)


def take_out(kernel: FakeKernel, number: int) -> None:
    """VFIO has no device of that group any more: who has it open has a group that is in no container."""
    for space in [one for one in kernel.spaces if isinstance(one, FakeContainer)]:
        for group in [one for one in space.groups if one.number == number]:
            if space.groups == [group]:
                space.maps.clear()
            space.leave(group)
            group.container = None


class FakeGroup(Handle):
    def __init__(self, kernel: FakeKernel, number: int) -> None:
        call = f"open /dev/vfio/{number}"
        if not any(one.driver == VFIO for one in kernel.host.of_group(number)):
            refuse(errno.ENOENT, call)
        if number in kernel.host.open_groups or any(
            getattr(one, "iommufd", None) and one.function.group == number for one in kernel.devices
        ):
            refuse(errno.EBUSY, call)
        super().__init__(kernel)
        kernel.host.open_groups.add(number)
        self.number = number
        self.container: FakeContainer | None = None
        self.known_to_kvm = False

    def viable(self) -> bool:
        call = "VFIO_GROUP_GET_STATUS"
        self.kernel.call(call)
        if not any(one.driver == VFIO for one in self.kernel.host.of_group(self.number)):
            refuse(errno.ENODEV, call)
        return self.kernel.host.viable(self.number)

    def has_gone(self) -> bool:
        try:
            self.viable()
        except OSError as error:
            return error.errno == errno.ENODEV
        return False

    def set_container(self, container: FakeContainer) -> None:
        call = "VFIO_GROUP_SET_CONTAINER"
        self.kernel.call(call)
        if self.container:
            refuse(errno.EINVAL, call)
        if not self.kernel.host.viable(self.number):
            refuse(errno.EPERM, call)
        container.join(self)
        self.container = container

    def unset_container(self) -> None:
        call = "VFIO_GROUP_UNSET_CONTAINER"
        self.kernel.call(call)
        if not self.container:
            refuse(errno.EINVAL, call)
        if self.known_to_kvm or any(one.group is self for one in self.kernel.devices):
            refuse(errno.EBUSY, call)
        self.container.leave(self)
        self.container = None

    def open_device(self, address: PciAddress) -> FakeDevice:
        call = "VFIO_GROUP_GET_DEVICE_FD"
        self.kernel.call(call)
        found = self.kernel.host.at(address)
        if found is None or found.group != self.number or found.driver != VFIO:
            refuse(errno.ENODEV, call)
        if not self.container or not self.container.has_iommu:
            refuse(errno.EINVAL, call)
        return FakeDevice(self.kernel, self, found)

    def close(self) -> None:
        if not self.closed and self.container:
            self.kernel.untidy.append(f"group {self.number} closed in its container")
        self.kernel.host.open_groups.discard(self.number)
        super().close()
