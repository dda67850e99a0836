"""A PCI function in; what kind of function and of driver it has out. Pure."""

from __future__ import annotations

from launcher.host.facts import Config
from launcher.spec.kinds import is_of
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launcher.host.facts import PciFunction
    from launcher.values import PciAddress

# Drivers that hand a device to user space: vfio-pci and its variants.
VFIO_DRIVERS = (
    "vfio-pci", "mlx5_vfio_pci", "hisi_acc_vfio_pci", "pds_vfio_pci", "qat_vfio_pci", "virtio_vfio_pci",
    "nvgrace_gpu_vfio_pci", "xe-vfio-pci", "ism_vfio_pci",
)  # fmt: skip

# Intel QAT, DSA and IAX with errata that reach beyond the guest (vfio_pci_dev_in_denylist in vfio_pci.c).
DENYLISTED = (
    "8086:0435", "8086:0443", "8086:19e2", "8086:19e3", "8086:37c8", "8086:37c9", "8086:0b25", "8086:0cfe",
)  # fmt: skip

NVIDIA = "10de:"
FIRST_VMD_DOMAIN = 0x10000  # drivers/pci/controller/vmd.c

# PCI classes (PCI Code and ID Assignment 1.15, 1.7). 0680, "other bridge", is not here: an NVSwitch is one.
_TO_ANOTHER_BUS = ("0604", "0607", "0609")
_PART_OF_THE_BOARD = ("0600", "0601")
VGA = "0300"  # the legacy VGA registers, whatever is behind them


def is_kind(one: PciFunction, *kinds: str) -> bool:
    """Each a word of `match.class`, or the first hex digits of a class."""
    return any(is_of(kind, one.class_code, one.id) for kind in kinds)


def on_vfio(one: PciFunction) -> bool:
    """Ready to be given to a guest: a driver that registered it with VFIO has it.

    Whoever asks about a device asks this. Any driver may register one, and since 6.1 each that did has a vfio-dev; the
    names are for older kernels, and for the question whether a driver of that name is one of VFIO's.
    """
    return one.vfio is not None or one.driver in VFIO_DRIVERS


def only_by_its_own_driver(one: PciFunction) -> bool:
    """A vGPU of NVIDIA's is a virtual function that NVIDIA's driver registers with VFIO once it has a type. vfio-pci is
    refused (EINVAL: kubevirt/kubevirt#17642; NVIDIA vGPU 17 User Guide, "vendor-specific VFIO framework")."""
    return one.physical_function is not None and one.id.startswith(NVIDIA)


def leads_to_a_bus(one: PciFunction) -> bool:
    """Its configuration header is that of a bridge."""
    if isinstance(one.config, Config) and not one.config.dead:
        return one.config.header != 0
    return one.class_code.startswith(_TO_ANOTHER_BUS)


def is_bridge(one: PciFunction) -> bool:
    """Also host and ISA bridges: nothing a guest could have."""
    return leads_to_a_bus(one) or one.class_code.startswith((*_TO_ANOTHER_BUS, *_PART_OF_THE_BOARD))


def bridges_above(one: PciFunction, functions: Mapping[PciAddress, PciFunction]) -> Iterator[PciFunction]:
    """Between it and the root of its bus, the nearest first. A recorded host may say that they are above each other."""
    seen: set[PciAddress] = set()
    while one.parent and one.parent not in seen and (bridge := functions.get(one.parent)) is not None:
        seen.add(one.parent)
        yield bridge
        one = bridge


def behind_vmd(one: PciFunction) -> bool:
    """There as long as the driver vmd has the controller above it; Linux counts its domains from 10000."""
    return one.address.domain >= FIRST_VMD_DOMAIN
