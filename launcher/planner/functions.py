"""What a PCI function is, for the rules: its driver's kind, its class, its name. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.host.facts import PciFunction

# Drivers that hand a device to user space: vfio-pci and its variants.
VFIO_DRIVERS = (
    "vfio-pci", "mlx5_vfio_pci", "hisi_acc_vfio_pci", "pds_vfio_pci", "qat_vfio_pci", "virtio_vfio_pci",
    "nvgrace_gpu_vfio_pci", "xe_vfio_pci",
)  # fmt: skip

# PCI classes (PCI Code and ID Assignment 1.15, 1.7). 0680, "other bridge", is not here: an NVSwitch is one.
_TO_ANOTHER_BUS = ("0604", "0607", "0609")
_PART_OF_THE_BOARD = ("0600", "0601")


def leads_to_a_bus(one: PciFunction) -> bool:
    """Its configuration header is that of a bridge."""
    return one.class_code.startswith(_TO_ANOTHER_BUS)


def is_bridge(one: PciFunction) -> bool:
    """Also host and ISA bridges: nothing a guest could have."""
    return one.class_code.startswith((*_TO_ANOTHER_BUS, *_PART_OF_THE_BOARD))


def show(one: PciFunction) -> str:
    return f"{one.id} {one.name}" if one.name else one.id


def aligned(rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """A line for each row; columns that are empty in all of them are left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return tuple("  ".join(cells).rstrip() for cells in zip(*padded, strict=True))
