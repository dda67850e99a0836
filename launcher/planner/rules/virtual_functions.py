"""Rules about SR-IOV: physical functions, their virtual functions, and who of them needs whom. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.absent import giving_back
from launcher.planner.functions import listed, on_vfio, shown, sysfs
from launcher.planner.places import field
from launcher.planner.rules.rule import Rule, Situation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import PciFunction
    from launcher.planner.devices import Taken
    from launcher.values import PciAddress


def _has_virtual_functions(it: Situation) -> Iterator[Diagnostic]:
    """EBUSY: vfio-pci takes no physical function that has virtual ones (vfio_pci_core_register_device)."""
    given = {one.function.address: one.alias for one in it.passing.taken}
    for one in it.passing.taken:
        pf = one.function
        if not one.leaves_the_host or not _count(pf):
            continue
        ours = [address for address in pf.virtual_functions if address in given]
        yield _of_one_plan(one, ours, given) if ours else _keeps_others(one, it)


def _count(pf: PciFunction) -> int:
    return len(pf.virtual_functions) or (pf.sriov.count if pf.sriov else 0)


def _keeps_others(one: Taken, it: Situation) -> Diagnostic:
    pf, count = one.function, _count(one.function)
    functions = [it.functions[address] for address in pf.virtual_functions if address in it.functions]
    plural = "virtual function" if count == 1 else "virtual functions"
    fact = f"{one.alias}: {pf.address} has {count} {plural}, and vfio-pci does not take it while it has any"
    users = "" if all(one.driver is None for one in functions) else ", with whatever uses them"
    bind = "" if pf.driver else f"echo {pf.address} > /sys/bus/pci/drivers_probe; "
    fix = f"{bind}echo 0 > {sysfs(pf)}/sriov_numvfs"
    help_ = (f"remove them{users}: `{fix}`", "or take one of them instead, as `vf: 0`")
    where = field(f"devices.{one.alias}.pci")
    return Diagnostic("E233", fact, where, listed([shown(each) for each in functions]) if functions else (), help_, fix)


def _of_one_plan(one: Taken, ours: list[PciAddress], given: dict[PciAddress, str]) -> Diagnostic:
    pf = one.function.address
    names = " and ".join(f"{given[address]} ({address})" for address in ours)
    fact = f"{one.alias}: with {pf} its virtual functions leave their driver, also {names}"
    ways = f"pass either {pf} or its virtual functions, and leave the other out"
    return Diagnostic("E234", fact, field(f"devices.{one.alias}.pci"), help=(ways,))


def _parents(it: Situation) -> Iterator[tuple[Taken, PciFunction]]:
    """The virtual functions that a guest gets, with their physical functions."""
    for one in it.passing.taken:
        pf = one.function.physical_function
        if one.passed and pf is not None and pf in it.functions:
            yield one, it.functions[pf]


def _needs_a_token(it: Situation) -> Iterator[Diagnostic]:
    """EACCES: whoever owns the physical function through VFIO decides by a token who opens the virtual ones."""
    for one, pf in _parents(it):
        if on_vfio(pf):
            fact = f"{one.alias}: {one.function.address} needs the token of whoever has {pf.address} on {pf.driver}"
            again = f"; echo {_count(pf)} > {sysfs(pf)}/sriov_numvfs" if _count(pf) else ""
            fix = f"{giving_back(pf)}{again}"
            help_ = (f"give {pf.address} back to its own driver and create them there: `{fix}`",)
            yield Diagnostic("E236", fact, field(f"devices.{one.alias}.pci"), help=help_, fix=fix)


def _held_by_the_host(it: Situation) -> Iterator[Diagnostic]:
    """The host's drivers take every new virtual function, use it, and are in the way."""
    for one, pf in _parents(it):
        held = one.leaves_the_host and one.function.driver is not None
        if held and pf.sriov and pf.sriov.autoprobe:
            fact = f"{one.alias}: {one.function.driver} took {one.function.address} for the host when it was created"
            fix = f"echo 0 > {sysfs(pf)}/sriov_drivers_autoprobe"
            help_ = (f"to keep the host's drivers off new virtual functions: `{fix}`",)
            yield Diagnostic("W236", fact, field(f"devices.{one.alias}.pci"), help=help_, fix=fix)


def _without_its_parent(it: Situation) -> Iterator[Diagnostic]:
    """It opens and maps; whether there is a link, and which MAC, is the business of the physical function."""
    for one, pf in _parents(it):
        alias, own, where = one.alias, one.function.address, field(f"devices.{one.alias}.pci")
        if pf.driver is None:
            fix = f"echo {pf.address} > /sys/bus/pci/drivers_probe"
            fact = f"{alias}: {pf.address} has no driver, so its virtual function {own} may have no link"
            yield Diagnostic("W237", fact, where, help=(f"give it to its driver: `{fix}`",), fix=fix)
        elif pf.interfaces and not any(interface.up for interface in pf.interfaces):
            name = pf.interfaces[0].name
            fix = f"ip link set {name} up"
            fact = f"{alias}: {own} has no link while {name}, the interface of {pf.address}, is down"
            yield Diagnostic("W237", fact, where, help=(f"bring it up: `{fix}`",), fix=fix)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _has_virtual_functions),
    Rule("kernel", _needs_a_token),
    Rule("policy", _held_by_the_host),
    Rule("kernel", _without_its_parent),
)
