"""What firmware asks of its machine, which C answers: items by number in, what the guest reads of them out."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.kernel.api import MemoryPart
from launcher.native import ffi, lib
from launcher.typed import Any


class FwCfgItems:
    """vCPUs may read and write at any time; those of their writes that select an item which asks come back from
    Vcpu.run, and are done here."""

    def __init__(self, memory: Sequence[MemoryPart]) -> None:
        """`memory` is the guest's RAM, which is read and written to by DMA."""
        self._memory: Any = ffi.new("struct fw_cfg_memory[]", [(one.guest, one.size, one.address) for one in memory])
        self._content: dict[int, bytes] = {}  # what C has pointers to
        self.pointer: Any = ffi.new("struct fw_cfg *")
        lib.fw_cfg_create(self.pointer, self._memory, len(memory))

    def put(self, key: int, content: bytes, *, asks: bool = False) -> None:
        """In place of what it was before. `asks`: who selects it is to be asked about. ValueError: no such key."""
        if lib.fw_cfg_put(self.pointer, key, ffi.from_buffer(content), len(content), asks):
            raise ValueError(f"item {key:#x} of fw_cfg")
        self._content[key] = content

    def read(self, offset: int, size: int) -> int:
        return int(lib.fw_cfg_read(self.pointer, offset, size)) & (1 << 8 * size) - 1

    def write(self, offset: int, data: bytes) -> None:
        lib.fw_cfg_write(self.pointer, offset, len(data), int.from_bytes(data, "little"), True)
