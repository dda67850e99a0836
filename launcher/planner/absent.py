"""What a spec names and this host lacks in -> the diagnostic that says what might be meant. Pure.

A place is relative to the device: `choose` puts the alias before it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.functions import (
    FIRST_VMD_DOMAIN,
    behind_vmd,
    is_bridge,
    leads_to_a_bus,
    listed,
    on_vfio,
    show,
    shown,
    sysfs,
)
from launcher.planner.places import field
from launcher.values import PciAddress

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, PciFunction
    from launcher.spec.model import Device

_SEE = "see `vmlaunch devices` for what this host has"
_MOST_NEAR = 5
_MOST_VIRTUAL = 1 << 16  # virtual functions: TotalVFs has 16 bits (PCIe 9.3.3.5)


def no_device(device: Device, address: PciAddress, host: HostFacts) -> Diagnostic:
    """Nothing is at the address. What the spec expects there comes first, then a virtual function that could be."""
    fact = f"this host has no PCI device {address}"
    expected = _with_id(device.expect, host)
    if expected:
        return Diagnostic("E201", fact, field("pci"), _rows(expected), (_now_at(device.expect, expected),))
    parent = _parent_to_be(address, host)
    if parent:
        pf, number = parent
        would = f"it would be virtual function {number} of {pf.address}, which has {len(pf.virtual_functions)} now"
        return Diagnostic("E201", fact, field("pci"), (would,), (f"create it first: `{creating(pf, number)}`",))
    vmd = address.domain >= FIRST_VMD_DOMAIN
    near = () if vmd else _near(address, host)
    ways = (_SEE, *((_vmd_ways(host),) if vmd else ()))
    evidence = ("nearest that can be passed:", *_rows(near)) if near else ()
    return Diagnostic("E201", fact, field("pci"), evidence, ways)


def not_expected(device: Device, found: PciFunction, host: HostFacts) -> Diagnostic:
    fact = f"{found.address} is {show(found)}, and {device.expect} is expected there"
    expected = _with_id(device.expect, host)
    correct = f"or correct `expect`, if {found.id} is the right device"
    way = _now_at(device.expect, expected) if expected else f"this host has no {device.expect}"
    return Diagnostic("E202", fact, field("expect"), _rows(expected), (way, correct))


def a_bridge(found: PciFunction, host: HostFacts) -> Diagnostic:
    """With the endpoints behind it, through all buses."""
    fact = f"{found.address} is a bridge, which cannot be passed"
    if not leads_to_a_bus(found):
        help_ = (f"choose another device: this one belongs to the board ({show(found)})",)
        return Diagnostic("E212", fact, field("pci"), help=help_)
    behind = _behind(found, host)
    way = f"name a device behind it, as `pci: {behind[0].address}`" if behind else "name the device behind it"
    return Diagnostic("E212", fact, field("pci"), _rows(behind), (way,))


def no_virtual_function(pf: PciFunction, number: int) -> Diagnostic:
    """E235: it cannot be created either, and why; E207: the commands that create it."""
    obstacle = _obstacle(pf, number)
    if obstacle:
        fact, way = obstacle
        return Diagnostic("E235", fact, field("vf"), help=(way,))
    count = len(pf.virtual_functions)
    plural = "virtual function" if count == 1 else "virtual functions"
    fact = f"{pf.address} has {count} {plural}, and number {number} is not among them"
    would = f"number {number} would be {virtual_address(pf, number)}"
    first = f"those that are there ({count}) have to be removed first, with whatever uses them"
    evidence = (*((would,) if pf.sriov else ()), *((first,) if count else ()))
    fix = creating(pf, number)
    return Diagnostic("E207", fact, field("vf"), evidence, (f"create it first: `{fix}`",), fix)


def creating(pf: PciFunction, number: int) -> str:
    """The kernel changes the number of virtual functions only from or to 0, and hands new ones to host drivers."""
    files = ["sriov_drivers_autoprobe"] if pf.sriov and pf.sriov.autoprobe else []
    files += ["sriov_numvfs"] if pf.virtual_functions else []
    zeroes = "".join(f"echo 0 > {sysfs(pf)}/{name}; " for name in files)
    return f"{zeroes}echo {number + 1} > {sysfs(pf)}/sriov_numvfs"


def virtual_address(pf: PciFunction, number: int) -> PciAddress:
    """Routing id of the physical function + offset + number * stride (SR-IOV 1.1, 2.1.2)."""
    own = pf.address
    offset, stride = (pf.sriov.offset, pf.sriov.stride) if pf.sriov else (0, 0)
    routing_id = (own.bus << 8 | own.device << 3 | own.function) + offset + number * stride
    return PciAddress(own.domain, routing_id >> 8, routing_id >> 3 & 0x1F, routing_id & 7)


def _obstacle(pf: PciFunction, number: int) -> tuple[str, str] | None:
    """What is in the way of writing sriov_numvfs: fact and way out (sriov_numvfs_store in drivers/pci/iov.c)."""
    if pf.physical_function:
        return f"{pf.address} is a virtual function itself", f"name its card: `pci: {pf.physical_function}`"
    if pf.sriov is None and not pf.virtual_functions:
        return f"{pf.address} has no SR-IOV, so it has no virtual functions", "leave `vf` out, or take another device"
    if pf.sriov and number >= pf.sriov.total:
        fact = f"{pf.address} can have {pf.sriov.total} virtual functions, and number {number} is not among them"
        return fact, f"their numbers are 0 to {pf.sriov.total - 1}" if pf.sriov.total else "leave `vf` out"
    if pf.driver is None:
        fact = f"{pf.address} has no driver, and without one it cannot create virtual functions"
        return fact, f"give it to its driver first: `echo {pf.address} > /sys/bus/pci/drivers_probe`"
    if on_vfio(pf):
        fact = f"{pf.address} is on {pf.driver}, and the virtual functions it makes there need a token"
        return fact, f"give it back to its own driver first: `{giving_back(pf)}`"
    return None


def giving_back(one: PciFunction) -> str:
    """Without the override the driver that knows the device takes it."""
    steps = (f"echo > {sysfs(one)}/driver_override", f"echo {one.address} > {sysfs(one)}/driver/unbind")
    return "; ".join((*steps, f"echo {one.address} > /sys/bus/pci/drivers_probe"))


def _rows(functions: list[PciFunction] | tuple[PciFunction, ...]) -> tuple[str, ...]:
    return listed([shown(one) for one in functions]) if functions else ()


def _with_id(wanted: str | None, host: HostFacts) -> list[PciFunction]:
    return [one for one in host.pci if one.id == wanted]


def _now_at(wanted: str | None, found: list[PciFunction]) -> str:
    if len(found) > 1:
        return f"this host has {len(found)} of {wanted}: write the address of the one you mean"
    return f"{wanted} is at {found[0].address}: write `pci: {found[0].address}`"


def _near(address: PciAddress, host: HostFacts) -> list[PciFunction]:
    """On the same bus, or at the same place of another one; the same place in another domain first.

    Without what no spec can name: bridges, and what is there only as long as the driver vmd is.
    """

    def distance(one: PciFunction) -> int:
        other = one.address
        place = (other.device, other.function) == (address.device, address.function)
        if other.bus == address.bus:
            return 0 if place else 1 if other.domain == address.domain else 3
        return 2 if place and other.domain == address.domain else 3

    found = [(distance(one), one.address, one) for one in host.pci if not (is_bridge(one) or behind_vmd(one))]
    return [one for far, _, one in sorted(found, key=lambda row: row[:2]) if far < 3][:_MOST_NEAR]


def _vmd_ways(host: HostFacts) -> str:
    controller = next((one for one in host.pci if one.driver == "vmd"), None)
    whole = f", or pass the whole controller, `pci: {controller.address}`" if controller else ""
    return f"domains from {FIRST_VMD_DOMAIN:x} are behind Intel VMD: switch VMD off in the firmware{whole}"


def _parent_to_be(address: PciAddress, host: HostFacts) -> tuple[PciFunction, int] | None:
    """The physical function whose virtual function would have this address."""
    for one in host.pci:
        if one.sriov and one.address.domain == address.domain and one.driver is not None and not on_vfio(one):
            for number in range(len(one.virtual_functions), min(one.sriov.total, _MOST_VIRTUAL)):
                if virtual_address(one, number) == address:
                    return one, number
    return None


def _behind(bridge: PciFunction, host: HostFacts) -> tuple[PciFunction, ...]:
    children: dict[PciAddress | None, list[PciFunction]] = defaultdict(list)
    for one in host.pci:
        children[one.parent].append(one)
    found, buses = [], [bridge.address]
    while buses:
        below = children.pop(buses.pop(), [])
        found += [one for one in below if not leads_to_a_bus(one)]
        buses += [one.address for one in below if leads_to_a_bus(one)]
    return tuple(sorted(found, key=lambda one: one.address))
