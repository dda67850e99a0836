"""A function that stays open when the guest's life ends in; its registers as that life found them, out.

VFIO restores them itself when the last descriptor is closed. Those here are all that a guest writes and that the kernel
saves and restores round a reset (pci_save_state): the next life would find them as the last one left them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from launcher.kernel.api import Device
from launcher.machine import capabilities as caps
from launcher.machine.policy import CACHE_LINE, COMMAND, EXPRESS_KIND

Place = tuple[int, int]  # offset and size

# Of PCI Local Bus 3.0, 6.1; PCI Power Management 1.2, 3.2.4; PCI Express 5.0, 7.5.3.4 and 7.5.3.16, 7.8.4.
HEADER: tuple[Place, ...] = ((COMMAND, 2), (CACHE_LINE, 2))
POWER_CONTROL, DEVICE_CONTROL, DEVICE_CONTROL_2 = (4, 2), (8, 2), (0x28, 2)
ERRORS, OF_ERRORS = 0x0001, ((0x08, 4), (0x0C, 4), (0x14, 4), (0x18, 4))  # masks, severity, and control: ECRC


def leave_as_found(device: Device, found: bytes) -> None:
    """`found` is its configuration space as the life began. A device that has gone is left as it is."""
    with suppress(OSError):
        now = device.read_config(0, len(found))
        for offset, size in _places(found):
            if now[offset : offset + size] != found[offset : offset + size]:
                device.write_config(offset, found[offset : offset + size])


def _places(config: bytes) -> Iterator[Place]:
    """Power first: what sleeps takes no other write."""
    first = {one.id: one.offset for one in reversed(list(caps.capabilities(config)))}
    if caps.POWER in first:
        yield _at(first[caps.POWER], POWER_CONTROL)
    yield from HEADER
    if caps.EXPRESS in first:
        yield _at(first[caps.EXPRESS], DEVICE_CONTROL)
        if caps.word(config, first[caps.EXPRESS] + EXPRESS_KIND) & 0xF > 1:
            yield _at(first[caps.EXPRESS], DEVICE_CONTROL_2)
    for one in caps.extended(config):
        yield from (_at(one.offset, place) for place in OF_ERRORS if one.id == ERRORS)


def _at(offset: int, place: Place) -> Place:
    return offset + place[0], place[1]
