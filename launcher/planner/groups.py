"""(chosen devices, host) -> what becomes of the rest of their IOMMU groups. Pure."""

from __future__ import annotations

from collections import defaultdict

from launcher.planner.decided import Companion
from launcher.planner.functions import behind_vmd, is_bridge, leads_to_a_bus, on_vfio
from launcher.planner.linux import release
from launcher.record import replace
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.host.facts import HostFacts, IommuGroup, PciFunction
    from launcher.planner.decided import Choice

# Drivers under which a member does no DMA of the host's (driver_managed_dma in the kernel's sources).
_HARMLESS = (None, "pci-stub", "pcieport")


def deciders_of(choices: tuple[Choice, ...], host: HostFacts) -> dict[int, Choice]:
    """Who decides for the rest of a group, by its number.

    The first alias of the group that wants companions taken, or else the first of all; where no alias means a function
    of the group, the one that gets a function of it with the rest of its slot.
    """
    found: dict[int, Choice] = {}
    for choice in choices:
        number = choice.function.group if choice.function else None
        if number is not None and (number not in found or found[number].device.companions == "refuse"):
            found[number] = choice
    for choice, mates in _slots(choices, host):
        for one in mates:
            if one.group is not None:
                found.setdefault(one.group, choice)
    return found


def groups_of(deciders: Mapping[int, Choice], host: HostFacts) -> tuple[IommuGroup, ...]:
    """The groups of all that the guest gets, by number."""
    return tuple(sorted((one for one in host.groups if one.number in deciders), key=lambda one: one.number))


def companions_of(choices: tuple[Choice, ...], host: HostFacts) -> tuple[Companion, ...]:
    """In file order; one alias decides for all of its group, and who attaches for its slot.

    Who attaches gets every endpoint, whatever has it just now: what a guest has is not to hang on that. Otherwise those
    count that a driver of the host's holds, because of which VFIO would not open the group.
    """
    deciders = deciders_of(choices, host)
    slots = {one.address: choice for choice, mates in reversed(_slots(choices, host)) for one in mates}
    asked = {choice.function.address: order for order, choice in enumerate(choices) if choice.function}
    functions = {one.address: one for one in host.pci}
    found = []
    for group in groups_of(deciders, host):
        members = [functions[member] for member in group.devices if member in functions]
        if any(one.driver == "vmd" for one in members if one.address in asked):
            members = [one for one in members if not behind_vmd(one)]
        for one in members:
            choice = deciders[group.number]
            if choice.device.companions != "attach":
                choice = slots.get(one.address, choice)
            attach = choice.device.companions == "attach"
            if harmless(one, host.kernel) and (not attach or is_bridge(one)):
                continue
            if one.address not in asked:
                found.append(Companion(choice.alias, one, choice.device.companions))
            elif attach and asked[one.address] > choices.index(choice):
                found.append(Companion(choice.alias, one, "asked"))
    return tuple(found)


def attached_by(alias: str, choices: tuple[Choice, ...], host: HostFacts) -> tuple[PciFunction, ...]:
    """What `companions: attach` would give the guest with this alias."""
    willing = (
        replace(one, device=replace(one.device, companions="attach")) if one.alias == alias else one for one in choices
    )
    found = companions_of(tuple(willing), host)
    return tuple(one.function for one in found if one.becomes == "attach" and not is_bridge(one.function))


def _slots(choices: tuple[Choice, ...], host: HostFacts) -> list[tuple[Choice, list[PciFunction]]]:
    """Who attaches, and the endpoints of the card: with ACS between them each has a group of its own.

    What is on a root bus is no card but a part of the board, and a virtual function is a device of its own.
    """
    attaching = [(one, one.function) for one in choices if one.function and one.device.companions == "attach"]
    wanted = [(choice, function) for choice, function in attaching if is_on_a_card(function)]
    if not wanted:
        return []
    found: dict[tuple[int, ...], list[PciFunction]] = defaultdict(list)
    for one in host.pci:
        if one.physical_function is None and not is_bridge(one):
            found[_slot(one)].append(one)
    return [(choice, found[_slot(function)]) for choice, function in wanted]


def is_on_a_card(one: PciFunction) -> bool:
    return one.parent is not None and one.physical_function is None


def _slot(one: PciFunction) -> tuple[int, ...]:
    return (one.address.domain, one.address.bus, one.address.device)


def harmless(one: PciFunction, kernel: str) -> bool:
    """Until 5.18 any driver of a PCI bridge was; since then the driver has to say that it does no DMA."""
    return one.driver in _HARMLESS or on_vfio(one) or (leads_to_a_bus(one) and release(kernel) < (5, 19))
