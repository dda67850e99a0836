"""Functions with open descriptors in; those whose bus must be reset, reset; those that no reset reaches, out.

A function that can be reset by itself is reset by VFIO for the first who opens it and after the last who closes it,
unless the host is just taking it away (vfio_pci_core_enable and _disable in drivers/vfio/pci/vfio_pci_core.c; vfio-pci
has done so since Linux 3.6). A reset takes 100 ms and more (PCI Express 5.0, 6.6.2), and is not asked for twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from launcher.kernel.api import Device, Group
from launcher.values import PciAddress


def reset(devices: Sequence[Device], groups: Mapping[int, Group]) -> set[Device]:
    """`groups` by number are ours. Best effort: what no reset reaches is answered."""
    left = {device for device in devices if not _resets_itself(device)}
    for device in devices:
        if device in left:
            together = _reset_bus(device, groups)
            left = {one for one in left if one.address not in together}
    return left


def _resets_itself(device: Device) -> bool:
    with suppress(OSError):
        return device.resets_itself()
    return False


def _reset_bus(device: Device, groups: Mapping[int, Group]) -> set[PciAddress]:
    """Whom it reset. The kernel takes the groups of these and no others."""
    with suppress(OSError):
        together = device.hot_reset_set()
        owners = {number for number, _ in together}
        if owners <= groups.keys():
            device.hot_reset([groups[number] for number in sorted(owners)])
            return {address for _, address in together}
    return set()
