"""(chosen devices, host) -> what becomes of the rest of their IOMMU groups, and which groups are not usable. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from launcher.errors import Diagnostic
from launcher.planner.culprits import foreign_member, not_usable
from launcher.planner.functions import behind_vmd, leads_to_a_bus, on_vfio
from launcher.planner.no_iommu import no_group, no_iommu
from launcher.planner.places import field
from launcher.record import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, IommuGroup, PciFunction, ReservedRegion
    from launcher.planner.choose import Choice

# Drivers under which a member does no DMA of the host's (driver_managed_dma in the kernel's sources).
_HARMLESS = (None, "pci-stub", "pcieport")
_HARMLESS_OTHERS = ("vfio-platform", "vfio-amba", "vfio-fsl-mc")


@record
class Companion:
    """A member of a group that a host driver holds and nobody asked for; `alias` is the device it comes with.

    `asked`: it would have come with that device, and an alias further down names it.
    """

    alias: str
    function: PciFunction
    fate: Literal["refuse", "detach", "attach", "asked"]


def groups_of(choices: tuple[Choice, ...], host: HostFacts) -> tuple[IommuGroup, ...]:
    """The groups of the chosen devices, by number."""
    numbers = {choice.function.group for choice in choices if choice.function}
    return tuple(sorted((one for one in host.groups if one.number in numbers), key=lambda one: one.number))


def companions_of(choices: tuple[Choice, ...], host: HostFacts) -> tuple[Companion, ...]:
    """The first alias of the group, in file order, that wants companions taken decides for its group."""
    asked = {choice.function.address: order for order, choice in enumerate(choices) if choice.function}
    functions = {one.address: one for one in host.pci}
    found = []
    for group in groups_of(choices, host):
        decider = _decider(group, choices)
        members = [functions[member] for member in group.devices if member in functions]
        held = [one for one in members if not harmless(one, host.kernel)]
        if any(one.driver == "vmd" for one in members if one.address in asked):
            held = [one for one in held if not behind_vmd(one)]
        fate = decider.device.companions
        found += [Companion(decider.alias, one, fate) for one in held if one.address not in asked]
        later = [one for one in held if asked.get(one.address, -1) > choices.index(decider)] if fate == "attach" else []
        found += [Companion(decider.alias, one, "asked") for one in later]
    return tuple(found)


def _decider(group: IommuGroup, choices: tuple[Choice, ...]) -> Choice:
    inside = [choice for choice in choices if choice.function and choice.function.group == group.number]
    return next((choice for choice in inside if choice.device.companions != "refuse"), inside[0])


def harmless(one: PciFunction, kernel: str) -> bool:
    """Until 5.18 any driver of a PCI bridge was; since then the driver has to say that it does no DMA."""
    return one.driver in _HARMLESS or on_vfio(one) or (leads_to_a_bus(one) and release(kernel) < (5, 19))


def release(kernel: str) -> tuple[int, int]:
    """`6.12.9-amd64` -> (6, 12)."""
    match = re.match(r"([0-9]+)\.([0-9]+)", kernel)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def check_groups(
    choices: tuple[Choice, ...], companions: tuple[Companion, ...], host: HostFacts
) -> Iterator[Diagnostic]:
    if choices and host.iommu is None:
        yield no_iommu(host)
    else:
        ungrouped = ((one, one.function) for one in choices if one.function and one.function.group is None)
        yield from (no_group(choice, function, host) for choice, function in ungrouped)
    for group in groups_of(choices, host):
        culprits = [one for one in companions if one.function.group == group.number and one.fate == "refuse"]
        if culprits:
            yield not_usable(group, culprits, choices, host)
        if foreign := _held_others(group):
            yield foreign_member(group, foreign, _decider(group, choices))
        yield from _check_direct(group, _decider(group, choices), host)


def _held_others(group: IommuGroup) -> dict[str, str]:
    """Members that are no PCI functions, with the drivers that hold them."""
    return {name: driver for name, driver in group.other_drivers.items() if driver not in _HARMLESS_OTHERS}


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
