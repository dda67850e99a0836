"""The name and the UUID of a VM in, SMBIOS tables as bytes out (DMTF DSP0134, 3.4). Pure.

What agents in a guest look for, as cloud-init does: who made the machine, its serial number, its UUID.
"""

from __future__ import annotations

import struct

from launcher.machine.start import Patch
from launcher.machine.x86 import layout
from launcher.machine.x86.acpi import summed
from launcher.version import VERSION

MAKER = "vmlaunch"
FIRMWARE, SYSTEM, CHASSIS, END = 0, 1, 3, 127  # types of structures
ANCHOR = 24  # bytes of the entry point
_NO_BIOS = 1 << 3  # 7.1.1: no characteristics of a BIOS are told
_IS_VIRTUAL = 1 << 4  # 7.1.2.2
_OTHER, _SAFE, _POWER_SWITCH = 1, 3, 6  # kind of chassis; its state; what woke the machine


def tables(name: str, uuid: str) -> bytes:
    """Structures one after the other, without their entry point."""
    firmware = struct.pack("<BBHBBQBBBBBB", 1, 2, 0xE800, 3, 0, _NO_BIOS, 0, _IS_VIRTUAL, 0, 0, 0xFF, 0xFF)
    system = struct.pack("<BBBB16sBBB", 1, 2, 3, 4, _mixed(uuid), _POWER_SWITCH, 0, 2)
    chassis = struct.pack("<BBBBBBBBBIBBBBB", 1, _OTHER, 2, 3, 0, _SAFE, _SAFE, _SAFE, 2, 0, 0, 0, 0, 0, 0)
    return b"".join(
        (
            _structure(FIRMWARE, 0, firmware, MAKER, VERSION, "01/01/2026"),
            _structure(SYSTEM, 1, system, MAKER, "virtual machine", VERSION, name),
            _structure(CHASSIS, 2, chassis, MAKER, VERSION, name),
            _structure(END, 3, b""),
        )
    )


def _mixed(uuid: str) -> bytes:
    """The first three fields have the lowest byte first (7.2.1). Python's own module for UUIDs takes long to import."""
    raw = bytes.fromhex(uuid.replace("-", ""))
    return raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]


def _structure(kind: int, handle: int, body: bytes, *texts: str) -> bytes:
    """6.1.2 and 6.1.3: fields, then the texts that they number from 1 on, then nothing."""
    said = b"".join(text.encode() + b"\0" for text in texts) or b"\0"
    return struct.pack("<BBH", kind, 4 + len(body), handle) + body + said + b"\0"


def anchor(size: int, address: int) -> bytes:
    """The 64-bit entry point (5.2.2) of tables of this size at this address."""
    return summed(struct.pack("<5sBBBBBBBIQ", b"_SM3_", 0, ANCHOR, 3, 4, 0, 1, 0, size, address), 5)


def patches(name: str, uuid: str) -> tuple[Patch, ...]:
    """Where a guest without UEFI looks for them; nothing for a VM that has no name."""
    if not name:
        return ()
    start, made = layout.SMBIOS.start, tables(name, uuid)
    return Patch(start, anchor(len(made), start + 32)), Patch(start + 32, made)
