"""(devices of the spec, host, terms) -> which PCI function each alias means, or why none. Pure."""

from __future__ import annotations

from launcher.planner.decided import Choice, Obstacle, Terms
from launcher.planner.functions import is_bridge, is_kind, on_vfio, only_by_its_own_driver
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.host.facts import HostFacts, MediatedDevice, PciFunction
    from launcher.spec.parts import Device, Match
    from launcher.values import PciAddress


def choose(devices: Mapping[str, Device], host: HostFacts, terms: Terms) -> tuple[Choice, ...]:
    """In the order of the file. `pick: free` chooses last and leaves alone what any other alias means."""
    functions = {one.address: one for one in host.pci}
    found: dict[str, PciFunction | Obstacle] = {}
    for alias in sorted(devices, key=lambda alias: devices[alias].pick == "free"):
        elsewhere = {one.address for one in found.values() if not isinstance(one, Obstacle)}
        found[alias] = _find(devices[alias], functions, host, elsewhere, terms)
    seen: dict[PciAddress, str] = {}
    return tuple(_choice(alias, device, found[alias], seen) for alias, device in devices.items())


def _find(
    device: Device,
    functions: dict[PciAddress, PciFunction],
    host: HostFacts,
    elsewhere: set[PciAddress],
    terms: Terms,
) -> PciFunction | Obstacle:
    if device.pci:
        found = _by_address(device, device.pci, functions)
        return found if isinstance(found, Obstacle) or terms.allows(found.address) else Obstacle("not-given", (found,))
    assert device.match is not None  # a device has `pci` or `match`
    matched = tuple(matching(device.match, host.pci))
    given = tuple(one for one in matched if terms.allows(one.address))
    if matched and not given:
        return Obstacle("not-given", matched)
    found = _by_match(device, given, host, elsewhere)
    if terms.only is not None and isinstance(found, Obstacle) and found.kind == "in-use":
        return lowest_free(given, host, elsewhere, lent=True)
    return found


def _choice(alias: str, device: Device, found: PciFunction | Obstacle, seen: dict[PciAddress, str]) -> Choice:
    if isinstance(found, Obstacle):
        return Choice(alias, device, None, found)
    first = seen.setdefault(found.address, alias)
    if first != alias:
        return Choice(alias, device, None, Obstacle("twice", (found,), (first,)))
    if is_bridge(found):
        return Choice(alias, device, None, Obstacle("bridge", (found,)))
    expected = device.expect in (None, found.id)
    return Choice(alias, device, found, None if expected else Obstacle("unexpected", (found,)))


def _by_address(
    device: Device, address: PciAddress, functions: dict[PciAddress, PciFunction]
) -> PciFunction | Obstacle:
    found = functions.get(address)
    if found is None:
        return Obstacle("absent")
    if device.vf is None:
        return found
    virtual = found.virtual_functions
    if device.vf >= len(virtual) or virtual[device.vf] not in functions:
        return Obstacle("no-virtual", (found,))
    return functions[virtual[device.vf]]


def _by_match(
    device: Device, found: tuple[PciFunction, ...], host: HostFacts, elsewhere: set[PciAddress]
) -> PciFunction | Obstacle:
    if not found:
        return Obstacle("no-match")
    if device.pick == "free":
        return lowest_free(found, host, elsewhere)
    return Obstacle("many-match", found) if len(found) > 1 else found[0]


def lowest_free(
    found: tuple[PciFunction, ...], host: HostFacts, elsewhere: set[PciAddress], *, lent: bool = False
) -> PciFunction | Obstacle:
    """Free: no host driver and nothing else of the host's has it, no alias means it, and no VM has its group.

    `lent`: whoever gave it to this VM has lent it with its driver, which is told to let go.
    """
    owned, takers = owned_groups(host), list[str]()
    for one in found:
        taker = _taker(one, elsewhere, owned, lent=lent)
        if taker is None:
            return one
        takers.append(taker)
    return Obstacle("in-use", found, tuple(takers))


def _taker(one: PciFunction, elsewhere: set[PciAddress], owned: set[int], *, lent: bool) -> str | None:
    """Who has it; None: it is free."""
    if one.uses:
        return one.uses[0].what
    if only_by_its_own_driver(one) and not on_vfio(one):
        return "it has no vGPU type"
    if one.driver is not None and not on_vfio(one) and not lent:
        return f"{one.driver} has it for the host"
    if one.address in elsewhere:
        return "another alias of this VM means it"
    return f"group {one.group} is open" if one.group in owned else None


def owned_groups(host: HostFacts) -> set[int]:
    """While VFIO owns a group its type is `unmanaged`, and whoever opened it holds its node. A user who may not see all
    holders has the type alone."""
    owned = {group.number for group in host.groups if group.kind == "unmanaged"}
    seen = (one for one in host.device_nodes or () if not isinstance(one.holders, Missing) and one.holders)
    held = {node.path.rpartition("/vfio/")[2] for node in seen}
    devices: tuple[PciFunction | MediatedDevice, ...] = (*host.pci, *host.mediated)
    own = {one.group for one in devices if one.group is not None and f"devices/{one.vfio}" in held}
    return owned | own | {int(name) for name in held if name.isdecimal()}


def matching(match: Match, functions: Sequence[PciFunction]) -> Sequence[PciFunction]:
    """Those of which every given key holds."""
    found = functions
    if match.class_ is not None:
        found = [one for one in found if is_kind(one, match.class_)]
    if match.id is not None:
        found = [one for one in found if one.id == match.id]
    if match.serial is not None:
        found = [one for one in found if one.serial == match.serial]
    if match.slot is not None:
        found = [one for one in found if one.slot == match.slot]
    if match.pf is not None:
        found = [one for one in found if one.physical_function == match.pf]
    return found if match.node is None else [one for one in found if one.node == match.node]


def wanted_by(match: Match) -> dict[str, object]:
    """By the names of the keys; None: any."""
    keys = ("id", "serial", "slot", "node", "pf")
    return {"class": match.class_, **{key: getattr(match, key) for key in keys}}
