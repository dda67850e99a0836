"""The MSI-X table and pending bits as the guest has them (PCI Local Bus 3.0, 6.8.2). Pure."""

from __future__ import annotations

from launcher.plan.changes import Vector

ENTRY = 16
MASKED = 1  # vector control, bit 0
MOST = 2048


class MsixTable:
    """Entries start masked and zero, as after a reset."""

    def __init__(self, vectors: int) -> None:
        self.vectors = min(vectors, MOST)
        self._bytes = bytearray(ENTRY * self.vectors)
        self.reset()

    def reset(self) -> None:
        self._bytes[:] = (bytes(12) + MASKED.to_bytes(4, "little")) * self.vectors

    def read(self, offset: int, size: int) -> bytes:
        """`offset` from the table's start. What is behind it is zero."""
        return bytes(self._bytes[offset : offset + size]).ljust(size, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        for place, byte in enumerate(data, offset):
            if 0 <= place < len(self._bytes):
                self._bytes[place] = byte & (MASKED if place % ENTRY == 12 else 0 if place % ENTRY > 12 else 0xFF)

    def message(self, vector: int) -> Vector | None:
        """None while it is masked."""
        at = vector * ENTRY
        entry = self._bytes[at : at + ENTRY]
        if entry[12] & MASKED:
            return None
        return Vector(int.from_bytes(entry[:8], "little") & ~3, int.from_bytes(entry[8:12], "little"))

    @property
    def used(self) -> int:
        """One more than the last vector that the guest has unmasked or given an address."""
        for vector in reversed(range(self.vectors)):
            at = vector * ENTRY
            if any(self._bytes[at : at + 8]) or not self._bytes[at + 12] & MASKED:
                return vector + 1
        return 0
