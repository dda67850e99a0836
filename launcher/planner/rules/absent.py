"""An address at which this host has nothing in; the diagnostic that says what might be meant out. Pure."""

from __future__ import annotations

from collections import defaultdict

from launcher.errors import Diagnostic
from launcher.planner.functions import FIRST_VMD_DOMAIN, behind_vmd, is_bridge, leads_to_a_bus, on_vfio
from launcher.planner.rules.virtual_functions import creating, virtual_address
from launcher.planner.rules.words import listed, shown
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, PciFunction
    from launcher.values import PciAddress

_SEE = "see `vmlaunch devices` for what this host has"
_MOST_NEAR = 5
_MOST_VIRTUAL = 1 << 16  # virtual functions: TotalVFs has 16 bits (PCIe 9.3.3.5)


def no_function(address: PciAddress, expect: str | None, host: HostFacts) -> Diagnostic:
    """What the spec expects there comes first, then a virtual function that could be."""
    if address in host.gone:
        return _gone(address)
    fact = f"this host has no PCI device {address}"
    expected, way = expected_elsewhere(expect, host)
    if way:
        return Diagnostic("E201", fact, evidence=expected, help=(way,))
    parent = _parent_to_be(address, host)
    if parent:
        pf, number = parent
        would = f"it would be virtual function {number} of {pf.address}, which has {len(pf.virtual_functions)} now"
        return Diagnostic("E201", fact, evidence=(would,), help=(f"create it first: `{creating(pf, number)}`",))
    vmd = address.domain >= FIRST_VMD_DOMAIN
    near = () if vmd else _near(address, host)
    ways = (_SEE, *((_vmd_ways(host),) if vmd else ()))
    evidence = ("nearest that can be passed:", *listed([shown(one) for one in near])) if near else ()
    return Diagnostic("E201", fact, evidence=evidence, help=ways)


def _gone(address: PciAddress) -> Diagnostic:
    fact = f"{address} has gone: it was on its bus, and was taken away while this host was looked at"
    help_ = (
        f"if nobody has pulled or removed it, the kernel's log says why: `dmesg | grep {address}`",
        "where it is back, plan again; `echo 1 > /sys/bus/pci/rescan` lets the kernel look for it anew",
    )
    return Diagnostic("E201", fact, help=help_)


def expected_elsewhere(wanted: str | None, host: HostFacts) -> tuple[tuple[str, ...], str | None]:
    """Devices with the id that the spec expects, as evidence, and what to write; None where there is none."""
    found = [one for one in host.pci if one.id == wanted]
    if not found:
        return (), None
    one = f"{wanted} is at {found[0].address}: write `pci: {found[0].address}`"
    many = f"this host has {len(found)} of {wanted}: write the address of the one you mean"
    return listed([shown(each) for each in found]), many if len(found) > 1 else one


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


def functions_behind(bridge: PciFunction, host: HostFacts) -> tuple[PciFunction, ...]:
    children: dict[PciAddress | None, list[PciFunction]] = defaultdict(list)
    for one in host.pci:
        children[one.parent].append(one)
    found, buses = [], [bridge.address]
    while buses:
        below = children.pop(buses.pop(), [])
        found += [one for one in below if not leads_to_a_bus(one)]
        buses += [one.address for one in below if leads_to_a_bus(one)]
    return tuple(sorted(found, key=lambda one: one.address))
