"""What firmware is told by its machine, as items of QEMU's fw_cfg (docs/specs/fw_cfg.rst). Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from launcher.machine.board import FwCfgItems
from launcher.values import Span

Content = bytes | Callable[[], bytes]  # what is made when the guest selects it has the same size each time

SIGNATURE, INTERFACE, PROCESSORS, MOST_PROCESSORS, DIRECTORY, FIRST_FILE = 0x00, 0x01, 0x05, 0x0F, 0x19, 0x20
HAS_PORTS, HAS_DMA = 1, 2


class FwCfg:
    """`items` answer the guest, and ask here before they give what is made when the guest selects it."""

    ports, trap = Span(0x510, 12), "fw-cfg"

    def __init__(self, files: Mapping[str, Content], processors: int, items: FwCfgItems) -> None:
        count, names = struct.pack("<H", processors), sorted(files)
        made = {name: content if isinstance(content, bytes) else content() for name, content in files.items()}
        for key, content in {
            SIGNATURE: b"QEMU",
            INTERFACE: struct.pack("<I", HAS_PORTS | HAS_DMA),
            PROCESSORS: count,
            MOST_PROCESSORS: count,
            DIRECTORY: _directory({name: len(made[name]) for name in names}),
        }.items():
            items.put(key, content)
        numbered = {FIRST_FILE + n: files[name] for n, name in enumerate(names)}
        self._items = items
        self._make = {key: content for key, content in numbered.items() if not isinstance(content, bytes)}
        for key, name in enumerate(names, FIRST_FILE):
            items.put(key, made[name], asks=key in self._make)

    def read(self, offset: int, size: int) -> int:
        return self._items.read(offset, size)

    def write(self, offset: int, data: bytes) -> None:
        for key, make in self._make.items():
            self._items.put(key, make(), asks=True)
        self._items.write(offset, data)


def _directory(sizes: Mapping[str, int]) -> bytes:
    """The files in the order of their keys."""
    entries = (
        struct.pack(">IHH56s", size, key, 0, name.encode())
        for key, (name, size) in enumerate(sizes.items(), FIRST_FILE)
    )
    return struct.pack(">I", len(sizes)) + b"".join(entries)
