"""An IOMMU group -> what the kernel allows with it: the calls of linux/vfio.h that tests need, through a container; and
the same of a function by its own node, through iommufd.

Closing the files undoes it all.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ctypes import addressof, c_char
from struct import calcsize, pack, unpack_from

from launcher.values import PciAddress, Span

# _IO(';', 100 + n)
VFIO_SET_IOMMU, VFIO_GROUP_GET_STATUS, VFIO_GROUP_SET_CONTAINER = 0x3B66, 0x3B67, 0x3B68
VFIO_GROUP_GET_DEVICE_FD, VFIO_IOMMU_GET_INFO = 0x3B6A, 0x3B70
VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA = 0x3B71, 0x3B72
VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_ATTACH_IOMMUFD_PT = 0x3B76, 0x3B77
IOMMU_IOAS_ALLOC, IOMMU_IOAS_IOVA_RANGES, IOMMU_IOAS_MAP, IOMMU_IOAS_UNMAP = 0x3B81, 0x3B84, 0x3B85, 0x3B86
FIXED_READ_AND_WRITE = 7
VFIO_TYPE1V2_IOMMU, VFIO_GROUP_FLAGS_VIABLE, VFIO_IOMMU_INFO_CAPS, READ_AND_WRITE = 3, 1, 2, 3
VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE = 1
PAGE = 4096


class Refused(Exception):
    """The kernel says no; the text names the call and its errno."""


@contextmanager
def named(call: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{call}: {errno.errorcode[error.errno or 0]}") from None


class Group:
    """One group, and the container that it goes into. Use: with Group(number) as group: ..."""

    def __init__(self, number: int) -> None:
        self._files = ExitStack()
        with named("open the group"):
            self._group = self._open(f"/dev/vfio/{number}")
        self._container = self._open("/dev/vfio/vfio")
        self._page = mmap.mmap(-1, PAGE)

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def viable(self) -> bool:
        with named("GROUP_GET_STATUS"):
            answer = fcntl.ioctl(self._group, VFIO_GROUP_GET_STATUS, pack("II", 8, 0))
        return bool(unpack_from("II", answer)[1] & VFIO_GROUP_FLAGS_VIABLE)

    def attach(self) -> None:
        with named("GROUP_SET_CONTAINER"):
            fcntl.ioctl(self._group, VFIO_GROUP_SET_CONTAINER, pack("i", self._container))
        with named("SET_IOMMU"):
            fcntl.ioctl(self._container, VFIO_SET_IOMMU, VFIO_TYPE1V2_IOMMU)

    def take(self, address: PciAddress) -> None:
        """Open a device as a VM does, to the end."""
        with named("GROUP_GET_DEVICE_FD"):
            device = fcntl.ioctl(self._group, VFIO_GROUP_GET_DEVICE_FD, bytearray(f"{address}\0".encode()))
        self._files.callback(os.close, device)

    def ranges(self) -> list[Span]:
        """What can be mapped, as the kernel says it: capability 1 of IOMMU_GET_INFO."""
        answer = bytearray(pack("II", 1024, 0).ljust(1024, b"\0"))
        with named("IOMMU_GET_INFO"):
            fcntl.ioctl(self._container, VFIO_IOMMU_GET_INFO, answer)
        _, flags, _, at, _ = unpack_from("IIQII", answer)
        while flags & VFIO_IOMMU_INFO_CAPS and at:
            kind, _, following = unpack_from("HHI", answer, at)
            if kind == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE:
                count = unpack_from("II", answer, at + 8)[0]
                return [Span.between(*unpack_from("QQ", answer, at + 16 + 16 * n)) for n in range(count)]
            at = following
        return []

    def maps(self, iova: int) -> bool:
        """One page there and gone again; False: EINVAL."""
        memory = addressof(c_char.from_buffer(self._page))
        request = pack("IIQQQ", calcsize("IIQQQ"), READ_AND_WRITE, memory, iova, PAGE)
        try:
            with named("IOMMU_MAP_DMA"):
                fcntl.ioctl(self._container, VFIO_IOMMU_MAP_DMA, request)
        except Refused as why:
            if why.args == ("IOMMU_MAP_DMA: EINVAL",):
                return False
            raise
        fcntl.ioctl(self._container, VFIO_IOMMU_UNMAP_DMA, pack("IIQQ", calcsize("IIQQ"), 0, iova, PAGE))
        return True

    def _open(self, path: str) -> int:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._files.callback(os.close, file)
        return file


class OwnNode:
    """A function by its own node. Use: with OwnNode(address) as node: ..."""

    def __init__(self, address: PciAddress) -> None:
        self._files = ExitStack()
        with named("find the node"):
            (name,) = os.listdir(f"/sys/bus/pci/devices/{address}/vfio-dev")
        with named("open the node"):
            self._device = self._open(f"/dev/vfio/devices/{name}")
        self._iommufd = self._open("/dev/iommu")
        self._page = mmap.mmap(-1, PAGE)
        self._space, self._bound = 0, False

    def __enter__(self) -> OwnNode:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def viable(self) -> bool:
        """False: EPERM of the bind, which takes the whole group."""
        try:
            self._bind()
        except Refused as why:
            if why.args == ("BIND_IOMMUFD: EPERM",):
                return False
            raise
        return True

    def attach(self) -> None:
        self._bind()
        with named("IOAS_ALLOC"):
            self._space = unpack_from("III", fcntl.ioctl(self._iommufd, IOMMU_IOAS_ALLOC, pack("III", 12, 0, 0)))[2]
        with named("ATTACH_IOMMUFD_PT"):
            fcntl.ioctl(self._device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, pack("III", 12, 0, self._space))

    def take(self, address: PciAddress) -> None:
        """It is open."""

    def ranges(self) -> list[Span]:
        most = 64
        found = bytearray(16 * most)
        at = addressof(c_char.from_buffer(found))
        with named("IOAS_IOVA_RANGES"):
            request = pack("IIIIQQ", 32, self._space, most, 0, at, 0)
            count = unpack_from("III", fcntl.ioctl(self._iommufd, IOMMU_IOAS_IOVA_RANGES, request))[2]
        return [Span.between(*unpack_from("QQ", found, 16 * n)) for n in range(count)]

    def maps(self, iova: int) -> bool:
        """One page there and gone again; False: EINVAL."""
        memory = addressof(c_char.from_buffer(self._page))
        request = pack("IIIIQQQ", 40, FIXED_READ_AND_WRITE, self._space, 0, memory, PAGE, iova)
        try:
            with named("IOAS_MAP"):
                fcntl.ioctl(self._iommufd, IOMMU_IOAS_MAP, request)
        except Refused as why:
            if why.args == ("IOAS_MAP: EINVAL",):
                return False
            raise
        fcntl.ioctl(self._iommufd, IOMMU_IOAS_UNMAP, pack("IIQQ", 24, self._space, iova, PAGE))
        return True

    def _bind(self) -> None:
        if not self._bound:
            with named("BIND_IOMMUFD"):
                fcntl.ioctl(self._device, VFIO_DEVICE_BIND_IOMMUFD, pack("IIiI", 16, 0, self._iommufd, 0))
            self._bound = True

    def _open(self, path: str) -> int:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._files.callback(os.close, file)
        return file
