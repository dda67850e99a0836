"""A function of VFIO's in; parts of its BARs as dma-bufs, by which iommufd maps them for other functions, out.

They are there since Linux 6.19 (CONFIG_VFIO_PCI_DMABUF), of PCI functions alone.
"""

from __future__ import annotations

import os

from launcher.kernel.call import ioctl
from launcher.kernel.descriptor import Descriptor
from launcher.native import ffi, lib
from launcher.typed import Any


class DmaBufs:
    """Of the function that is open as `fd`. Each serves as long as that is open, in all lives of a guest.

    Nothing is asked twice: a runner that is confined may not.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._made: dict[tuple[int, int, int], Descriptor | None] = {}  # by region, place in it, and size

    def are_there(self) -> bool:
        """VFIO_DEVICE_FEATURE, probed. ENOTTY: the kernel does not know of them; EOPNOTSUPP: its driver makes none."""
        try:
            self._ask(lib.VFIO_DEVICE_FEATURE_PROBE | lib.VFIO_DEVICE_FEATURE_GET)
        except OSError:
            return False
        return True

    def of(self, index: int, offset: int, size: int) -> int | None:
        """A descriptor, which stays ours; None: of that part there is none."""
        place = (index, offset, size)
        if place not in self._made:
            self._made[place] = self._make(*place) if self.are_there() else None
        made = self._made[place]
        return None if made is None else made.fd

    def close(self) -> None:
        while self._made:
            if (made := self._made.popitem()[1]) is not None:
                made.close()

    def _make(self, index: int, offset: int, size: int) -> Descriptor | None:
        """Of one range: iommufd takes no more. EINVAL: it is not all memory of that BAR, in whole pages."""
        what = {"region_index": index, "open_flags": os.O_RDWR | os.O_CLOEXEC, "nr_ranges": 1}
        try:
            return Descriptor(self._ask(lib.VFIO_DEVICE_FEATURE_GET, offset=offset, length=size, **what))
        except OSError:
            return None

    def _ask(self, how: int, **more: Any) -> int:
        request = ffi.new("struct bar_dma_buf *", more)
        request.argsz, request.flags = ffi.sizeof(request[0]), how | lib.VFIO_DEVICE_FEATURE_DMA_BUF
        return ioctl(self._fd, "VFIO_DEVICE_FEATURE", request)
