"""An IOMMU group -> what the kernel allows with it: the calls of linux/vfio.h that tests need, through a container.

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
