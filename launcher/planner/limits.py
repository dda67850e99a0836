"""(spec, host, RAM) -> what the host's memory, pages, nodes and limits do not allow. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.memory import PAGE_SIZES
from launcher.planner.places import field
from launcher.values import GIB, KIB, MIB, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, HugePages, Node
    from launcher.spec.model import Bank, VmSpec

_POOLS = {2 * MIB: "2MiB", GIB: "1GiB"}


@dataclass(frozen=True, slots=True)
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
        if PAGE_SIZES[bank.pages] in _POOLS:
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
    nodes = {node.id: node for node in host.nodes}
    for number, bank in enumerate(spec.memory):
        if bank.node is None:
            continue
        where = field(f"memory.{number}.node")
        if bank.node not in nodes:
            known = ", ".join(str(node) for node in nodes)
            yield Diagnostic("E301", f"this host has no node {bank.node}", where, help=(f"its nodes: {known}",))
        elif bank.size > nodes[bank.node].memory and PAGE_SIZES[bank.pages] not in _POOLS:
            has = show_size(nodes[bank.node].memory)
            fact = f"bank {number} needs {show_size(bank.size)}, and node {bank.node} has {has} in all"
            yield Diagnostic("E305", fact, where, help=("make the bank smaller, or leave out `node`",))


def _check_huge_pages(spec: VmSpec, host: HostFacts) -> Iterator[Diagnostic]:
    promised: dict[int, int] = defaultdict(int)
    for demand in huge_demands(spec.memory):
        pools = [(node, pool) for node in host.nodes for pool in node.huge_pages if pool.size == demand.page_size]
        where = field(f"memory.{demand.bank}.pages")
        if not pools:
            fact = f"this host has no pool of {_POOLS[demand.page_size]} pages"
            yield Diagnostic("E303", fact, where, help=("its CPUs must support the size (pdpe1gb for 1GiB)",))
            continue
        if demand.node not in (None, *(node.id for node, _ in pools)):
            continue
        here = [(node, pool) for node, pool in pools if demand.node in (None, node.id)]
        free = sum(pool.free for _, pool in here) - (promised[demand.page_size] if demand.node is None else 0)
        if demand.pages > free:
            yield _too_few_pages(demand, max(free, 0), sum(pool.total for _, pool in here), *here[0])
        if demand.node is not None:
            promised[demand.page_size] += demand.pages


def _too_few_pages(demand: Demand, free: int, total: int, node: Node, pool: HugePages) -> Diagnostic:
    """`total` is what all the nodes have that may serve the demand; `node` is where pages are best added."""
    name = _POOLS[demand.page_size]
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
    return sum(bank.size for bank in spec.memory if PAGE_SIZES[bank.pages] not in _POOLS)


def populated_bytes(spec: VmSpec) -> int:
    """What of that is needed before the guest starts."""
    return sum(bank.size for bank in spec.memory if PAGE_SIZES[bank.pages] not in _POOLS and populates(bank, spec))


def check_locking(host: HostFacts, locked: int) -> Iterator[Diagnostic]:
    """VFIO counts what it pins against RLIMIT_MEMLOCK, except for those who have CAP_IPC_LOCK."""
    limit = host.process.memlock
    if limit is None or locked <= limit or "cap_ipc_lock" in host.process.capabilities:
        return
    fact = f"{show_size(locked)} will be locked for DMA, and the limit of this process is {show_size(limit)}"
    help_ = ("raise it: `ulimit -l unlimited`", "for a systemd service: LimitMEMLOCK=infinity")
    yield Diagnostic("E309", fact, field("memory"), help=help_)
