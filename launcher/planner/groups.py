"""(chosen devices, host) -> what becomes of the rest of their IOMMU groups, and which groups are not usable. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from launcher.errors import Diagnostic
from launcher.planner.functions import VFIO_DRIVERS, aligned, is_bridge, leads_to_a_bus, show
from launcher.planner.places import field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, IommuGroup, PciFunction, ReservedRegion
    from launcher.planner.choose import Choice

# Drivers under which a member does no DMA of the host's (driver_managed_dma in the kernel's sources).
_HARMLESS = (None, "pci-stub", "pcieport", *VFIO_DRIVERS)


@dataclass(frozen=True, slots=True)
class Companion:
    """A member of a group that a host driver holds and nobody asked for; `alias` is the device it comes with."""

    alias: str
    function: PciFunction
    fate: Literal["refuse", "detach", "attach"]


def groups_of(choices: tuple[Choice, ...], host: HostFacts) -> tuple[IommuGroup, ...]:
    """The groups of the chosen devices, by number."""
    numbers = {choice.function.group for choice in choices if choice.function}
    return tuple(sorted((one for one in host.groups if one.number in numbers), key=lambda one: one.number))


def companions_of(choices: tuple[Choice, ...], host: HostFacts) -> tuple[Companion, ...]:
    """The first alias of the group, in file order, that wants companions taken decides for its group."""
    asked = {choice.function.address for choice in choices if choice.function}
    functions = {one.address: one for one in host.pci}
    found = []
    for group in groups_of(choices, host):
        decider = _decider(group, choices)
        rest = (functions[member] for member in group.devices if member not in asked and member in functions)
        held = (one for one in rest if not harmless(one, host.kernel))
        found += [Companion(decider.alias, one, decider.device.companions) for one in held]
    return tuple(found)


def _decider(group: IommuGroup, choices: tuple[Choice, ...]) -> Choice:
    inside = [choice for choice in choices if choice.function and choice.function.group == group.number]
    return next((choice for choice in inside if choice.device.companions != "refuse"), inside[0])


def harmless(one: PciFunction, kernel: str) -> bool:
    """Until 5.18 any driver of a PCI bridge was; since then the driver has to say that it does no DMA."""
    return one.driver in _HARMLESS or (leads_to_a_bus(one) and release(kernel) < (5, 19))


def release(kernel: str) -> tuple[int, int]:
    """`6.12.9-amd64` -> (6, 12)."""
    match = re.match(r"([0-9]+)\.([0-9]+)", kernel)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def check_groups(
    choices: tuple[Choice, ...], companions: tuple[Companion, ...], host: HostFacts
) -> Iterator[Diagnostic]:
    if choices and host.iommu is None:
        yield _no_iommu()
    else:
        ungrouped = ((one, one.function) for one in choices if one.function and one.function.group is None)
        yield from (_no_group(choice, function) for choice, function in ungrouped)
    for group in groups_of(choices, host):
        culprits = [one for one in companions if one.function.group == group.number and one.fate == "refuse"]
        if culprits:
            yield _not_usable(group, culprits, choices, host)
        yield from _check_direct(group, _decider(group, choices), host)


def _no_iommu() -> Diagnostic:
    """Whatever the devices are, and whether they are there."""
    help_ = ("switch on VT-d or AMD-Vi in the firmware", "on Intel also boot the host with `intel_iommu=on iommu=pt`")
    return Diagnostic("E209", "this host has no IOMMU in use, and devices need one", field("devices"), help=help_)


def _no_group(choice: Choice, function: PciFunction) -> Diagnostic:
    fact = f"{choice.alias}: {function.address} is behind no IOMMU, so it cannot be isolated"
    return Diagnostic("E208", fact, field(f"devices.{choice.alias}.pci"), help=("put it into another slot",))


def _not_usable(
    group: IommuGroup, culprits: list[Companion], choices: tuple[Choice, ...], host: HostFacts
) -> Diagnostic:
    alias = culprits[0].alias
    choice = next(one for one in choices if one.alias == alias)
    fact = f"{alias}: IOMMU group {group.number} is not usable: the host still holds {_names(culprits)}"
    guests = [one for one in culprits if not is_bridge(one.function)]
    attach = f"{choice.adding('companions', 'attach')} to give {_names(guests)} to the guest too"
    taken = f"take {_names(culprits)} from the host and give it to nobody"
    help_ = (*((attach,) if guests else ()), f"{choice.adding('companions', 'detach')} to {taken}")
    return Diagnostic("E203", fact, field(f"devices.{alias}.pci"), _members(group, choices, host), help_)


def _names(companions: list[Companion]) -> str:
    return " and ".join(str(one.function.address) for one in companions)


def _members(group: IommuGroup, choices: tuple[Choice, ...], host: HostFacts) -> tuple[str, ...]:
    """The group as evidence: address, what it is, its driver, whether the spec asks for it."""
    asked = {choice.function.address for choice in choices if choice.function}
    rows = [
        (
            str(one.address),
            show(one),
            one.driver or "no driver",
            "asked for" if one.address in asked else "not asked for",
        )
        for one in host.pci
        if one.address in group.devices
    ]
    label = f"group {group.number}: "
    return tuple(f"{label if n == 0 else ' ' * len(label)}{line}" for n, line in enumerate(aligned(rows)))


def _check_direct(group: IommuGroup, choice: Choice, host: HostFacts) -> Iterator[Diagnostic]:
    """`direct` regions are the firmware's own. Intel refuses such a group, AMD does since 6.6 (require_direct)."""
    direct = direct_region(group)
    refuses = host.iommu is None or host.iommu.kind != "AMD-Vi" or release(host.kernel) >= (6, 6)
    if direct is None or not refuses:
        return
    span = f"{direct.start:#x}-{direct.last:#x}"
    fact = f"{choice.alias}: the firmware keeps {span} for a device of IOMMU group {group.number}"
    help_ = ("switch off what uses it in the firmware (USB legacy, iLO, RAID monitoring)", "or take another device")
    yield Diagnostic("E215", fact, field(f"devices.{choice.alias}"), help=help_)


def direct_region(group: IommuGroup) -> ReservedRegion | None:
    regions = group.reserved if isinstance(group.reserved, tuple) else ()
    return next((one for one in regions if one.kind == "direct"), None)
