"""iommufd: functions by nodes of their own in, address spaces out (Documentation/userspace-api/iommufd.rst).

A class per descriptor or object, a method per ioctl: /dev/iommu, an IO address space in it, and the node of a function,
which is bound to /dev/iommu and attached to an address space. `Iommufd` is what of them the runner sees. Groups are
there only as the IOMMU's unit of isolation: the first function that is bound takes its whole group from the host.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from launcher.kernel.api import Device as AnyDevice
from launcher.kernel.api import DmaLimits, RegionInfo
from launcher.kernel.call import ioctl
from launcher.kernel.descriptor import Descriptor
from launcher.kernel.dma_bufs import DmaBufs
from launcher.kernel.memory import HostMemory
from launcher.kernel.vfio import BarMapping, Device
from launcher.native import ffi, lib
from launcher.values import HostDevice, PciAddress, Span

_READ_AND_WRITE_THERE = lib.IOMMU_IOAS_MAP_FIXED_IOVA | lib.IOMMU_IOAS_MAP_READABLE | lib.IOMMU_IOAS_MAP_WRITEABLE
Members = Mapping[int, Sequence[HostDevice]]  # by group, those of its functions that are to be opened


class Ioas:
    """An IO address space. `id` is its number in `iommufd`."""

    def __init__(self, iommufd: int, number: int) -> None:
        self._iommufd, self.id = iommufd, number

    def limits(self) -> DmaLimits:
        """IOMMU_IOAS_IOVA_RANGES: what can be mapped, as all that is attached allows; of pages, the smallest size."""
        count = 16
        while True:
            found = ffi.new("struct ioas_range[]", count)
            request = ffi.new("struct ioas_ranges *")
            request.size, request.ioas_id, request.num_iovas = ffi.sizeof(request[0]), self.id, count
            request.allowed_iovas = int(ffi.cast("uintptr_t", found))
            try:
                ioctl(self._iommufd, "IOMMU_IOAS_IOVA_RANGES", request)
            except OSError as error:
                if error.errno != errno.EMSGSIZE or request.num_iovas <= count:
                    raise
                count = request.num_iovas
                continue
            ranges = tuple(Span.between(one.start, one.last) for one in found[0 : request.num_iovas])
            return DmaLimits(ranges, request.out_iova_alignment, None)

    def map_dma(self, iova: int, memory: HostMemory | BarMapping, offset: int, size: int) -> None:
        """Pins the memory. ENOMEM: RLIMIT_MEMLOCK; EINVAL: reserved, too wide, unaligned; EEXIST: mapped already;
        EFAULT: a mapping of a BAR, which has no pages to pin (pin_user_pages, VM_PFNMAP)."""
        if not 0 < size <= memory.size - offset or offset < 0:
            raise ValueError(f"{size:#x} bytes at {offset:#x} are not inside {memory.size:#x}")
        request = ffi.new("struct ioas_map *")
        request.size, request.ioas_id = ffi.sizeof(request[0]), self.id
        request.flags = _READ_AND_WRITE_THERE
        request.user_va = int(ffi.cast("uintptr_t", memory.pointer)) + offset
        request.iova, request.length = iova, size
        ioctl(self._iommufd, "IOMMU_IOAS_MAP", request)

    def map_bar(self, iova: int, mapping: BarMapping) -> None:
        """Of a function that shares its BARs. ENODEV: its memory is switched off, or it is being reset.

        Where that happens later, VFIO takes it out of the IOMMU, and nothing brings it back: it is unmapped before.
        """
        if mapping.dma_buf is None:
            raise OSError(errno.EOPNOTSUPP, "the kernel gives no dma-buf of it", "IOMMU_IOAS_MAP_FILE")
        request = ffi.new("struct ioas_map_file *")
        request.size, request.ioas_id, request.fd = ffi.sizeof(request[0]), self.id, mapping.dma_buf
        request.flags, request.iova, request.length = _READ_AND_WRITE_THERE, iova, mapping.size
        ioctl(self._iommufd, "IOMMU_IOAS_MAP_FILE", request)

    def unmap_dma(self, iova: int, size: int) -> None:
        """The whole of what was mapped there. ENOENT: nothing was, or it was a part of a map, which stays."""
        request = ffi.new("struct ioas_unmap *")
        request.size, request.ioas_id = ffi.sizeof(request[0]), self.id
        request.iova, request.length = iova, size
        ioctl(self._iommufd, "IOMMU_IOAS_UNMAP", request)
        if request.length != size:
            raise OSError(errno.ENOENT, f"unmapped {request.length:#x} of {size:#x} bytes", "IOMMU_IOAS_UNMAP")

    def destroy(self) -> None:
        """EBUSY: something is attached. What was mapped is unmapped."""
        request = ffi.new("struct ioas_destroy *")
        request.size, request.id = ffi.sizeof(request[0]), self.id
        ioctl(self._iommufd, "IOMMU_DESTROY", request)


class IommuFile(Descriptor):
    """/dev/iommu: address spaces, and the functions that are bound to it."""

    def count_by_process(self) -> None:
        """IOMMU_OPTION: what is locked counts for this process, as with type1, and not for all of its user.

        EPERM without CAP_SYS_RESOURCE; EBUSY: there is something in it already.
        """
        request = ffi.new("struct iommufd_option *")
        request.size, request.option_id = ffi.sizeof(request[0]), lib.IOMMU_OPTION_RLIMIT_MODE
        request.op, request.val64 = lib.IOMMU_OPTION_OP_SET, 1
        ioctl(self.fd, "IOMMU_OPTION", request)

    def allocate(self) -> Ioas:
        request = ffi.new("struct ioas_alloc *")
        request.size = ffi.sizeof(request[0])
        ioctl(self.fd, "IOMMU_IOAS_ALLOC", request)
        return Ioas(self.fd, request.out_ioas_id)


class Cdev(Device):
    """/dev/vfio/devices/vfioN, which answers nothing before it is bound."""

    def __init__(self, fd: int, address: HostDevice) -> None:
        Descriptor.__init__(self, fd)
        self.address = address
        self._config = RegionInfo(0, 0, mappable=False, sparse=None)
        self._dma_bufs = DmaBufs(fd)

    def bind(self, iommufd: IommuFile) -> None:
        """VFIO_DEVICE_BIND_IOMMUFD: it is enabled, and reset if it resets itself.

        EBUSY: its group's own node is open; EPERM: another of its group is on a driver of the host's or in another
        iommufd, or interrupts are not remapped; EINVAL: somebody else has it bound.
        """
        request = ffi.new("struct cdev_bind *")
        request.argsz, request.iommufd = ffi.sizeof(request[0]), iommufd.fd
        ioctl(self.fd, "VFIO_DEVICE_BIND_IOMMUFD", request)
        self._config = self.region(lib.VFIO_PCI_CONFIG_REGION_INDEX)

    def shares_bars(self) -> bool:
        """Whether there are dma-bufs of them."""
        return self._dma_bufs.are_there()

    def share(self, mapping: BarMapping, index: int, offset: int) -> None:
        mapping.dma_buf = self._dma_bufs.of(index, offset, mapping.size)

    def close(self) -> None:
        self._dma_bufs.close()
        super().close()

    def attach(self, space: Ioas) -> None:
        """EINVAL: it does not fit, or another of its group is in another one; EADDRINUSE: nor does what is mapped."""
        request = ffi.new("struct cdev_attach *")
        request.argsz, request.pt_id = ffi.sizeof(request[0]), space.id
        ioctl(self.fd, "VFIO_DEVICE_ATTACH_IOMMUFD_PT", request)

    def detach(self) -> None:
        """From then on the IOMMU blocks it. No error where it is attached to nothing."""
        request = ffi.new("struct cdev_detach *")
        request.argsz = ffi.sizeof(request[0])
        ioctl(self.fd, "VFIO_DEVICE_DETACH_IOMMUFD_PT", request)

    def bus(self) -> tuple[frozenset[PciAddress], bool]:
        """Whom a reset of its bus would reset, and whether all of them are our iommufd's. ENODEV: there is none."""
        info = self._hot_reset_info()
        owned = bool(info.flags & lib.VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED)
        return frozenset(address for _, address in self._dependent(info)), owned


class Iommufd:
    """Address spaces by iommufd. /dev/iommu is opened for the first group, and closed with the last.

    Nodes stay open while the guest reboots, for a confined runner opens none: a function that is had again is reset
    then. `members`: what of each group is opened; `by_process`: as IommuFile.count_by_process says.
    """

    keeps_devices = True

    def __init__(
        self,
        open_iommufd: Callable[[], IommuFile],
        open_cdev: Callable[[HostDevice], Cdev],
        members: Members,
        *,
        by_process: bool,
    ) -> None:
        self._open_iommufd, self._open_cdev = open_iommufd, open_cdev
        self._wanted, self._by_process = members, by_process
        self._iommufd: IommuFile | None = None
        self._cdevs: dict[int, tuple[Cdev, ...]] = {}
        self._attached: dict[Ioas, list[int]] = {}
        self._had: set[HostDevice] = set()

    def open_group(self, group: int) -> None:
        """The nodes of what we want of it. ENOENT: not bound to a VFIO driver, or the kernel makes no such nodes."""
        with ExitStack() as opened:
            if self._iommufd is None:
                self._iommufd = self._open_first()
                opened.callback(self._close_last)
            found = []
            for address in self._wanted[group]:
                found.append(self._open_cdev(address))
                opened.callback(found[-1].close)
            opened.pop_all()
        self._cdevs[group] = tuple(found)

    def _open_first(self) -> IommuFile:
        iommufd = self._open_iommufd()
        try:
            if self._by_process:
                iommufd.count_by_process()
        except OSError:
            iommufd.close()
            raise
        return iommufd

    def _close_last(self) -> None:
        iommufd, self._iommufd = self._iommufd, None
        if iommufd is not None:
            iommufd.close()

    def close_group(self, group: int) -> None:
        """Its functions are VFIO's no more: their last descriptors go, and with them the group."""
        for cdev in reversed(self._cdevs.pop(group)):
            cdev.close()
        if not self._cdevs:
            self._close_last()

    def viable(self, group: int) -> bool:
        """Nobody says so before a function of it is bound: EPERM of `join`."""
        return group in self._cdevs

    def join(self, group: int) -> Ioas:
        """Bind its functions, and attach them to the first address space that they fit, or to a new one."""
        assert self._iommufd is not None
        for cdev in self._cdevs[group]:
            cdev.bind(self._iommufd)
        for space, groups in self._attached.items():
            if self._attach(group, space):
                groups.append(group)
                return space
        space = self._iommufd.allocate()
        try:
            self._attach_all(group, space)
        except OSError:
            space.destroy()
            raise
        self._attached[space] = [group]
        return space

    def _attach(self, group: int, space: Ioas) -> bool:
        """False: it does not fit."""
        try:
            self._attach_all(group, space)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EADDRINUSE):
                raise
            return False
        return True

    def _attach_all(self, group: int, space: Ioas) -> None:
        with ExitStack() as attached:
            for cdev in self._cdevs[group]:
                cdev.attach(space)
                attached.callback(cdev.detach)
            attached.pop_all()

    def leave(self, group: int) -> None:
        """Detach its functions. An address space ends with its last group."""
        space = next(one for one, groups in self._attached.items() if group in groups)
        self._attached[space].remove(group)
        with ExitStack() as last:
            if not self._attached[space]:
                del self._attached[space]
                last.callback(space.destroy)
            for cdev in self._cdevs[group]:
                last.callback(cdev.detach)

    def files(self) -> tuple[Cdev, ...]:
        """The nodes, which KVM may be told of at any time."""
        return tuple(cdev for group in self._cdevs.values() for cdev in group)

    def open_device(self, group: int, address: HostDevice) -> Cdev:
        """A function of a group that has joined: open already. It was reset when it was bound."""
        found = next((one for one in self._cdevs[group] if one.address == address), None)
        if found is None:
            raise OSError(errno.ENODEV, f"{address} was not opened with its group", "VFIO_DEVICE_BIND_IOMMUFD")
        if address in self._had and found.resets_itself():
            found.reset()
        self._had.add(address)
        return found

    def close_device(self, device: AnyDevice) -> None:
        """Its node stays open, for the next life of the guest, and goes with its group."""

    def reset_bus(self, device: AnyDevice) -> set[PciAddress]:
        """Who was reset with the device; nobody where somebody on its bus is not ours."""
        cdev = next(one for one in self.files() if one is device)
        together, owned = cdev.bus()
        if not owned:
            return set()
        cdev.hot_reset(())
        return set(together)
