"""The PC's clock with its 128 bytes (MC146818): the time of the host in, registers out. Pure.

The guest may read how much RAM there is, as firmware does, and keep bytes of its own until the machine starts anew. The
clock is the host's: what sets it is taken and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from launcher.values import KIB, MIB, Span

INDEX, DATA = 0, 1  # ports
REGISTER_A, REGISTER_B, REGISTER_C, REGISTER_D, CENTURY = 0x0A, 0x0B, 0x0C, 0x0D, 0x32
DIVIDER, HOURS_24, BINARY, PM, VALID = 0x26, 0x02, 0x04, 0x80, 0x80
HOURS = 4
# Register -> which element of a struct_time.
TIME = {0x00: 5, 0x02: 4, HOURS: 3, 0x06: 6, 0x07: 2, 0x08: 1, 0x09: 0, CENTURY: 0}
READ_ONLY = {*TIME, REGISTER_A, REGISTER_C, REGISTER_D}
BASE, EXTENDED, ABOVE_16, ABOVE_4G = 0x15, (0x17, 0x30), 0x34, 0x5B  # memory, as a PC's firmware counts it


class Cmos:
    ports, trap = Span(0x70, 2), "model"

    def __init__(self, below_4g: int, above_4g: int, now: Callable[[], Sequence[int]]) -> None:
        """Bytes of RAM; `now` is UTC as a struct_time."""
        self._index, self._now = 0, now
        self._bytes = bytearray(128)
        self._bytes[REGISTER_A], self._bytes[REGISTER_B], self._bytes[REGISTER_D] = DIVIDER, HOURS_24, VALID
        self._put(BASE, 640, 2)
        for place in EXTENDED:
            self._put(place, min(max(below_4g - MIB, 0) // KIB, 63 * KIB), 2)
        self._put(ABOVE_16, max(below_4g - 16 * MIB, 0) // (64 * KIB), 2)
        self._put(ABOVE_4G, above_4g // (64 * KIB), 3)

    def read(self, offset: int, size: int) -> int:
        if offset != DATA or size != 1:
            return (1 << 8 * size) - 1
        return self._clock(self._index) if self._index in TIME else self._bytes[self._index]

    def write(self, offset: int, data: bytes) -> None:
        if offset == INDEX:
            self._index = data[0] & 0x7F  # the rest is the NMI's
        elif self._index not in READ_ONLY:
            self._bytes[self._index] = data[0]

    def _put(self, place: int, value: int, size: int) -> None:
        self._bytes[place : place + size] = min(value, (1 << 8 * size) - 1).to_bytes(size, "little")

    def _clock(self, register: int) -> int:
        """In BCD and with 24 hours, unless the guest has chosen otherwise."""
        value, mode = self._now()[TIME[register]], self._bytes[REGISTER_B]
        late = 0
        if register == HOURS and not mode & HOURS_24:
            value, late = (value - 1) % 12 + 1, PM if value >= 12 else 0
        if register == 0x06:
            value = (value + 1) % 7 + 1  # a struct_time has Monday as 0, the chip Sunday as 1
        if TIME[register] == 0:
            value = value // 100 if register == CENTURY else value % 100
        return late | (value if mode & BINARY else value // 10 << 4 | value % 10)
