"""Functions with open descriptors in; those whose bus must be reset, reset; those that no reset reaches, out.

A function that can be reset by itself is reset by VFIO for the first who opens it and after the last who closes it,
unless the host is just taking it away (vfio_pci_core_enable and _disable in drivers/vfio/pci/vfio_pci_core.c; vfio-pci
has done so since Linux 3.6). The driver of a mediated device waits to be told. A reset takes 100 ms and more (PCI
Express 5.0, 6.6.2), and is not asked for twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from launcher.kernel.api import AddressSpaces, Device
from launcher.values import Mdev


def reset(devices: Sequence[Device], spaces: AddressSpaces) -> set[Device]:
    """Best effort: what no reset reaches is answered."""
    left = {device for device in devices if not _resets_itself(device)}
    for device in devices:
        if device in left and not isinstance(device.address, Mdev):
            with suppress(OSError):
                together = spaces.reset_bus(device)
                left = {one for one in left if one.address not in together}
    return left


def _resets_itself(device: Device) -> bool:
    with suppress(OSError):
        able = device.resets_itself()
        if able and isinstance(device.address, Mdev):
            device.reset()
        return able
    return False
