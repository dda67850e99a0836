"""(spec, host, what has been decided) -> how much the VM takes of what there is only so much of, and how much there is.

Memory, memslots, interrupt vectors, processes, open files: rules compare, and assumptions keep it as a bound. Pure.
"""

from __future__ import annotations

from collections import defaultdict

from launcher.host.facts import Config
from launcher.plan.steps import Topology
from launcher.planner.backend import shares_bars
from launcher.planner.bars import bar_pieces
from launcher.planner.memory import PAGE_SIZES
from launcher.record import record
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, MIB, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, PciFunction, Process
    from launcher.planner.decided import Situation, Taken
    from launcher.spec.parts import Bank, Cpus, VmSpec

# Without any of these no VM of ours starts; the newest came with Linux 4.12.
KVM_EXTENSIONS = (
    "user_memory", "irqchip", "pit2", "set_tss_addr", "set_identity_map_addr", "irqfd", "irq_routing",
    "ext_cpuid", "immediate_exit",
)  # fmt: skip

KVM_MODULES = ("kvm_amd", "kvm_intel")

# Pools of huge pages, by the size of their pages.
POOLS = {2 * MIB: "2MiB", GIB: "1GiB"}
OWN_MEMORY = 50 * MIB  # what vmlaunch itself takes

# Vectors 0x20 to 0xff of each x86 CPU, less those the kernel keeps for itself.
VECTORS_OF_A_CPU = 200

# What the runner has open at least: standard streams, its keeper, the console's eventfds, KVM, the VM, the kernel.
_FILES = 10

_ALL_TASKS = 1 << 22  # PID_MAX_LIMIT (include/linux/threads.h)


# ---- processors ----


def planned_topology(cpus: Cpus) -> Topology:
    """Without one in the spec each vCPU is a core of one socket."""
    given = cpus.topology
    return Topology(given.sockets, given.cores, given.threads) if given else Topology(1, cpus.count, 1)


# ---- memory ----


@record
class Demand:
    """`pages` huge pages of one size on one node (None: anywhere); `bank` is the first that asks."""

    page_size: int
    node: int | None
    pages: int
    bank: int


def huge_demands(banks: tuple[Bank, ...]) -> tuple[Demand, ...]:
    """Banks on named nodes first: the others take what these leave."""
    found: dict[tuple[int, int | None], list[tuple[int, Bank]]] = defaultdict(list)
    for number, bank in enumerate(banks):
        if PAGE_SIZES[bank.pages] in POOLS:
            found[PAGE_SIZES[bank.pages], bank.node].append((number, bank))
    demands = (
        Demand(size, node, sum(bank.size for _, bank in those) // size, those[0][0])
        for (size, node), those in found.items()
    )
    return tuple(sorted(demands, key=lambda one: (one.node is None, one.bank)))


def locks(spec: VmSpec) -> bool:
    """An IOMMU needs all of it in place. For mediated devices alone nothing is pinned before their driver asks for it
    (vfio_iommu_type1.c, without a domain; iommufd's accesses)."""
    return any(one.mdev is None for one in spec.devices.values())


def populates(bank: Bank, spec: VmSpec) -> bool:
    """VFIO pins all of it; who names the pages wants to have them before the guest starts."""
    return locks(spec) or "pages" in bank.said


def small_page_bytes(spec: VmSpec) -> int:
    """What comes out of the host's ordinary memory."""
    return sum(bank.size for bank in spec.memory if PAGE_SIZES[bank.pages] not in POOLS)


def populated_bytes(spec: VmSpec) -> int:
    """What of that is needed before the guest starts."""
    return sum(bank.size for bank in spec.memory if PAGE_SIZES[bank.pages] not in POOLS and populates(bank, spec))


def spare_memory(spec: VmSpec, host: HostFacts) -> int:
    """Bytes that the host still has for us when that is populated; below 0, too."""
    memory, limit, populated = host.memory, host.process.memory_limit, populated_bytes(spec)
    left = [memory.available - populated]
    if limit is not None:
        left.append(limit.maximum - limit.current - populated)
    if memory.overcommit == 2:  # promised when it is mapped
        left.append(memory.commit_limit - memory.committed - small_page_bytes(spec))
    return min(left) - OWN_MEMORY


def mapped_bytes(it: Situation) -> int:
    """Of address space; pages of any size count."""
    return sum(bank.size for bank in it.spec.memory) + OWN_MEMORY


def counts_by_process(process: Process) -> bool:
    """iommufd counts what is locked for all processes of a user, unless who may exceed limits has it count otherwise.
    For whom no limit on it counts that is no question."""
    able = set(process.capabilities)
    return "cap_sys_resource" in able and "cap_ipc_lock" not in able and not process.own_user_namespace


# ---- pieces of memory ----

# vhost-user's VHOST_MEMORY_BASELINE_NREGIONS; that of the kernel where its module has no other.
PIECES_OF_VHOST_USER, PIECES_OF_VHOST = 8, 64


# ---- memslots ----


def mapped_pieces(function: PciFunction) -> int:
    """Of all its BARs: each has a memslot, and a map for the DMA of others."""
    bars = () if isinstance(function.bars, Missing) else function.bars
    return sum(piece.served == "mmap" for bar in bars for piece in bar_pieces(bar, function))


def flash_bytes(it: Situation) -> int:
    """Of firmware's variables: of a file of the spec's, or of a template."""
    one = it.firmware
    return one.variables if one is not None and (it.spec.boot.variables is not None or one.template) else 0


def fixed_slots(it: Situation) -> int:
    """Of RAM, one for each range; of firmware, and of its variables."""
    return len(it.ranges) + (it.firmware is not None) + bool(flash_bytes(it))


def memslots(host: HostFacts) -> int:
    """0: not known."""
    return 0 if isinstance(host.kvm, Missing) else host.kvm.extensions.get("nr_memslots", 0)


# ---- interrupt vectors ----


def vectors_of(config: Config) -> int:
    return config.msix.vectors if config.msix else config.msi


def with_interrupts(it: Situation) -> Iterator[tuple[Taken, Config]]:
    """Functions that the guest gets and that answer, with what their configuration space says."""
    for one in it.passing.taken:
        if one.passed and isinstance(one.function.config, Config) and not one.function.config.dead:
            yield one, one.function.config


def free_vectors(host: HostFacts) -> int:
    """0: not known for this architecture."""
    return max(VECTORS_OF_A_CPU * len(host.cpus) - host.linux.vectors, 1) if host.architecture == "x86_64" else 0


def vectors_asked(it: Situation) -> int:
    return sum(vectors_of(config) for _, config in with_interrupts(it))


# ---- processes, threads, files ----


def threads_of(it: Situation) -> int:
    """At once: one for each vCPU, or before them one for each CPU that may populate memory."""
    crew = len(it.host.process.cpus) if any(populates(bank, it.spec) for bank in it.spec.memory) else 0
    return max(it.spec.cpus.count, crew)


def user_limit(process: Process) -> int | None:
    """Of processes and threads. It does not count for the host's root, nor for whoever may exceed it (setrlimit(2))."""
    able = process.uid == 0 or not {"cap_sys_resource", "cap_sys_admin"}.isdisjoint(process.capabilities)
    return None if able and not process.own_user_namespace else process.tasks


def tasks_left(process: Process) -> int:
    """Where no limit is known, as many as Linux has numbers for."""
    most, left = user_limit(process), [limit.maximum - limit.current for limit in process.task_limits]
    return min([*left, *([] if most is None else [most - (process.user_tasks or 0)])], default=_ALL_TASKS)


def least_files(it: Situation) -> int:
    """Each vCPU, function and group has a descriptor; a virtio function one for its engine and one for each queue; by
    iommufd each piece of a BAR that other devices reach."""
    virtio = sum(1 + one.queues for one in it.virtio)
    shared = it.backend == "iommufd" and len(it.passing.functions) > 1 and shares_bars(it.host, it.backend)
    return (
        _FILES
        + shared * sum(map(mapped_pieces, it.passing.functions))
        + it.spec.cpus.count
        + len(it.passing.functions)
        + len(it.passing.mediated)
        + len(it.passing.opened)
        + virtio
    )
