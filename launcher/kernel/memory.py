"""Guest memory on the host: taken, populated by threads in C, written, released."""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Callable

from launcher.kernel.api import Progress
from launcher.kernel.call import check
from launcher.kernel.threads import Running, start
from launcher.native import ffi, lib
from launcher.typed import Any
from launcher.values import MIB

CHUNK = 64 * MIB
TICK = 0.1  # seconds between two looks at the byte counter


class HostMemory:
    """`page_size` 0: transparent huge pages. OSError ENOMEM when the pages are not to be had.

    `shared`: it is a file in memory, `file`, that other processes may map; else private, and `file` is None. `late`:
    nobody populates it, and what is touched of the file is to have huge pages as private memory has.
    """

    def __init__(
        self, size: int, page_size: int, node: int | None, *, shared: bool = False, late: bool = False
    ) -> None:
        made, file, where = ffi.new("void **"), ffi.new("int *", -1), -1 if node is None else node
        if shared:
            check(lib.memory_take_shared(size, page_size, where, late, file, made), "memfd_create")
        else:
            check(lib.memory_take(size, page_size, where, made), "mmap")
        self.pointer: Any = made[0]
        self.size = size
        self.file: int | None = file[0] if shared else None
        self._chunk = max(CHUNK, page_size)
        self._populate = lib.memory_populate_shared if shared and page_size == 0 else lib.memory_populate

    @property
    def address(self) -> int:
        """In this process."""
        return int(ffi.cast("uintptr_t", self.pointer))

    def populate(self, threads: int, progress: Progress) -> None:
        """Touch every page, so that nothing is left to fault in or to zero under the IOMMU's lock."""
        cursor, done = ffi.new("uint64_t *"), ffi.new("uint64_t *")
        results: list[int] = []
        gate = allocate_lock()

        def work() -> None:
            with gate:  # the kernel gives no thread its stack while another populates
                pass
            results.append(self._populate(self.pointer, self.size, self._chunk, cursor, done))

        crew: list[Running] = []
        try:
            with gate:
                self._gather(crew, threads, work)
            for thread in crew:
                while thread.is_alive():
                    thread.join(TICK)
                    progress(done[0])
        finally:
            cursor[0] = self.size  # whoever asks for the next chunk is done
            for thread in crew:
                thread.join()
        progress(done[0])
        check(min(results), "MADV_POPULATE_WRITE")

    def _gather(self, crew: list[Running], threads: int, work: Callable[[], None]) -> None:
        """Whoever is in `crew` is waited for: who unmaps the memory has to be alone with it. Fewer can do it, too."""
        for _ in range(threads):
            try:
                crew.append(start(work))
            except OSError:
                if crew:
                    return
                raise

    def write(self, offset: int, data: bytes | memoryview) -> None:
        if offset < 0 or offset + len(data) > self.size:
            raise ValueError(f"{len(data)} bytes at {offset:#x} are not inside {self.size:#x}")
        ffi.memmove(self.pointer + offset, data, len(data))

    def read(self, offset: int, size: int) -> bytes:
        return bytes(ffi.buffer(self.pointer + offset, size))

    def close(self) -> None:
        if self.pointer != ffi.NULL:
            lib.memory_release(self.pointer, self.size)
            self.pointer = ffi.NULL
            if self.file is not None:
                os.close(self.file)
