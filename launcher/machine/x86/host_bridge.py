"""The host bridge, as configuration space. Pure."""

from __future__ import annotations

import struct

from launcher.machine.pci import CONFIG_SIZE, CONVENTIONAL_CONFIG

RED_HAT, GENERIC_HOST_BRIDGE = 0x1B36, 0x0008
HOST_BRIDGE_CLASS = 0x060000


def host_bridge() -> bytes:
    """A bridge without registers of its own: type 0 header, PCI Local Bus 3.0, 6.1."""
    header = struct.pack("<HHHHI", RED_HAT, GENERIC_HOST_BRIDGE, 0, 0, HOST_BRIDGE_CLASS << 8)
    return header.ljust(CONVENTIONAL_CONFIG, b"\0").ljust(CONFIG_SIZE, b"\xff")
