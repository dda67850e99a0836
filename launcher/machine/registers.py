"""Configuration space as bytes of four kinds: ours, the guest's, the device's, and forwarded. Pure.

The policy of a register is written as three masks over the same bytes:
  own      bits that the guest reads from here; the others are read from the device when it asks
  guest    of these, the bits that the guest can change
  forward  whole bytes whose writes go to the device
What has none of them reads as the device has it and cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from launcher.plan.changes import Forward

Ask = Callable[[int, int], bytes]  # offset, size -> what the device has there


class Registers:
    def __init__(self, size: int) -> None:
        self.size = size
        self._value, self._own, self._guest = bytearray(size), bytearray(size), bytearray(size)
        self._forward = bytearray(size)

    def own(self, offset: int, value: bytes, guest: bytes = b"") -> None:
        """All bits of these bytes are ours; `guest` says which of them the guest can change."""
        self._value[offset : offset + len(value)] = value
        self._own[offset : offset + len(value)] = b"\xff" * len(value)
        self._guest[offset : offset + len(value)] = guest.ljust(len(value), b"\0")
        self._forward[offset : offset + len(value)] = bytes(len(value))

    def own_bits(self, offset: int, value: int, mask: int) -> None:
        """These bits of one byte are ours, and the guest cannot change them; writes of the byte go nowhere any more."""
        self._value[offset], self._own[offset] = value & mask, mask
        self._guest[offset], self._forward[offset] = 0, 0

    def forward(self, offset: int, size: int) -> None:
        """Writes of these bytes go to the device, where the bytes are not ours."""
        for place in range(offset, min(offset + size, self.size)):
            self._forward[place] = not self._own[place]

    def remember(self, offset: int, mask: int) -> None:
        """These bits of one byte read as the guest has written them, 0 at first, wherever its writes go."""
        self._own[offset] |= mask
        self._guest[offset] |= mask

    def value(self, offset: int, size: int) -> int:
        """What we have there, whoever owns the bits."""
        return int.from_bytes(self._value[offset : offset + size], "little")

    def read(self, offset: int, size: int, ask: Ask) -> bytes:
        """The device is only asked about bytes that are not all ours. It may answer with fewer, which are all ones."""
        own, value = self._own[offset : offset + size], self._value[offset : offset + size]
        if all(mask == 0xFF for mask in own):
            return bytes(value)
        live = ask(offset, size)[:size].ljust(size, b"\xff")
        return bytes(mine & mask | theirs & ~mask & 0xFF for mine, mask, theirs in zip(value, own, live, strict=True))

    def asked(self) -> tuple[bytes, bytes]:
        """Not 0: bytes of which the device has bits, so that a read needs it; bytes whose write changes something."""
        reads = bytes(own != 0xFF for own in self._own)
        return reads, bytes(bool(guest or goes) for guest, goes in zip(self._guest, self._forward, strict=True))

    def write(self, offset: int, data: bytes) -> tuple[Forward, ...]:
        for place, byte in enumerate(data, offset):
            mask = self._guest[place]
            self._value[place] = self._value[place] & ~mask & 0xFF | byte & mask
        return tuple(self._forwards(offset, data))

    def _forwards(self, offset: int, data: bytes) -> Iterator[Forward]:
        start = None
        for n in range(len(data) + 1):
            goes = n < len(data) and self._forward[offset + n]
            if goes and start is None:
                start = n
            elif not goes and start is not None:
                yield Forward(offset + start, data[start:n])
                start = None
