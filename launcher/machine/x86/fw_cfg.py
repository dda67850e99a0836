"""What firmware asks of its machine in, files and numbers out: QEMU's fw_cfg, by ports and DMA (docs/specs/fw_cfg.rst).

The guest is hostile: whatever it selects, reads behind an end or gives as an address is zeroes or an error bit.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from launcher.machine.board import GuestMemory
from launcher.values import MIB, Span

Content = bytes | Callable[[], bytes]  # what is made when the guest selects it has the same size each time

SIGNATURE, INTERFACE, PROCESSORS, MOST_PROCESSORS, DIRECTORY, FIRST_FILE = 0x00, 0x01, 0x05, 0x0F, 0x19, 0x20
HAS_PORTS, HAS_DMA = 1, 2
SELECTOR, DATA, DMA_HIGH, DMA_LOW, END = 0, 1, 4, 8, 12  # registers, from the first port on
FAILED, READ, SKIP, SELECT, WRITE = 1, 2, 4, 8, 16  # in a DMA request's control word
MOST = 16 * MIB  # of one transfer


class FwCfg:
    ports = Span(0x510, END)

    def __init__(self, files: Mapping[str, Content], processors: int, memory: GuestMemory) -> None:
        count = struct.pack("<H", processors)
        self._items: dict[int, Content] = {
            SIGNATURE: b"QEMU",
            INTERFACE: struct.pack("<I", HAS_PORTS | HAS_DMA),
            PROCESSORS: count,
            MOST_PROCESSORS: count,
            DIRECTORY: _directory(files),
            **{FIRST_FILE + n: files[name] for n, name in enumerate(sorted(files))},
        }
        self._memory = memory
        self._data, self._at, self._high = b"QEMU", 0, 0

    def read(self, offset: int, size: int) -> int:
        """What nobody has there reads as all ones."""
        if offset == DATA and size == 1:
            return self._take(1)[0]
        if offset >= DMA_HIGH and offset + size <= END:
            return int.from_bytes(b"QEMU CFG"[offset - DMA_HIGH :][:size], "little")
        return (1 << 8 * size) - 1

    def write(self, offset: int, data: bytes) -> None:
        if offset == SELECTOR and len(data) == 2:
            self._select(int.from_bytes(data, "little"))
        elif offset == DMA_HIGH and len(data) == 4:
            self._high = int.from_bytes(data, "big")
        elif offset == DMA_LOW and len(data) == 4:
            self._transfer(self._high << 32 | int.from_bytes(data, "big"))
            self._high = 0

    def _select(self, key: int) -> None:
        found = self._items.get(key, b"")
        self._data, self._at = found if isinstance(found, bytes) else found(), 0

    def _take(self, size: int) -> bytes:
        """Zeroes behind the end."""
        data = self._data[self._at : self._at + size]
        self._at = min(self._at + size, len(self._data))
        return data.ljust(size, b"\0")

    def _transfer(self, request: int) -> None:
        """A request that is in no RAM cannot be answered."""
        try:
            control, length, guest = struct.unpack(">IIQ", self._memory.read(request, 16))
        except ValueError:
            return
        if control & SELECT:
            self._select(control >> 16)
        done = self._moved(control, length, guest)
        self._memory.write(request, struct.pack(">I", 0 if done else FAILED))

    def _moved(self, control: int, length: int, guest: int) -> bool:
        """Nothing here is to be written; a read that does not fit into RAM as a whole moves nothing."""
        if length > MOST or (control & WRITE and not control & READ):
            return False
        if control & READ:
            try:
                self._memory.write(guest, self._take(length))
            except ValueError:
                return False
        elif control & SKIP:
            self._take(length)
        return True


def _directory(files: Mapping[str, Content]) -> bytes:
    entries = [struct.pack(">I", len(files))]
    for n, name in enumerate(sorted(files)):
        content = files[name]
        size = len(content if isinstance(content, bytes) else content())
        entries.append(struct.pack(">IHH56s", size, FIRST_FILE + n, 0, name.encode()))
    return b"".join(entries)
