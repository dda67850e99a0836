"""(chosen devices, host) -> what becomes of the rest of their IOMMU groups. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.planner.decided import Companion
from launcher.planner.functions import behind_vmd, leads_to_a_bus, on_vfio
from launcher.planner.linux import release

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, IommuGroup, PciFunction
    from launcher.planner.decided import Choice

CONTAINER_NODE = "/dev/vfio/vfio"

# Drivers under which a member does no DMA of the host's (driver_managed_dma in the kernel's sources).
_HARMLESS = (None, "pci-stub", "pcieport")


def groups_of(choices: tuple[Choice, ...], host: HostFacts) -> tuple[IommuGroup, ...]:
    """The groups of the chosen devices, by number."""
    numbers = {choice.function.group for choice in choices if choice.function}
    return tuple(sorted((one for one in host.groups if one.number in numbers), key=lambda one: one.number))


def companions_of(choices: tuple[Choice, ...], host: HostFacts) -> tuple[Companion, ...]:
    """In file order; one alias decides for all of its group."""
    asked = {choice.function.address: order for order, choice in enumerate(choices) if choice.function}
    functions = {one.address: one for one in host.pci}
    found = []
    for group in groups_of(choices, host):
        decider = decider_of(group, choices)
        members = [functions[member] for member in group.devices if member in functions]
        held = [one for one in members if not harmless(one, host.kernel)]
        if any(one.driver == "vmd" for one in members if one.address in asked):
            held = [one for one in held if not behind_vmd(one)]
        wanted = decider.device.companions
        found += [Companion(decider.alias, one, wanted) for one in held if one.address not in asked]
        if wanted == "attach":
            later = (one for one in held if asked.get(one.address, -1) > choices.index(decider))
            found += [Companion(decider.alias, one, "asked") for one in later]
    return tuple(found)


def decider_of(group: IommuGroup, choices: tuple[Choice, ...]) -> Choice:
    """The first alias of the group that wants companions taken, or else the first of all."""
    inside = [choice for choice in choices if choice.function and choice.function.group == group.number]
    return next((choice for choice in inside if choice.device.companions != "refuse"), inside[0])


def harmless(one: PciFunction, kernel: str) -> bool:
    """Until 5.18 any driver of a PCI bridge was; since then the driver has to say that it does no DMA."""
    return one.driver in _HARMLESS or on_vfio(one) or (leads_to_a_bus(one) and release(kernel) < (5, 19))
