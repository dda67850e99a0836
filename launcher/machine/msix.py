"""The MSI-X table as the guest has it (PCI Local Bus 3.0, 6.8.2): its writes in, messages out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from launcher.plan.changes import Vector
from launcher.typed import Protocol
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


class Entries(Protocol):
    """Whoever has the bytes of a table. They start masked and zero, as after a reset."""

    def read(self, offset: int, size: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...


class PlainEntries:
    def __init__(self, vectors: int) -> None:
        self._bytes = bytearray((bytes(12) + MASKED.to_bytes(4, "little")) * vectors)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._bytes[offset : offset + size]).ljust(size, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        for place, byte in enumerate(data[: max(len(self._bytes) - offset, 0)], offset):
            self._bytes[place] = byte & (MASKED if place % ENTRY == 12 else 0 if place % ENTRY > 12 else 0xFF)


class MsixTable:
    """What its bytes mean.

    A guest may write to each of 2048 entries: what they say is kept, not looked for again at each write. A write that
    changes neither a message nor whether a vector is in use need not be told here: nothing follows from it.
    """

    def __init__(self, vectors: int, entries: Callable[[int], Entries] = PlainEntries) -> None:
        self.vectors = min(vectors, MOST_VECTORS)
        self._entries = entries(self.vectors)
        self._messages: list[Vector | None] = [None] * self.vectors
        self._used = 0  # one more than the last vector that is unmasked or has an address

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes at `offset` from the table's start. What is behind the table is zero."""
        return self._entries.read(offset, size)

    def write(self, offset: int, data: bytes) -> bool:
        """Take what the guest writes at `offset` from the table's start. True: `messages` are others now."""
        self._entries.write(offset, data)
        inside = min(len(data), max(ENTRY * self.vectors - offset, 0))
        touched = range(offset // ENTRY, -(-(offset + inside) // ENTRY)) if inside else range(0)
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
        if self._is_masked(vector):
            return None
        data = self._entries.read(vector * ENTRY + 8, 4)
        return Vector(self._address(vector) & ~3, int.from_bytes(data, "little"))

    def _count(self, vector: int) -> None:
        if vector >= self._used and self._in_use(vector):
            self._used = vector + 1
        while self._used and not self._in_use(self._used - 1):
            self._used -= 1

    def _in_use(self, vector: int) -> bool:
        return bool(self._address(vector)) or not self._is_masked(vector)

    def _address(self, vector: int) -> int:
        return int.from_bytes(self._entries.read(vector * ENTRY, 8), "little")

    def _is_masked(self, vector: int) -> bool:
        return bool(self._entries.read(vector * ENTRY + 12, 1)[0] & MASKED)
