"""Option ROMs of PCI cards, made by their parts."""

from __future__ import annotations

import struct


def image(
    vendor: int = 0x10DE,
    device: int = 0x2684,
    units: int = 4,
    last: bool = True,
    code: int = 0,
    devices: tuple[int, ...] = (),
) -> bytes:
    """One image that adds up; `devices` makes it one of revision 3 with a device list."""
    body = bytearray(units * 512)
    body[0:3] = b"\x55\xaa" + bytes([units])
    struct.pack_into("<H", body, 0x18, 0x40)
    listed, revision = (0x20, 3) if devices else (0, 0)
    struct.pack_into("<4sHHHHB", body, 0x40, b"PCIR", vendor, device, listed, 0x18, revision)
    struct.pack_into("<HHBB", body, 0x50, units, 0, code, 0x80 if last else 0)
    struct.pack_into(f"<{len(devices)}H", body, 0x60, *devices)
    body[-1] = -sum(body) % 256
    return bytes(body)
