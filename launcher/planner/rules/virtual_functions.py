"""Rules about SR-IOV: physical functions, their virtual functions, and who of them needs whom. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import NVIDIA, is_kind, on_vfio, only_by_its_own_driver
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import giving_back, listed, series, shown, sysfs
from launcher.typed import TYPE_CHECKING
from launcher.values import NO_MAC, Missing, PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.host.facts import HostFacts, Interface, PciFunction
    from launcher.planner.decided import Situation, Taken

# NVIDIA's driver has to keep the virtual functions of its GPUs, and comes with a script for all of them (vGPU User
# Guide, "Preparing the Virtual Function for an NVIDIA vGPU").
_OF_NVIDIA = "/usr/lib/nvidia/sriov-manage"


def no_virtual_function(pf: PciFunction, number: int, host: HostFacts) -> Diagnostic:
    """E235: it cannot be created either, and why; E207: the commands that create it."""
    if found := _cannot_be_created(pf, number):
        fact, way = found
        return Diagnostic("E235", fact, help=(way,))
    count = len(pf.virtual_functions)
    plural = "virtual function" if count == 1 else "virtual functions"
    fact = f"{pf.address} has {count} {plural}, and number {number} is not among them"
    would = f"number {number} would be {virtual_address(pf, number)}"
    first = f"those that are there ({count}) have to be removed first, with whatever uses them"
    users = tuple(what for _, what in users_of(_virtual(pf, host), host))
    evidence = (*((would,) if pf.sriov else ()), *((first,) if count else ()), *users)
    command = creating(pf, number)
    words = "end what uses those that are there, then create it" if users else "create it first"
    return Diagnostic("E207", fact, evidence=evidence, help=(f"{words}: `{command}`",), fix=None if users else command)


def way_to_virtual_functions(pf: PciFunction, host: HostFacts) -> str:
    """For who asks for any of them where there is none."""
    if pf.physical_function:
        return f"write `pf: {pf.physical_function}`: {pf.address} is a virtual function itself"
    if pf.sriov is None or not pf.sriov.total:
        lacks = "can have no virtual functions" if pf.sriov else "has no SR-IOV, so it has no virtual functions"
        return f"correct `pf`: {pf.address} {lacks}"
    return no_virtual_function(pf, 0, host).help[0]


def _virtual(pf: PciFunction, host: HostFacts) -> list[PciFunction]:
    """In the order of their numbers."""
    found = {one.address: one for one in host.pci}
    return [found[address] for address in pf.virtual_functions if address in found]


def creating(pf: PciFunction, number: int) -> str:
    """The kernel changes the number of virtual functions only from or to 0, and hands new ones to host drivers."""
    if pf.id.startswith(NVIDIA):
        return f"{_OF_NVIDIA} -e {pf.address}"
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


def _cannot_be_created(pf: PciFunction, number: int) -> tuple[str, str] | None:
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
    functions = _virtual(pf, it.host)
    plural = "virtual function" if count == 1 else "virtual functions"
    fact = f"{one.alias}: {pf.address} has {count} {plural}, and vfio-pci does not take it while it has any"
    users = tuple(users_of(functions, it.host))
    fix = None if users else _removing(pf)
    others = "" if all(one.driver is None for one in functions) else ", with whatever uses them"
    remove = f"end what uses them, then remove them: `{_removing(pf)}`" if users else f"remove them{others}: `{fix}`"
    busy = {address for address, _ in users}
    able = (
        pf.virtual_functions.index(each.address)
        for each in functions
        if each.address not in busy and (on_vfio(each) or not only_by_its_own_driver(each))
    )
    instead = [f"or take one of them instead, as `vf: {number}`" for number in able]
    where = in_spec(f"devices.{one.alias}.pci")
    evidence = (*(listed([shown(each) for each in functions]) if functions else ()), *(what for _, what in users))
    return Diagnostic("E233", fact, where, evidence, (remove, *instead[:1]), fix)


def users_of(functions: Iterable[PciFunction], host: HostFacts) -> Iterator[tuple[PciAddress, str]]:
    """Who would lose a virtual function that is removed: the host itself, or a VM by its group."""
    nodes = {node.path: node.holders for node in host.device_nodes or ()}
    owned = {group.number for group in host.groups if group.kind == "unmanaged"}
    for one in functions:
        found = {path: nodes.get(path, ()) for path in (f"/dev/vfio/{one.group}", f"/dev/vfio/devices/{one.vfio}")}
        holders = dict.fromkeys(each for known in found.values() if isinstance(known, tuple) for each in known)
        yield from ((one.address, f"{one.address} is held by {each.command} ({each.pid})") for each in holders)
        hidden = [path for path, known in found.items() if isinstance(known, Missing)] if on_vfio(one) else []
        yield from ((one.address, f"{one.address} may be a VM's: who has {path} is not known") for path in hidden)
        if not holders and one.group in owned:
            yield one.address, f"{one.address}: VFIO owns its group, so a VM has it"
        yield from ((one.address, f"{one.address}: {use.what}") for use in one.uses[:1])


def _removing(pf: PciFunction) -> str:
    bind = "" if pf.driver else f"echo {pf.address} > /sys/bus/pci/drivers_probe; "
    if pf.id.startswith(NVIDIA):
        return f"{bind}{_OF_NVIDIA} -d {pf.address}"
    return f"{bind}echo 0 > {sysfs(pf)}/sriov_numvfs"


def _of_one_plan(one: Taken, ours: list[PciAddress], given: dict[PciAddress, str]) -> Diagnostic:
    pf = one.function.address
    names = series(f"{given[address]} ({address})" for address in ours)
    fact = f"{one.alias}: with {pf} its virtual functions leave their driver, also {names}"
    ways = f"pass either {pf} or its virtual functions, and leave the other out"
    return Diagnostic("E234", fact, in_spec(f"devices.{one.alias}.pci"), help=(ways,))


def _parents(it: Situation) -> Iterator[tuple[Taken, PciFunction]]:
    """The virtual functions that a guest gets, with their physical functions."""
    for one in it.passing.taken:
        pf = one.function.physical_function
        if one.passed and pf is not None and pf in it.host_functions:
            yield one, it.host_functions[pf]


def _needs_a_token(it: Situation) -> Iterator[Diagnostic]:
    """EACCES: whoever owns the physical function through VFIO decides by a token who opens the virtual ones."""
    for one, pf in _parents(it):
        if on_vfio(pf):
            fact = f"{one.alias}: {one.function.address} needs the token of whoever has {pf.address} on {pf.driver}"
            again = f"; echo {_count(pf)} > {sysfs(pf)}/sriov_numvfs" if _count(pf) else ""
            command = f"{giving_back(pf)}{again}"
            users = tuple(what for _, what in users_of(_virtual(pf, it.host), it.host))
            ways = "end what uses the others, then give" if users else "give"
            help_ = (f"{ways} {pf.address} back to its own driver and create them there: `{command}`",)
            where = in_spec(f"devices.{one.alias}.pci")
            yield Diagnostic("E236", fact, where, users, help_, None if users else command)


def _held_by_the_host(it: Situation) -> Iterator[Diagnostic]:
    """The host's drivers take every new virtual function, use it, and are in the way."""
    for one, pf in _parents(it):
        held = one.leaves_the_host and one.function.driver is not None and not only_by_its_own_driver(one.function)
        if held and pf.sriov and pf.sriov.autoprobe:
            fact = f"{one.alias}: {one.function.driver} took {one.function.address} for the host when it was created"
            fix = f"echo 0 > {sysfs(pf)}/sriov_drivers_autoprobe"
            help_ = (f"to keep the host's drivers off new virtual functions: `{fix}`",)
            yield Diagnostic("W236", fact, in_spec(f"devices.{one.alias}.pci"), help=help_, fix=fix)


def _without_its_parent(it: Situation) -> Iterator[Diagnostic]:
    """It opens and maps; whether there is a link, and which MAC, is the business of the physical function."""
    for one, pf in _parents(it):
        alias, own, where = one.alias, one.function.address, in_spec(f"devices.{one.alias}.pci")
        if pf.driver is None:
            fix = f"echo {pf.address} > /sys/bus/pci/drivers_probe"
            fact = f"{alias}: {pf.address} has no driver, so its virtual function {own} may have no link"
            yield Diagnostic("W237", fact, where, help=(f"give it to its driver: `{fix}`",), fix=fix)
        elif pf.interfaces and not any(interface.up for interface in pf.interfaces):
            name = pf.interfaces[0].name
            fix = f"ip link set {name} up"
            fact = f"{alias}: {own} has no link while {name}, the interface of {pf.address}, is down"
            yield Diagnostic("W237", fact, where, help=(f"bring it up: `{fix}`",), fix=fix)


def _has_a_random_mac(it: Situation) -> Iterator[Diagnostic]:
    """Whose physical function gives it no MAC makes one up at each start (eth_hw_addr_random in drivers of VFs)."""
    for one, pf in _parents(it):
        if one.function.address not in pf.virtual_functions or not is_kind(one.function, "ethernet"):
            continue
        if one.network and one.network.mac:
            continue
        number = pf.virtual_functions.index(one.function.address)
        seen = [
            *(f"{each.name}, the interface of {pf.address}, gives it none" for each in _without(pf, number)),
            *(f"{each.name} has one here" for each in one.function.interfaces if each.random),
        ]
        if not seen:
            continue
        fact = f"{one.alias}: the MAC of {one.function.address} is random, another one at each start: {seen[0]}"
        giver = (*_without(pf, number), *pf.interfaces)[:1]
        given = "".join(f"; for good: `ip link set {each.name} vf {number} mac ADDRESS`" for each in giver)
        help_ = (
            f"give it one of yours: `network: {{mac: ADDRESS}}`{given}",
            "or set one in the guest, if the network allows it",
        )
        yield Diagnostic("W243", fact, in_spec(f"devices.{one.alias}.pci"), help=help_)


def _without(pf: PciFunction, number: int) -> tuple[Interface, ...]:
    return tuple(each for each in pf.interfaces if _gives_none(each, number))


def _gives_none(one: Interface, number: int) -> bool:
    now = one.function(number)
    return now.mac == NO_MAC if now else number in (one.without_mac or ())


RULES: tuple[Rule, ...] = (
    Rule("kernel", _has_virtual_functions),
    Rule("kernel", _needs_a_token),
    Rule("policy", _held_by_the_host),
    Rule("kernel", _without_its_parent),
    Rule("kernel", _has_a_random_mac),
)
