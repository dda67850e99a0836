"""Things that are open in the fake kernel, and its way of saying no."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from launcher.kernel.api import Progress
    from tests.fakes.kernel import FakeKernel


def refuse(error: int, call: str) -> NoReturn:
    raise OSError(error, os.strerror(error), call)


class Handle:
    """Something open: closed once, and after what was opened later, unless that is `late`: nobody waits for it. Those
    of one kind may go beside each other, and what is `idle`, which nothing hangs on, at any time."""

    late = idle = False

    def __init__(self, kernel: FakeKernel) -> None:
        self.kernel = kernel
        self.closed = False
        kernel.open.append(self)

    def close(self) -> None:
        if self.closed:
            return
        waited = (one for one in reversed(self.kernel.open) if not (one.late or type(one) is type(self)) or one is self)
        newest = next(waited)
        if newest is not self and not self.idle:
            self.kernel.untidy.append(f"{type(self).__name__} closed before {type(newest).__name__}")
        self.kernel.open.remove(self)
        self.closed = True


class Mappable(Handle):
    """Host addresses that memslots and the IOMMU may point to."""

    def __init__(self, kernel: FakeKernel, size: int) -> None:
        super().__init__(kernel)
        self.size = size
        self.slots = 0  # memslots that point here

    def close(self) -> None:
        if not self.closed:
            if self.slots:
                self.kernel.untidy.append(f"{type(self).__name__} closed under a memslot")
            if any(memory is self for space in self.kernel.spaces for memory in space.maps.values()):
                self.kernel.untidy.append(f"{type(self).__name__} closed while mapped for DMA")
        super().close()


class FakeMemory(Mappable):
    late = True

    def __init__(self, kernel: FakeKernel, size: int, *, shared: bool = False) -> None:
        super().__init__(kernel, size)
        self.written: dict[int, bytes] = {}
        self.file = 1 << 21 if shared else None
        self.address = 0x7F00_0000_0000 + id(self) % (1 << 30) * (1 << 12)

    def populate(self, threads: int, progress: Progress) -> None:
        progress(self.size // 2)
        self.kernel.call("MADV_POPULATE_WRITE")
        progress(self.size)

    def write(self, offset: int, data: bytes) -> None:
        assert offset >= 0
        assert offset + len(data) <= self.size
        self.written[offset] = bytes(data)

    def read(self, offset: int, size: int) -> bytes:
        return self.written.get(offset, b"")[:size].ljust(size, b"\0")
