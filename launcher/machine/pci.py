"""The PCI functions that are the machine's own, as configuration space. Pure."""

from __future__ import annotations

import struct

HOST_BRIDGE = 0  # slot 0, function 0
CONFIG_SIZE = 4096
CONVENTIONAL_CONFIG = 256  # the rest is of PCI Express functions alone; of others it reads all ones
RED_HAT, GENERIC_HOST_BRIDGE = 0x1B36, 0x0008
HOST_BRIDGE_CLASS = 0x060000


def host_bridge() -> bytes:
    """A bridge without registers of its own: type 0 header, PCI Local Bus 3.0, 6.1."""
    header = struct.pack("<HHHHI", RED_HAT, GENERIC_HOST_BRIDGE, 0, 0, HOST_BRIDGE_CLASS << 8)
    return header.ljust(CONVENTIONAL_CONFIG, b"\0").ljust(CONFIG_SIZE, b"\xff")
