"""(devices of the spec, host) -> which PCI function each alias means, or why none. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.absent import a_bridge, no_device, no_virtual_function, not_expected
from launcher.planner.functions import is_bridge, listed, on_vfio, show
from launcher.planner.places import field
from launcher.record import record, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.host.facts import HostFacts, PciFunction
    from launcher.spec.model import Device, Match
    from launcher.values import PciAddress

CLASSES = {"gpu": ("03",), "nvme": ("010802",), "ethernet": ("0200",), "usb": ("0c03",), "audio": ("0401", "0403")}


@record
class Choice:
    """One alias of the spec; without a `function`, `problem` says why."""

    alias: str
    device: Device
    function: PciFunction | None
    problem: Diagnostic | None = None

    def adding(self, key: str, value: str) -> str:
        """What to write into the spec; the short form, which has no room for a key, is written out."""
        if self.device.model_fields_set != {"pci"}:
            return f"{'write' if key in self.device.model_fields_set else 'add'} `{key}: {value}`"
        return f"write `{self.alias}: {{pci: {self.device.pci}, {key}: {value}}}`"


def choose(devices: Mapping[str, Device], host: HostFacts) -> tuple[Choice, ...]:
    """In the order of the file. `pick: free` chooses last and leaves alone what any other alias means."""
    functions = {one.address: one for one in host.pci}
    found: dict[str, PciFunction | Diagnostic] = {}
    for alias in sorted(devices, key=lambda alias: devices[alias].pick == "free"):
        elsewhere = {one.address for one in found.values() if not isinstance(one, Diagnostic)}
        found[alias] = _find(devices[alias], functions, host, elsewhere)
    seen: dict[PciAddress, str] = {}
    return tuple(_choice(alias, device, found[alias], seen, host) for alias, device in devices.items())


def _find(
    device: Device, functions: dict[PciAddress, PciFunction], host: HostFacts, elsewhere: set[PciAddress]
) -> PciFunction | Diagnostic:
    if device.pci:
        return _by_address(device, device.pci, functions, host)
    assert device.match is not None  # a device has `pci` or `match`
    return _by_match(device, device.match, host, elsewhere)


def _choice(
    alias: str, device: Device, found: PciFunction | Diagnostic, seen: dict[PciAddress, str], host: HostFacts
) -> Choice:
    if isinstance(found, Diagnostic):
        return Choice(alias, device, None, _of(alias, found))
    if found.address in seen:
        fact = f"{found.address} is given twice: {seen[found.address]} means it too"
        twice = Diagnostic("E210", fact, help=(f"take out {alias} or {seen[found.address]}",))
        return Choice(alias, device, None, _of(alias, twice))
    seen[found.address] = alias
    if is_bridge(found):
        return Choice(alias, device, None, _of(alias, a_bridge(found, host)))
    expected = device.expect in (None, found.id)
    return Choice(alias, device, found, None if expected else _of(alias, not_expected(device, found, host)))


def _of(alias: str, problem: Diagnostic) -> Diagnostic:
    where = f"devices.{alias}.{problem.where.path}" if problem.where else f"devices.{alias}"
    return replace(problem, message=f"{alias}: {problem.message}", where=field(where))


def _by_address(
    device: Device, address: PciAddress, functions: dict[PciAddress, PciFunction], host: HostFacts
) -> PciFunction | Diagnostic:
    found = functions.get(address)
    if found is None:
        return no_device(device, address, host)
    if device.vf is None:
        return found
    virtual = found.virtual_functions
    if device.vf >= len(virtual) or virtual[device.vf] not in functions:
        return no_virtual_function(found, device.vf)
    return functions[virtual[device.vf]]


def _by_match(device: Device, match: Match, host: HostFacts, elsewhere: set[PciAddress]) -> PciFunction | Diagnostic:
    found = matching(match, host.pci)
    if not found:
        help_ = ("see `vmlaunch devices` for what this host has",)
        return Diagnostic("E204", f"nothing on this host matches {_wish(match)}", field("match"), help=help_)
    if device.pick == "free":
        return _lowest_free(match, found, host, elsewhere)
    if len(found) > 1:
        evidence = listed([_told_apart(one) for one in found])
        ways = ("add a key that only one of them has", "or `pick: free` to take the first that nothing uses")
        return Diagnostic("E205", f"{len(found)} devices match {_wish(match)}", field("match"), evidence, ways)
    return found[0]


def _told_apart(one: PciFunction) -> tuple[str, ...]:
    """What differs between devices of one kind, by the keys of `match`."""
    keys = (("slot", one.slot), ("serial", one.serial), ("node", one.node))
    differing = ("" if value is None else f"{key} {value}" for key, value in keys)
    return (str(one.address), show(one), *differing, one.driver or "no driver")


def _lowest_free(
    match: Match, found: Sequence[PciFunction], host: HostFacts, elsewhere: set[PciAddress]
) -> PciFunction | Diagnostic:
    """Free: no host driver and nothing else of the host's has it, no alias means it, and no VM has its group."""
    owned = _owned_groups(host)
    free = next((one for one in found if _taker(one, elsewhere, owned) is None), None)
    if free:
        return free
    evidence = listed([(str(one.address), show(one), _taker(one, elsewhere, owned) or "") for one in found])
    help_ = ("free one: bind it to vfio-pci, or stop the VM that has it",)
    fact = f"all {len(found)} devices that match {_wish(match)} are in use"
    return Diagnostic("E206", fact, field("match"), evidence, help_)


def _taker(one: PciFunction, elsewhere: set[PciAddress], owned: set[int]) -> str | None:
    """Who has it, in the words of a table; None: it is free."""
    if one.driver is not None and not on_vfio(one):
        return one.driver
    if one.uses:
        return one.uses[0].what
    if one.address in elsewhere:
        return "another alias of this VM"
    return f"group {one.group} is open" if one.group in owned else None


def _owned_groups(host: HostFacts) -> set[int]:
    """While VFIO owns a group its type is `unmanaged`, and whoever opened it holds its node."""
    owned = {group.number for group in host.groups if group.kind == "unmanaged"}
    held = (node.path.rpartition("/vfio/")[2] for node in host.device_nodes or () if node.holders)
    return owned | {int(name) for name in held if name.isdecimal()}


def matching(match: Match, functions: Sequence[PciFunction]) -> Sequence[PciFunction]:
    """Those of which every given key holds."""
    found = functions
    if match.class_ is not None:
        prefixes = CLASSES.get(match.class_, (match.class_,))
        found = [one for one in found if one.class_code.startswith(prefixes)]
    if match.id is not None:
        found = [one for one in found if one.id == match.id]
    if match.serial is not None:
        found = [one for one in found if one.serial == match.serial]
    if match.slot is not None:
        found = [one for one in found if one.slot == match.slot]
    return found if match.node is None else [one for one in found if one.node == match.node]


def _wish(match: Match) -> str:
    keys = {"class": match.class_, "id": match.id, "serial": match.serial, "slot": match.slot, "node": match.node}
    return ", ".join(f"{key} {value}" for key, value in keys.items() if value is not None)
