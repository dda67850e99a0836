"""The errno of VFIO_DEVICE_BIND_IOMMUFD in; which of its causes it is here, as the host shows them, out.

EBUSY    the node of the group is open; of opening that node: it is open, or a function of it is bound by its own
EINVAL   another descriptor of the function is bound: somebody has it
EPERM    the host has a part of the group, or somebody has another function of it; or interrupts are not remapped, which
         the plan has said
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from errno import EBUSY, EINVAL, ENOENT, EPERM

from launcher.errors import Diagnostic, StepFailed
from launcher.kernel.api import PciDrivers
from launcher.values import host_device
from launcher.vms.holders import openers

BIND = "VFIO_DEVICE_BIND_IOMMUFD"
HARMLESS = ("pci-stub", "pcieport")  # drivers under which a member of a group does no DMA for the host


def refused_bind(group: int, error: OSError, drivers: PciDrivers) -> StepFailed | None:
    """None: it is of another call, or nothing is to be seen."""
    if error.filename != BIND:
        return None
    members = _members(group, drivers)
    if error.errno == EBUSY:
        return _taken(group, (f"/dev/vfio/{group}",))
    if error.errno == EINVAL:
        return _taken(group, _nodes(members, drivers))
    if error.errno == EPERM:
        return _held(group, members, drivers) or _taken(group, _nodes(members, drivers))
    return None


def refused_group(group: int, error: OSError, drivers: PciDrivers) -> StepFailed | None:
    """The same of opening the group by its number; ENOENT: its node goes with its last device."""
    members = _members(group, drivers)
    if error.errno == ENOENT and not members:
        fact = f"IOMMU group {group} has gone since it was planned"
        return StepFailed(Diagnostic("E524", fact, help=("plan again",)))
    if error.errno != EBUSY:
        return None
    return _taken(group, (f"/dev/vfio/{group}", *_nodes(members, drivers)))


def _members(group: int, drivers: PciDrivers) -> dict[str, str | None]:
    with suppress(OSError):  # it has gone
        return drivers.of_group(group)
    return {}


def _held(group: int, members: dict[str, str | None], drivers: PciDrivers) -> StepFailed | None:
    """By a driver of the host's: one that has given its device to VFIO, as NVIDIA's does with vGPUs, is none."""
    for name, driver in members.items():
        if driver is not None and not driver.startswith(HARMLESS) and "vfio" not in driver and not _own(name, drivers):
            fact = f"IOMMU group {group} is not usable: {driver} has {name} for the host"
            return StepFailed(Diagnostic("E521", fact, help=("plan again",)))
    return None


def _nodes(members: dict[str, str | None], drivers: PciDrivers) -> Iterable[str]:
    """Own ones of what VFIO knows; a group may have other members."""
    return filter(None, (_own(name, drivers) for name in members))


def _own(name: str, drivers: PciDrivers) -> str | None:
    with suppress(ValueError):
        return drivers.node(host_device(name))
    return None


def _taken(group: int, nodes: Iterable[str]) -> StepFailed | None:
    """By others than this process."""
    for node in nodes:
        if pids := openers(node):
            who = ", ".join(f"process {pid}" for pid in pids)
            help_ = (f"`ps -f {pids[0]}` shows whose it is",)
            fact = f"IOMMU group {group} is taken by {who}, which has {node} open"
            return StepFailed(Diagnostic("E529", fact, help=help_))
    return None
