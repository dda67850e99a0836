"""(spec, host, RAM) -> what the host's memory, pages, nodes and limits do not allow. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.memory import PAGE_SIZES
from launcher.planner.places import field
from launcher.record import record, replace
from launcher.values import GIB, KIB, MIB, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, HugePages, Node
    from launcher.spec.model import Bank, VmSpec

POOLS = {2 * MIB: "2MiB", GIB: "1GiB"}


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


def populates(bank: Bank, spec: VmSpec) -> bool:
    """VFIO pins all of it; who names the pages wants to have them before the guest starts."""
    return bool(spec.devices) or "pages" in bank.model_fields_set


def check_memory(spec: VmSpec, host: HostFacts) -> Iterator[Diagnostic]:
    yield from _check_nodes(spec, host)
    yield from _check_huge_pages(spec, host)
    yield from _check_total(spec, host)
    if host.memory.thp == "never" and any(bank.pages == "thp" for bank in spec.memory):
        help_ = ("`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",)
        yield Diagnostic("W301", "transparent huge pages are switched off on this host", field("memory"), help=help_)


def _check_nodes(spec: VmSpec, host: HostFacts) -> Iterator[Diagnostic]:
    nodes, wanted = {node.id: node for node in host.nodes}, dict[int, int]()
    for number, bank in enumerate(spec.memory):
        if bank.node is None:
            continue
        where = field(f"memory.{number}.node")
        if bank.node not in nodes:
            known = ", ".join(str(node) for node in nodes)
            yield Diagnostic("E301", f"this host has no node {bank.node}", where, help=(f"its nodes: {known}",))
            continue
        if PAGE_SIZES[bank.pages] in POOLS:
            continue
        wanted[bank.node] = wanted.get(bank.node, 0) + bank.size
        if wanted[bank.node] > nodes[bank.node].memory:
            has = show_size(nodes[bank.node].memory)
            whose = f"bank {number} needs" if wanted[bank.node] == bank.size else f"the banks up to {number} need"
            fact = f"{whose} {show_size(wanted[bank.node])}, and node {bank.node} has {has} in all"
            yield Diagnostic("E305", fact, where, help=("make the bank smaller, or leave out `node`",))


def _check_huge_pages(spec: VmSpec, host: HostFacts) -> Iterator[Diagnostic]:
    promised: dict[int, int] = defaultdict(int)
    for demand in huge_demands(spec.memory):
        size = demand.page_size
        pools = [(node, pool) for node in host.nodes for pool in node.huge_pages if pool.size == size]
        where = field(f"memory.{demand.bank}.pages")
        if not pools:
            fact = f"this host has no pool of {POOLS[size]} pages"
            yield Diagnostic("E303", fact, where, help=("its CPUs must support the size (pdpe1gb for 1GiB)",))
            continue
        if demand.node not in (None, *(node.id for node, _ in pools)):
            continue
        # Reserved pages are promised to others, of whatever node; what is left must do for all banks.
        reserved = host.memory.reserved_huge_pages.get(str(size), 0)
        left = sum(pool.free for _, pool in pools) - reserved - promised[size]
        here = [(node, pool) for node, pool in pools if demand.node in (None, node.id)]
        free = max(min(sum(pool.free for _, pool in here), left), 0)
        if demand.pages > free:
            evidence = tuple(f"node {node.id}: {pool.free} of {pool.total} free" for node, pool in pools)
            evidence += (f"reserved for others: {reserved}",) if reserved else ()
            yield replace(
                _too_few_pages(demand, free, sum(pool.total for _, pool in here), *here[0]), evidence=evidence
            )
        promised[size] += min(demand.pages, free)


def _too_few_pages(demand: Demand, free: int, total: int, node: Node, pool: HugePages) -> Diagnostic:
    """`total` is what all the nodes have that may serve the demand; `node` is where pages are best added."""
    name = POOLS[demand.page_size]
    place = f"node {demand.node} has" if demand.node is not None else "the host has"
    fact = f"{demand.pages} pages of {name} are needed, and {place} {free} free"
    folder = f"/sys/devices/system/node/node{node.id}/hugepages/hugepages-{demand.page_size // KIB}kB"
    command = f"echo {pool.total + demand.pages - free} > {folder}/nr_hugepages"
    ways = [f"allocate them: `{command}`"]
    if name == "1GiB":
        # Linux knows node:count since 5.16.
        whose = "" if demand.node is None else f"{demand.node}:"
        boot = f"hugepagesz=1G hugepages={whose}{total + demand.pages - free}"
        ways.append(f"or at boot, before memory is in pieces: `{boot}`")
    return Diagnostic("E302", fact, field(f"memory.{demand.bank}.pages"), help=tuple(ways), fix=command)


def _check_total(spec: VmSpec, host: HostFacts) -> Iterator[Diagnostic]:
    """Huge pages are already taken out of what is available."""
    needed, populated = small_page_bytes(spec), populated_bytes(spec)
    total, available, where = host.memory.total, host.memory.available, field("memory")
    if needed > total:
        fact = f"{show_size(needed)} of memory, and this host has {show_size(total)} in all"
        yield Diagnostic("E304", fact, where, help=("ask for less",))
    elif needed > available:
        code, amount = ("E304", populated) if populated > available else ("W302", needed)
        fact = f"{show_size(amount)} of memory, and this host has {show_size(available)} available"
        yield Diagnostic(code, fact, where, help=("stop other work, or ask for less",))


def small_page_bytes(spec: VmSpec) -> int:
    """What comes out of the host's ordinary memory."""
    return sum(bank.size for bank in spec.memory if PAGE_SIZES[bank.pages] not in POOLS)


def populated_bytes(spec: VmSpec) -> int:
    """What of that is needed before the guest starts."""
    return sum(bank.size for bank in spec.memory if PAGE_SIZES[bank.pages] not in POOLS and populates(bank, spec))


def check_locking(host: HostFacts, locked: int) -> Iterator[Diagnostic]:
    """VFIO counts what it pins, once in its one container, against RLIMIT_MEMLOCK: the hard one, as `up` raises the
    soft one to it. It does not count for those who have CAP_IPC_LOCK on the host itself."""
    process = host.process
    able = "cap_ipc_lock" in process.capabilities
    if process.memlock is None or not locked or locked + process.locked <= process.memlock:
        return
    if able and not process.own_user_namespace:
        return
    already = f" beside {show_size(process.locked)} that is locked now" if process.locked else ""
    limit = show_size(process.memlock)
    fact = f"{show_size(locked)} will be locked for DMA{already}, and the limit of this process is {limit}"
    inside = ("its CAP_IPC_LOCK counts in its own user namespace only, not for this limit",) if able else ()
    command = "sudo prlimit --pid $$ --memlock=unlimited"
    help_ = (
        f"raise it for this shell: `{command}`",
        "for a systemd service: `LimitMEMLOCK=infinity`; for a container: `--ulimit memlock=-1`",
    )
    yield Diagnostic("E309", fact, field("memory"), inside, help_, command)
