"""Rules about the host's memory: its nodes, its huge pages, and how much of it there is. Pure."""

from __future__ import annotations

from collections import defaultdict

from launcher.errors import Diagnostic
from launcher.planner.memory import PAGE_SIZES
from launcher.planner.needs import POOLS, huge_demands, populated_bytes, small_page_bytes
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.record import replace
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, KIB, MIB, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HugePages, Node
    from launcher.planner.decided import Situation
    from launcher.planner.needs import Demand


def _nodes(it: Situation) -> Iterator[Diagnostic]:
    nodes, wanted = {node.id: node for node in it.host.nodes}, dict[int, int]()
    for number, bank in enumerate(it.spec.memory):
        if bank.node is None:
            continue
        where = in_spec(f"memory.{number}.node")
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


def _huge_pages(it: Situation) -> Iterator[Diagnostic]:
    promised: dict[int, int] = defaultdict(int)
    for demand in huge_demands(it.spec.memory):
        size = demand.page_size
        pools = [(node, pool) for node in it.host.nodes for pool in node.huge_pages if pool.size == size]
        where = in_spec(f"memory.{demand.bank}.pages")
        if not pools:
            fact = f"this host has no pool of {POOLS[size]} pages"
            yield Diagnostic("E303", fact, where, help=("its CPUs must support the size (pdpe1gb for 1GiB)",))
            continue
        if demand.node not in (None, *(node.id for node, _ in pools)):
            continue
        # Reserved pages are promised to others, of whatever node; what is left must do for all banks.
        reserved = it.host.memory.reserved_huge_pages.get(str(size), 0)
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
    return Diagnostic("E302", fact, in_spec(f"memory.{demand.bank}.pages"), help=tuple(ways), fix=command)


def _total(it: Situation) -> Iterator[Diagnostic]:
    """Huge pages are already taken out of what is available."""
    needed, populated = small_page_bytes(it.spec), populated_bytes(it.spec)
    total, available, where = it.host.memory.total, it.host.memory.available, in_spec("memory")
    if needed > total:
        fact = f"{show_size(needed)} of memory, and this host has {show_size(total)} in all"
        yield Diagnostic("E304", fact, where, help=(f"ask for less{_most(it, available)}",))
    elif needed > available:
        code, amount = ("E304", populated) if populated > available else ("W302", needed)
        fact = f"{show_size(amount)} of memory, and this host has {show_size(available)} available"
        yield Diagnostic(code, fact, where, help=(f"stop other work, or ask for less{_most(it, available)}",))


def _most(it: Situation, room: int) -> str:
    """What would fit, in a round number that may do for a while: other work goes on."""
    step = GIB if room >= 8 * GIB else 64 * MIB
    fits = room // step * step
    written = f"{fits // MIB}MiB" if fits % GIB else f"{fits // GIB}GiB"
    small = sum(PAGE_SIZES[bank.pages] not in POOLS for bank in it.spec.memory)
    together = "" if small == 1 else f" for {small} banks together"
    return f": `{written}` fits now{together}" if fits else ""


def _transparent(it: Situation) -> Iterator[Diagnostic]:
    if it.host.memory.thp == "never" and any(bank.pages == "thp" for bank in it.spec.memory):
        help_ = ("`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",)
        yield Diagnostic("W301", "transparent huge pages are switched off on this host", in_spec("memory"), help=help_)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _nodes),
    Rule("kernel", _huge_pages),
    Rule("kernel", _total),
    Rule("kernel", _transparent),
)
