"""The MSI-X table as the guest has it (PCI Local Bus 3.0, 6.8.2): its writes in, messages out. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from launcher.plan.changes import Vector
from launcher.values import Span

ENTRY = 16
MASKED = 1  # vector control, bit 0
MOST_VECTORS = 2048


def table_span(offset: int, vectors: int) -> Span:
    """The table's offset in its BAR -> its bytes there: 16 for each vector."""
    return Span(offset, ENTRY * vectors)


def pending_span(offset: int, vectors: int) -> Span:
    """The pending bits' offset in their BAR -> their bytes there: a bit for each vector, in words of 64."""
    return Span(offset, 8 * -(-vectors // 64))


def tables_in(bar: int, spans: Iterable[tuple[int, Span]]) -> tuple[Span | None, Span | None]:
    """The spans of table and pending bits that are in this BAR; `spans` has BAR and place of both, or nothing."""
    table, pending = [span if index == bar else None for index, span in spans] or (None, None)
    return table, pending


class MsixTable:
    """Entries start masked and zero, as after a reset.

    A guest may write to each of 2048 entries: what they say is kept, not looked for again at each write.
    """

    def __init__(self, vectors: int) -> None:
        self.vectors = min(vectors, MOST_VECTORS)
        self._bytes = bytearray((bytes(12) + MASKED.to_bytes(4, "little")) * self.vectors)
        self._messages: list[Vector | None] = [None] * self.vectors
        self._used = 0  # one more than the last vector that is unmasked or has an address

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes at `offset` from the table's start. What is behind the table is zero."""
        return bytes(self._bytes[offset : offset + size]).ljust(size, b"\0")

    def write(self, offset: int, data: bytes) -> bool:
        """Take what the guest writes at `offset` from the table's start. True: `messages` are others now."""
        inside = data[: max(len(self._bytes) - offset, 0)]
        for place, byte in enumerate(inside, offset):
            self._bytes[place] = byte & (MASKED if place % ENTRY == 12 else 0 if place % ENTRY > 12 else 0xFF)
        touched = range(offset // ENTRY, -(-(offset + len(inside)) // ENTRY)) if inside else range(0)
        before = self._used, [self._messages[vector] for vector in touched]
        for vector in touched:
            self._messages[vector] = self._message(vector)
            self._count(vector)
        return before != (self._used, [self._messages[vector] for vector in touched])

    @property
    def messages(self) -> tuple[Vector | None, ...]:
        """The messages of the vectors in use, by vector; None is one that the guest masks."""
        return tuple(self._messages[: self._used])

    def _message(self, vector: int) -> Vector | None:
        at = vector * ENTRY
        if self._bytes[at + 12] & MASKED:
            return None
        entry = self._bytes[at : at + 12]
        return Vector(int.from_bytes(entry[:8], "little") & ~3, int.from_bytes(entry[8:], "little"))

    def _count(self, vector: int) -> None:
        if vector >= self._used and self._in_use(vector):
            self._used = vector + 1
        while self._used and not self._in_use(self._used - 1):
            self._used -= 1

    def _in_use(self, vector: int) -> bool:
        at = vector * ENTRY
        return any(self._bytes[at : at + 8]) or not self._bytes[at + 12] & MASKED
