"""(devices of the spec, host) -> which PCI function each alias means, or why none. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.functions import VFIO_DRIVERS, aligned, is_bridge, show
from launcher.planner.places import field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.host.facts import HostFacts, PciFunction
    from launcher.spec.model import Device, Match
    from launcher.values import PciAddress

CLASSES = {"gpu": ("03",), "nvme": ("010802",), "ethernet": ("0200",), "usb": ("0c03",), "audio": ("0401", "0403")}


@dataclass(frozen=True, slots=True)
class Choice:
    """One alias of the spec; without a `function`, `problem` says why."""

    alias: str
    device: Device
    function: PciFunction | None
    problem: Diagnostic | None = None

    def adding(self, key: str, value: str) -> str:
        """What to write into the spec; the short form, which has no room for a key, is written out."""
        if self.device.model_fields_set != {"pci"}:
            return f"add `{key}: {value}`"
        return f"write `{self.alias}: {{pci: {self.device.pci}, {key}: {value}}}`"


def choose(devices: Mapping[str, Device], host: HostFacts) -> tuple[Choice, ...]:
    """In the order of the file. `pick: free` leaves alone what another alias names."""
    functions = {one.address: one for one in host.pci}
    named = {device.pci for device in devices.values() if device.pci}
    seen: set[PciAddress] = set()
    choices: list[Choice] = []
    for alias, device in devices.items():
        found = _by_match(device, device.match, host, named | seen) if device.match else _by_address(device, functions)
        choices.append(_choice(alias, device, found, seen))
        if not isinstance(found, Diagnostic):
            seen.add(found.address)
    return tuple(choices)


def _choice(alias: str, device: Device, found: PciFunction | Diagnostic, seen: set[PciAddress]) -> Choice:
    if isinstance(found, Diagnostic):
        where = field(f"devices.{alias}.{found.where.path if found.where else 'pci'}")
        return Choice(alias, device, None, replace(found, message=f"{alias}: {found.message}", where=where))
    if found.address in seen:
        fact = f"{alias}: {found.address} is already given to another alias"
        return Choice(alias, device, None, Diagnostic("E210", fact, field(f"devices.{alias}"), help=("keep one",)))
    if is_bridge(found):
        fact = f"{alias}: {found.address} is a bridge, which cannot be passed"
        help_ = ("name the device behind it",)
        return Choice(alias, device, None, Diagnostic("E212", fact, field(f"devices.{alias}"), help=help_))
    return Choice(alias, device, found, _unexpected(alias, device, found))


def _unexpected(alias: str, device: Device, found: PciFunction) -> Diagnostic | None:
    if device.expect in (None, found.id):
        return None
    fact = f"{alias}: {found.address} is {show(found)}, and {device.expect} is expected there"
    help_ = ("see `vmlaunch devices` for where it is now",)
    return Diagnostic("E202", fact, field(f"devices.{alias}.expect"), help=help_)


def _by_address(device: Device, functions: dict[PciAddress, PciFunction]) -> PciFunction | Diagnostic:
    found = functions.get(device.pci) if device.pci else None
    if found is None:
        help_ = ("see `vmlaunch devices` for what this host has",)
        return Diagnostic("E201", f"this host has no PCI device {device.pci}", field("pci"), help=help_)
    if device.vf is None:
        return found
    virtual = found.virtual_functions
    if device.vf >= len(virtual) or virtual[device.vf] not in functions:
        fact = f"{found.address} has {len(virtual)} virtual functions, and number {device.vf} is not among them"
        fix = f"echo {device.vf + 1} > /sys/bus/pci/devices/{found.address}/sriov_numvfs"
        return Diagnostic("E207", fact, field("vf"), help=(f"create it first: `{fix}`",))
    return functions[virtual[device.vf]]


def _by_match(device: Device, match: Match, host: HostFacts, elsewhere: set[PciAddress]) -> PciFunction | Diagnostic:
    found = [one for one in host.pci if matches(match, one)]
    if not found:
        help_ = ("see `vmlaunch devices` for what this host has",)
        return Diagnostic("E204", f"nothing on this host matches {_wish(match)}", field("match"), help=help_)
    if device.pick == "free":
        return _lowest_free(match, found, host, elsewhere)
    if len(found) > 1:
        evidence = aligned([_told_apart(one) for one in found])
        ways = ("add a key that only one of them has", "or `pick: free` to take the first that nothing uses")
        return Diagnostic("E205", f"{len(found)} devices match {_wish(match)}", field("match"), evidence, ways)
    return found[0]


def _told_apart(one: PciFunction) -> tuple[str, ...]:
    """What differs between devices of one kind, by the keys of `match`."""
    keys = (("slot", one.slot), ("serial", one.serial), ("node", one.node))
    differing = ("" if value is None else f"{key} {value}" for key, value in keys)
    return (str(one.address), show(one), *differing, one.driver or "no driver")


def _lowest_free(
    match: Match, found: list[PciFunction], host: HostFacts, elsewhere: set[PciAddress]
) -> PciFunction | Diagnostic:
    """Free: no host driver has it, no alias names it, and VFIO does not own its group (type `unmanaged`)."""
    owned = {group.number for group in host.groups if group.kind == "unmanaged"}
    for one in found:
        if one.driver in (None, *VFIO_DRIVERS) and one.address not in elsewhere and one.group not in owned:
            return one
    evidence = tuple(f"{one.address}  {show(one)}  {one.driver or 'taken'}" for one in found)
    help_ = ("free one: bind it to vfio-pci, or stop the VM that has it",)
    fact = f"all {len(found)} devices that match {_wish(match)} are in use"
    return Diagnostic("E206", fact, field("match"), evidence, help_)


def matches(match: Match, one: PciFunction) -> bool:
    """Every given key holds."""
    if match.class_ is not None and not one.class_code.startswith(CLASSES.get(match.class_, (match.class_,))):
        return False
    pairs = ((match.id, one.id), (match.serial, one.serial), (match.slot, one.slot), (match.node, one.node))
    return all(wish is None or wish == fact for wish, fact in pairs)


def _wish(match: Match) -> str:
    keys = {"class": match.class_, "id": match.id, "serial": match.serial, "slot": match.slot, "node": match.node}
    return ", ".join(f"{key} {value}" for key, value in keys.items() if value is not None)
