"""The bytes of a function's MSI-X table, which C has: its driver reads and writes them there."""

from __future__ import annotations

from launcher.native import ffi, lib
from launcher.typed import Any


class MsixEntries:
    """vCPUs may read and write them at any time; those of their writes that change a message, or who has a vector, come
    back from Vcpu.run, and are done here."""

    def __init__(self, vectors: int) -> None:
        self._bytes: Any = ffi.new("uint8_t[]", max(lib.MSIX_ENTRY * vectors, 1))
        self.pointer: Any = ffi.new("struct msix *")
        if lib.msix_create(self.pointer, self._bytes, vectors):
            raise ValueError(f"{vectors} vectors")

    def read(self, offset: int, size: int) -> bytes:
        """At most 8, as an access has them."""
        return int(lib.msix_read(self.pointer, offset, size)).to_bytes(8, "little")[:size]

    def write(self, offset: int, data: bytes) -> None:
        lib.msix_write(self.pointer, offset, len(data), int.from_bytes(data, "little"), True)
