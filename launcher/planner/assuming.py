"""(spec, host, what has been decided) -> the facts that the plan rests on. Pure.

Of a device, its group and the bridges above it all that is known is assumed, but for what moves by itself: a rule
that looks at one more fact of them needs no line here.
"""

from __future__ import annotations

from collections import defaultdict

from launcher.host.facts import Config
from launcher.plan.plan import Assumption
from launcher.planner.backend import CONTROL_NODES, strict_module
from launcher.planner.choose import matching, wanted_by
from launcher.planner.functions import DENYLISTED, VGA, is_kind
from launcher.planner.groups import is_on_a_card
from launcher.planner.keeping import kept
from launcher.planner.linux import values_of
from launcher.planner.memory import PAGE_SIZES
from launcher.planner.modules import needed, nodes_opened, unloaded, vga_is_to_come
from launcher.planner.named_facts import NamedFacts, question
from launcher.planner.needs import (
    KVM_EXTENSIONS,
    KVM_MODULES,
    POOLS,
    counts_by_process,
    fixed_slots,
    free_vectors,
    huge_demands,
    least_files,
    mapped_bytes,
    mapped_pieces,
    memslots,
    populated_bytes,
    small_page_bytes,
    tasks_left,
    vectors_asked,
    vectors_of,
)
from launcher.planner.networks import networked
from launcher.planner.resets import own_method
from launcher.planner.served_by import apart_from_users, wanted_engines
from launcher.planner.waiting import waiting
from launcher.typed import TYPE_CHECKING
from launcher.values import MIB, Missing, PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import PciFunction, Process
    from launcher.planner.decided import Choice, Mediated, Situation
    from launcher.spec.parts import Match

_MATCHED = ("class_code", "id", "serial", "slot", "node", "physical_function")  # what `match` looks at


def assumptions(it: Situation) -> tuple[Assumption, ...]:
    """Numbers that move by themselves come in as bounds only."""
    facts = NamedFacts(it.host, it.files, it.spec.name)
    equal = dict.fromkeys((*_files(it), *_machine(it), *(_devices(it) if it.spec.devices else ()), *_served(it, facts)))
    known = (Assumption(fact, equals=kept(facts.find(fact))) for fact in equal)
    bounds = dict(_bounds(it))
    return (*known, *(Assumption(fact, at_least=amount) for fact, amount in bounds.items()))


def _files(it: Situation) -> Iterator[str]:
    files = it.files
    if it.spec.boot.firmware is None:
        yield "files.kernel.sha256"
    else:
        yield from _firmware(it)
    if files.initrd is not None:
        yield "files.initrd.sha256"
    yield from (f"files.roms[{alias}].sha256" for alias in files.roms)


def _firmware(it: Situation) -> Iterator[str]:
    """What variables hold moves, and that they are made by this plan. That no image was there is none of its facts."""
    if it.files.firmware is not None:
        yield "files.firmware.sha256"
    elif it.firmware is not None:
        yield f"boot_firmware[{it.firmware.path}]"
    if it.spec.boot.variables is not None:
        yield from (f"files.variables.{name}" for name in ("kind", "identity", "size", "layout", "writable"))


def _served(it: Situation, facts: NamedFacts) -> Iterator[str]:
    """What disks, NICs and shares are, and what serves them. What guests write, and who else looks on, moves."""
    if not it.places:
        return
    files = it.files
    yield from ("process.uid", "process.gid")
    yield from (f"files.{kind}[{alias}]" for kind in ("disks", "shares", "sockets") for alias in getattr(files, kind))
    yield from (f"files.seed[{name}].sha256" for name in files.seed)
    for alias, disk in it.spec.disks.items():
        if alias in files.disks:
            yield from _of_disk(f"files.disks[{alias}]", facts, writes=not disk.readonly)
    yield from (f"serving.programs[{name}]" for name in wanted_engines(it.spec) or ())
    if it.host.serving and apart_from_users(it.spec, it.host.process):
        yield "serving.unprivileged"
        yield "serving.makes_name_spaces"
    for one in it.spec.nics.values():
        yield from ("serving.links_of_another",) if one.bridge or one.tap else ()
        yield from (f"serving.links[{name}]" for name in (one.bridge, one.tap) if name)
        yield from (f"serving.links[{one.tap}].attached",) if one.tap else ()
    for function in it.virtio:
        yield from (f"serving.macs[{function.mac}]",) if function.mac else ()
        yield from (f"serving.cids[{function.cid}]",) if function.cid else ()
    for node in nodes_opened(it.virtio):
        loads = facts.find(f"serving.nodes[{node}]") is None  # by the plan, unless it has been loaded meanwhile
        yield f"serving.obtainable[{node}]" if loads else f"serving.nodes[{node}]"


def _of_disk(fact: str, facts: NamedFacts, *, writes: bool) -> Iterator[str]:
    """That it is held is told, unless by this VM, which is up. Uses that were told are no news when they end."""
    yield from (f"{fact}.holds", f"{fact}.contents")
    held = f"{fact}.held[{'writing' if writes else 'reading'}]"
    yield from () if facts.find(held) else (held,)
    if writes and not facts.find(f"{fact}.uses"):
        yield f"{fact}.uses"
    found = facts.find(fact)
    if not isinstance(found, Missing):
        yield from (f"serving.images[{one.identity}]" for one in found.chain)


def _machine(it: Situation) -> Iterator[str]:
    yield from ("architecture", "kvm.api_version", "process.state_folder", "memory.thp", "memory.overcommit")
    for cpu in it.spec.cpus.pin or ():
        yield from (f"cpus[{cpu}].node", f"process.cpus[{cpu}]")
    if it.spec.cpus.count > len(it.host.process.cpus):
        yield "process.cpu_count"
    if it.spec.cpus.nested:
        yield from (f"linux.parameters[{module}.nested]" for module in KVM_MODULES)
    if it.spec.confine == "required" and it.host.confinement:
        yield "confinement"


def _devices(it: Situation) -> Iterator[str]:
    """What all devices need comes first, and is told first when it is not as it was."""
    yield from ("release", "linux", "firmware", "process", "iommu.kind", "iommu.address_bits")
    yield from ("kvm.physical_bits", "kvm.extensions.irq_routing")
    yield from _modules(it)
    if vectors_asked(it) > free_vectors(it.host):
        yield "cpu_count"
    for choice in it.passing.choices:
        if choice.device.match is not None:
            yield from _choosing(choice, choice.device.match, it)
        if choice.device.companions == "attach" and choice.function and is_on_a_card(choice.function):
            yield question(device=choice.function.address.slot)
    yield from (fact for one in networked(it) if one.now for fact in one.facts)
    functions = _functions(it)
    yield from (f"pci[{address}]" for address in functions)
    yield from (f"iommu.units[{one.function.iommu}]" for one in it.passing.taken if one.function.iommu)
    for group in it.passing.groups:
        yield from (f"groups[{group.number}]", f"device_nodes[/dev/vfio/{group.number}]")
        yield from (f"own_nodes[{one.address}]" for one in it.members(group) if one.vfio)
    for one in it.passing.taken:
        yield from _around(one.function, it)
    for each in it.passing.mediated:
        yield from _passed_over(each, it)
        yield f"mediated[{each.address}]"
        if each.device is None and each.wanted:
            parent, kind = each.wanted
            yield f"mediated_parents[{parent}].types[{kind}].api"
        if each.device:
            yield from (f"device_nodes[/dev/vfio/{each.device.group}]", f"own_nodes[{each.address}]")


def _passed_over(each: Mediated, it: Situation) -> Iterator[str]:
    """Those of its type that come before the first that is free: that they are not."""
    if each.of_type is None or each.device is None:
        return
    for one in it.host.mediated[: it.host.mediated.index(each.device)]:
        if one.type == each.of_type and it.terms.allows_part(one.address, one.parent):
            yield from (f"mediated[{one.address}].{name}" for name in ("api", "driver", "group"))
            yield from (f"device_nodes[/dev/vfio/{one.group}].holders", f"own_nodes[{one.address}].holders")


def _modules(it: Situation) -> Iterator[str]:
    """That a module which the plan loads has been loaded meanwhile is no difference, nor what comes with it."""
    linux, control = it.host.linux, CONTROL_NODES[it.backend]
    absent, wanted = (which(linux, it.backend, pci=it.passes_pci) for which in (unloaded, needed))
    if linux.modules is None:
        yield "linux.modules"
    else:
        yield from (f"linux.{'obtainable' if name in absent else 'modules'}[{name}]" for name in wanted)
    if not absent or control in (node.path for node in it.host.device_nodes or ()):
        yield f"device_nodes[{control}]"
    yield "linux.options"
    if any(one.leaves_the_host and (wait := waiting(one.function)) and wait.modules for one in it.passing.taken):
        yield "linux.drm_clients"
    # Rules for these tell a parameter that is not there from one that is off.
    if linux.remapping is False:
        yield f"linux.parameters[{strict_module(it.host.linux, it.backend)}.allow_unsafe_interrupts]"
    if any(one.function.id in DENYLISTED for one in it.passing.taken):
        yield "linux.parameters[vfio_pci.disable_denylist]"
    if not vga_is_to_come(linux) and any(one.function.class_code.startswith(VGA) for one in it.passing.taken):
        yield "linux.parameters[vfio_pci.disable_vga]"


def _choosing(choice: Choice, match: Match, it: Situation) -> Iterator[str]:
    """Which functions match, of those that the plan may touch. Of those that come before the one that is free: that
    they are not."""
    found = [one for one in matching(match, it.host.pci) if it.terms.allows(one.address)]
    before = found[: found.index(choice.function)] if choice.device.pick == "free" and choice.function else []
    first = len(before) + 1 if choice.device.pick == "free" else None
    if it.terms.only is None:
        yield question(**wanted_by(match), first=first)
    else:  # what matches besides is nobody's business
        given = (one for one in it.terms.only if isinstance(one, PciAddress))
        yield from (f"pci[{one}].{name}" for one in given for name in _MATCHED)
    for one in before:
        yield from (f"pci[{one.address}].{name}" for name in ("driver", "vfio", "uses", "group"))
        yield from (f"groups[{one.group}].kind", f"device_nodes[/dev/vfio/{one.group}].holders")
        mates = (other for other in it.host.pci if other.vfio and other.group == one.group)
        yield from (f"own_nodes[{other.address}].holders" for other in mates)


def _functions(it: Situation) -> dict[PciAddress, None]:
    """Those that are taken, then those whose state decides what becomes of them."""
    taken = [one.function for one in it.passing.taken]
    members = (member.address for group in it.passing.groups for member in it.members(group))
    above = (bridge for one in taken for bridge in _above(one, it))
    physical = (one.physical_function for one in taken if one.physical_function)
    resets = (it.resets[one.address] for one in taken)
    beside = (other.address for reset in resets for other in (*reset.others, *reset.foreign))
    return dict.fromkeys((*(one.address for one in taken), *members, *above, *physical, *beside))


def _above(one: PciFunction, it: Situation) -> dict[PciAddress, None]:
    """The bridges between it and the root of its bus."""
    found: dict[PciAddress, None] = {}
    parent = one.parent
    while parent is not None and parent not in found:
        found[parent] = None
        bridge = it.host_functions.get(parent)
        parent = bridge.parent if bridge else None
    return found


def _around(one: PciFunction, it: Situation) -> Iterator[str]:
    """Which others there are where that matters: on its bus, on its interrupt, of its kind."""
    if own_method(one) is None:
        bus = str(one.address).rpartition(":")[0]
        yield question(below=one.parent) if one.parent else question(bus=bus)
    if one.class_code.startswith(VGA):
        yield question(**{"class": VGA})
    if is_kind(one, "gpu", "display") and it.host.iommu:
        yield from (f"iommu.units[{unit.name}].snoops" for unit in it.host.iommu.units)
    if values_of(it.host.linux, "vfio_pci.ids"):
        yield question(id=one.id, driver="vfio-pci")
    if isinstance(one.config, Config) and one.irq and not vectors_of(one.config):
        yield question(irq=one.irq)
        on_line = (other.address for other in it.host.pci if other.irq == one.irq)
        yield from (f"pci[{address}].{name}" for address in on_line for name in ("id", "driver", "vfio"))
    if one.driver_override is not None:
        yield f"linux.drivers[{one.driver_override}]"
    if one.node is not None:
        yield f"nodes[{one.node}].distances"


def _bounds(it: Situation) -> Iterator[tuple[str, int]]:
    spec, host = it.spec, it.host
    yield from ((f"kvm.extensions.{name}", 1) for name in KVM_EXTENSIONS)
    yield "kvm.extensions.max_vcpus", spec.cpus.count
    yield from _memslots(it)
    if not spec.devices:
        yield from _widths(it)
    if spec.cpus.count <= len(host.process.cpus):
        yield "process.cpu_count", spec.cpus.count
    amounts = {"memory.total": small_page_bytes(spec), "memory.available": populated_bytes(spec)}
    if host.memory.overcommit == 2:
        amounts["memory.promisable"] = small_page_bytes(spec)
    if host.process.memlock is not None and not _may_lock(host.process):
        by_user = it.backend == "iommufd" and not counts_by_process(host.process)
        amounts["process.pinnable" if by_user else "process.lockable"] = it.locked
    yield from ((name, amount) for name, amount in amounts.items() if amount)
    # What `up` has started itself by the time it looks is in use then.
    if spec.cpus.count <= tasks_left(host.process):
        yield "process.tasks_left", spec.cpus.count
    if not spec.devices:
        yield from (("process.openable", least_files(it)), ("process.mappable", mapped_bytes(it)))
    yield from _of_mediated(it)
    yield from _of_room(it)
    yield from _of_vectors(it)
    yield from _of_units(it)
    yield from _of_nodes(it)
    yield from _of_huge_pages(it)
    yield from _of_serving(it)


def _of_serving(it: Situation) -> Iterator[tuple[str, int]]:
    serving = it.host.serving
    if serving and serving.user_namespaces and apart_from_users(it.spec, it.host.process):
        yield "serving.user_namespaces", 1
    if serving and serving.file_size is not None and any(one.engine == "vhost-user" for one in it.virtio):
        yield "serving.writable", max(bank.size for bank in it.spec.memory)
    if serving and serving.vhost_regions and any(one.engine != "vhost-user" for one in it.virtio):
        yield "serving.vhost_regions", len(it.ranges)


def _of_room(it: Situation) -> Iterator[tuple[str, int]]:
    """Room for the first write; of how much there may be in the end the plan has said what there is to say."""
    for alias, found in it.files.disks.items():
        if not isinstance(found, Missing) and not it.spec.disks[alias].readonly:
            yield f"files.disks[{alias}].room", MIB


def _memslots(it: Situation) -> Iterator[tuple[str, int]]:
    """Where they are too few for all BARs, the plan says so, and rests on those of RAM and firmware."""
    fixed, bars = fixed_slots(it), sum(map(mapped_pieces, it.passing.functions))
    yield "kvm.extensions.nr_memslots", fixed + bars if fixed + bars <= memslots(it.host) else fixed


def _may_lock(process: Process) -> bool:
    return "cap_ipc_lock" in process.capabilities and not process.own_user_namespace


def _widths(it: Situation) -> Iterator[tuple[str, int]]:
    """With devices they shape the windows of BARs, too, and are assumed as they are."""
    bits = (max((one.guest + one.size for one in it.ranges), default=1) - 1).bit_length()
    yield "kvm.physical_bits", bits
    if it.host.firmware.physical_bits:
        yield "firmware.physical_bits", bits


def _of_vectors(it: Situation) -> Iterator[tuple[str, int]]:
    """Where they are too few, the plan says so, and of how many CPUs."""
    asked = vectors_asked(it)
    if 0 < asked <= free_vectors(it.host):
        yield "free_vectors", asked


def _of_units(it: Situation) -> Iterator[tuple[str, int]]:
    """A container takes a domain id of each."""
    used = {one.function.iommu for one in it.passing.taken}
    units = it.host.iommu.units if it.host.iommu else ()
    counted = (unit for unit in units if unit.name in used and unit.domains is not None and unit.most_domains)
    yield from ((f"iommu.units[{unit.name}].domains_left", 1) for unit in counted)


def _of_nodes(it: Situation) -> Iterator[tuple[str, int]]:
    for node in {bank.node: None for bank in it.spec.memory}:
        size = sum(bank.size for bank in it.spec.memory if bank.node == node and PAGE_SIZES[bank.pages] not in POOLS)
        if node is not None and size:
            yield f"nodes[{node}].memory", size


def _of_huge_pages(it: Situation) -> Iterator[tuple[str, int]]:
    total: dict[int, int] = defaultdict(int)
    for demand in huge_demands(it.spec.memory):
        total[demand.page_size] += demand.pages
        if demand.node is not None:
            yield f"nodes[{demand.node}].huge_pages[{demand.page_size}].free", demand.pages
    for size, pages in total.items():
        yield f"huge_pages[{size}]", pages
        if str(size) in it.host.process.huge_limits:
            yield f"process.huge_limits[{size}].left", pages * size


def _of_mediated(it: Situation) -> Iterator[tuple[str, int]]:
    """Of each type as many more as are made of it."""
    kinds = [one.wanted for one in it.passing.mediated if one.device is None and one.wanted]
    left = {one.wanted: one.kind.available for one in it.passing.mediated if one.kind}
    for kind in dict.fromkeys(kinds):
        if left.get(kind) is not None:
            yield f"mediated_parents[{kind[0]}].types[{kind[1]}].available", kinds.count(kind)
