"""The configuration space of a virtio function (virtio 1.2, 4.1.4), with a window to its registers. Pure."""

from __future__ import annotations

import struct

from launcher.machine import capabilities as caps
from launcher.machine.function import Asked
from launcher.machine.virtio import (
    COMMON,
    CONFIG,
    ISR,
    KINDS,
    NOTIFY,
    NOTIFY_STEP,
    PENDING,
    TABLE,
    Kind,
)
from launcher.values import KIB

VENDOR, FIRST_DEVICE, REVISION, SUBSYSTEM = 0x1AF4, 0x1040, 1, 0x1100
_WINDOW, _WINDOW_DATA = 5, 16  # the capability for access by configuration space, and where in it data is


def config_space(kind: Kind, vectors: int) -> bytes:
    """What the device says in its configuration space after a reset."""
    number, pci_class = KINDS[kind]
    image = bytearray(caps.EXTENDED)
    struct.pack_into("<HHHHI", image, 0, VENDOR, FIRST_DEVICE + number, 0, 0x10, pci_class << 8 | REVISION)
    struct.pack_into("<HH", image, 0x2C, VENDOR, SUBSYSTEM)
    image[caps.LIST_POINTER] = at = caps.HEADER
    places = ((1, COMMON, b""), (3, ISR, b""), (4, CONFIG, b""), (2, NOTIFY, NOTIFY_STEP.to_bytes(4, "little")))
    for type_, place, more in (*places, (_WINDOW, 0, bytes(4))):
        size = 16 + len(more)
        head = struct.pack(
            "<BBBBBxxxII", caps.VENDOR, at + size, size, type_, 0, place, 0 if type_ == _WINDOW else 4 * KIB
        )
        image[at : at + size] = head + more
        at += size
    struct.pack_into("<BBHII", image, at, caps.MSIX, 0, vectors - 1, TABLE, PENDING)
    return bytes(image)


class VirtioConfig:
    """Its configuration space behind the model of the function: what that has not as its own.

    In it is a window to the BAR (4.1.4.9), for those that cannot reach memory: firmware.
    """

    def __init__(self, kind: Kind, vectors: int) -> None:
        image = config_space(kind, vectors)
        found = (one.offset for one in caps.capabilities(image) if one.id == caps.VENDOR)
        self._window = next(offset for offset in found if image[offset + 3] == _WINDOW)
        self._image = bytearray(image)

    def image(self, offset: int = 0, size: int = caps.EXTENDED) -> bytes:
        return bytes(self._image[offset : offset + size])

    def asked(self, function: Asked) -> Asked:
        """`function`: what its model is asked about. The rest is the image, but for the window, which is read here."""
        at = self._window + _WINDOW_DATA
        return Asked(bytes(at).ljust(at + 4, b"\1").ljust(len(function.reads), b"\0"), function.writes)

    def write(self, offset: int, data: bytes) -> None:
        """Only the window's own registers keep what is written; what Linux and others write elsewhere is nobody's."""
        for at, byte in enumerate(data, offset):
            inside = at - self._window
            if inside == 4 or 8 <= inside < _WINDOW_DATA:
                self._image[at] = byte
            elif at in (4, 5):  # the command register: memory, bus master, INTx off
                self._image[at] = byte & (0x06 if at == 4 else 0x04)

    def is_window(self, offset: int, size: int) -> bool:
        """The access reaches the registers; no other does."""
        return offset == self._window + _WINDOW_DATA and size <= 4

    def through(self, offset: int, size: int) -> int | None:
        """Where in the BAR an access goes that the window is for; only registers are there."""
        at, length = struct.unpack_from("<II", self._image, self._window + 8)
        shows = self._image[self._window + 4] == 0 and length in (1, 2, 4) and not at % length and at + length <= TABLE
        return at if shows and self.is_window(offset, size) and length == size else None
