"""iommufd in the fake kernel: what is bound, attached and mapped; nodes of functions of their own.

A group is nobody's until a function of it is bound, and then its iommufd's; maps are checked when a function is
attached.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.kernel.api import DmaLimits, OtherNode, RegionInfo
from launcher.values import KIB, PciAddress, Span
from tests.fakes.device import FakeBarMapping, FakeDevice
from tests.fakes.handle import Handle, Mappable, refuse
from tests.fakes.host import VFIO, FakeFunction

if TYPE_CHECKING:
    from tests.fakes.kernel import FakeKernel

PAGE = 4 * KIB
BIND, ATTACH, DETACH = (f"VFIO_DEVICE_{what}" for what in ("BIND_IOMMUFD", "ATTACH_IOMMUFD_PT", "DETACH_IOMMUFD_PT"))
FEATURE = "VFIO_DEVICE_FEATURE"
EVERYTHING = (Span(0, 1 << 64),)


class FakeIommuFile(Handle):
    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__(kernel)
        self.spaces: list[FakeIoas] = []
        self.by_process = False
        self.fd = -2  # KVM takes none of it

    def count_by_process(self) -> None:
        self.kernel.call("IOMMU_OPTION")
        if self.spaces or self._bound():
            refuse(errno.EBUSY, "IOMMU_OPTION")
        if not self.kernel.host.may_exceed:
            refuse(errno.EPERM, "IOMMU_OPTION")
        self.by_process = True

    def allocate(self) -> FakeIoas:
        self.kernel.call("IOMMU_IOAS_ALLOC")
        return FakeIoas(self)

    def close(self) -> None:
        """Functions that are bound keep what is in it."""
        if not self.closed:
            self.kernel.untidy += [f"iommufd closed with {one.address} bound" for one in self._bound()]
        super().close()

    def _bound(self) -> list[FakeCdev]:
        return [one for one in cdevs(self.kernel) if one.iommufd is self]


class FakeIoas(Handle):
    def __init__(self, iommufd: FakeIommuFile) -> None:
        super().__init__(iommufd.kernel)
        self.iommufd = iommufd
        self.attached: list[FakeCdev] = []
        self.groups: list[object] = []  # as a container's, for who looks what is left: none
        self.maps: dict[Span, Mappable] = {}
        iommufd.spaces.append(self)
        iommufd.kernel.spaces.append(self)

    def limits(self) -> DmaLimits:
        self.kernel.call("IOMMU_IOAS_IOVA_RANGES")
        return DmaLimits(self._free(), PAGE if self.attached else 1, None)

    def _free(self) -> tuple[Span, ...]:
        return self.kernel.host.free if self.attached else EVERYTHING

    def map_dma(self, iova: int, memory: Mappable, offset: int, size: int) -> None:
        call = "IOMMU_IOAS_MAP"
        if not 0 < size <= memory.size - offset or offset < 0:
            raise ValueError(f"{size:#x} bytes at {offset:#x} are not inside {memory.size:#x}")
        self.kernel.call(call)
        if self.attached and (iova % PAGE or size % PAGE or offset % PAGE):
            refuse(errno.EINVAL, call)
        if getattr(memory, "of_bar", False):
            refuse(errno.EFAULT, call)
        span = Span(iova, size)
        if any(one.overlaps(span) for one in self.maps):
            refuse(errno.EEXIST, call)
        if not any(free.covers(span) for free in self._free()):
            refuse(errno.EINVAL, call)
        self._count(span, call)
        self.maps[span] = memory

    def map_bar(self, iova: int, mapping: FakeBarMapping) -> None:
        """It locks nothing."""
        call, span = "IOMMU_IOAS_MAP_FILE", Span(iova, mapping.size)
        if mapping.dma_buf is None:
            refuse(errno.EOPNOTSUPP, call)
        self.kernel.call(call)
        if iova % PAGE or not any(free.covers(span) for free in self._free()):
            refuse(errno.EINVAL, call)
        if any(one.overlaps(span) for one in self.maps):
            refuse(errno.EEXIST, call)
        if not mapping.device.function.decodes:
            refuse(errno.ENODEV, call)
        self.maps[span] = mapping

    def _count(self, span: Span, call: str) -> None:
        """What is attached to nothing is not locked."""
        maps = [one for space in self.kernel.spaces for one in space.maps.items()]
        locked = sum(one.size for one, memory in maps if not getattr(memory, "of_bar", False))
        if self.attached and locked + span.size > self.kernel.host.lockable:
            refuse(errno.ENOMEM, call)

    def unmap_dma(self, iova: int, size: int) -> None:
        call, span = "IOMMU_IOAS_UNMAP", Span(iova, size)
        self.kernel.call(call)
        inside = [one for one in self.maps if one.overlaps(span)]
        if not inside or not all(span.covers(one) for one in inside):
            refuse(errno.ENOENT, call)
        for one in inside:
            del self.maps[one]
        if sum(one.size for one in inside) != size:
            refuse(errno.ENOENT, call)

    def destroy(self) -> None:
        self.kernel.call("IOMMU_DESTROY")
        if self not in self.iommufd.spaces:
            refuse(errno.ENOENT, "IOMMU_DESTROY")
        if self.attached:
            refuse(errno.EBUSY, "IOMMU_DESTROY")
        self.kernel.untidy += [f"unmapped by the address space's end: {span}" for span in self.maps]
        self.iommufd.spaces.remove(self)
        self.kernel.spaces.remove(self)
        self.close()


class FakeCdev(FakeDevice):
    """Open, and nothing more, until it is bound. What is mapped of it, and KVM, keep it bound when it is closed."""

    def __init__(self, kernel: FakeKernel, function: FakeFunction) -> None:
        super().__init__(kernel, None, function)
        self.iommufd: FakeIommuFile | None = None
        self.space: FakeIoas | None = None
        self.known_to_kvm = False
        self.shared: dict[tuple[int, int, int], int | None] = {}  # dma-bufs by region, place in it, and size

    def bind(self, iommufd: FakeIommuFile) -> None:
        self.kernel.call(BIND)
        siblings = [one for one in cdevs(self.kernel) if one.function.group == self.function.group]
        if any(one.iommufd and one.function is self.function for one in siblings):
            refuse(errno.EINVAL, BIND)
        if self.function.group in self.kernel.host.open_groups:
            refuse(errno.EBUSY, BIND)
        others = any(one.iommufd not in (None, iommufd) for one in siblings)
        if others or not self.kernel.host.viable(self.function.group) or not self.kernel.host.safe:
            refuse(errno.EPERM, BIND)
        self.iommufd = iommufd
        self.function.reset_count += self.function.resets_when_opened

    def attach(self, space: FakeIoas) -> None:
        self._want_bound(ATTACH)
        self.kernel.call(ATTACH)
        mates = [one for one in cdevs(self.kernel) if one.function.group == self.function.group and one is not self]
        if any(one.space not in (None, space) for one in mates):
            refuse(errno.EINVAL, ATTACH)
        apart, there = self.kernel.host.apart, {one.function.group for one in space.attached}
        mine = self.function.group
        if there - {mine} and (mine in apart or not there.isdisjoint(apart)):
            refuse(errno.EINVAL, ATTACH)
        if not all(any(free.covers(one) for free in self.kernel.host.free) for one in space.maps):
            refuse(errno.EADDRINUSE, ATTACH)
        if sum(one.size for one in space.maps) > self.kernel.host.lockable:
            refuse(errno.ENOMEM, ATTACH)
        self._leave()
        self.space = space
        space.attached.append(self)

    def detach(self) -> None:
        self._want_bound(DETACH)
        self.kernel.call(DETACH)
        self._leave()

    def _leave(self) -> None:
        if self.space:
            self.space.attached.remove(self)
            self.space = None

    def _want_bound(self, call: str) -> None:
        if not self.iommufd:
            refuse(errno.EINVAL, call)

    def shares_bars(self) -> bool:
        with suppress(OSError):
            self._want_bound(FEATURE)
            self.kernel.call(FEATURE)
            return self.kernel.host.dma_bufs and isinstance(self.address, PciAddress)
        return False

    def share(self, mapping: FakeBarMapping, index: int, offset: int) -> None:
        """Nothing is asked twice."""
        place = (index, offset, mapping.size)
        if place not in self.shared:
            self.shared[place] = self._dma_buf(*place) if self.shares_bars() else None
        mapping.dma_buf = self.shared[place]

    def _dma_buf(self, index: int, offset: int, size: int) -> int | None:
        whole = (offset | size) % PAGE == 0 and Span(0, self.region(index).size).covers(Span(offset, size))
        with suppress(OSError):
            self.kernel.call(FEATURE)
            return 1 << 22 | len(self.shared) if whole else None
        return None

    def write_config(self, offset: int, data: bytes) -> None:
        super().write_config(offset, data)
        if not self.function.decodes:
            self._revoke("is switched off")

    def reset(self) -> None:
        self._want_bound("VFIO_DEVICE_RESET")
        self._revoke("is reset")
        super().reset()

    def _revoke(self, why: str) -> None:
        """The kernel takes out of the IOMMU what of it others reach, and nothing brings it back."""
        maps = [one for space in self.kernel.spaces for one in space.maps.items()]
        mine = [span for span, memory in maps if getattr(memory, "dma_buf", None) and memory.device is self]
        self.kernel.untidy += [f"{self.address} {why} while it is mapped for others: {span}" for span in mine]

    def bus(self) -> tuple[frozenset[PciAddress], bool]:
        call = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO"
        self._want_bound(call)
        self.kernel.call(call)
        if not self.function.together:
            refuse(errno.ENODEV, call)
        return frozenset(one.address for one in self._together()), self._owned()

    def _owned(self) -> bool:
        mine = {one.function.group for one in cdevs(self.kernel) if one.iommufd is self.iommufd}
        return all(one.group in mine for one in self._together())

    def hot_reset(self, groups: Sequence[object]) -> None:
        call = "VFIO_DEVICE_PCI_HOT_RESET"
        self.kernel.call(call)
        if groups or not self._owned():
            refuse(errno.EINVAL, call)
        for one in self._together():
            one.reset_count += 1
        for one in cdevs(self.kernel):
            if one.function in self._together():
                one._revoke("is reset")

    def resets_itself(self) -> bool:
        self._want_bound("VFIO_DEVICE_GET_INFO")
        return super().resets_itself()

    def region(self, index: int) -> RegionInfo:
        return super().region(index) if self.iommufd else RegionInfo(0, 0, mappable=False, sparse=None)

    def read_config(self, offset: int, size: int) -> bytes:
        self._want_bound("pread")
        return super().read_config(offset, size)

    def close(self) -> None:
        if not self.closed and self.space:
            self.kernel.untidy.append(f"{self.address} closed while attached")
        super().close()

    def let_go(self) -> None:
        """By the last who holds it."""
        if self.closed and not self.mappings and not self.known_to_kvm and self in self.kernel.devices:
            self.kernel.devices.remove(self)
            self._leave()
            self.function.reset_count += self.function.resets_when_opened and self.iommufd is not None
            self.iommufd = None


def cdevs(kernel: FakeKernel) -> list[FakeCdev]:
    return [one for one in kernel.devices if isinstance(one, FakeCdev)]


def open_cdev(kernel: FakeKernel, address: PciAddress) -> FakeCdev:
    call = f"open /dev/vfio/devices/{address}"
    kernel.call(call)
    found = kernel.host.at(address)
    if found is None or found.driver != VFIO:
        refuse(errno.ENOENT, call)
    if found.node_of_another:
        raise OtherNode(f"/dev/vfio/devices/{address}", "511:0", "511:1")
    return FakeCdev(kernel, found)
