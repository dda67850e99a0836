"""A Tree in; CPUs, NUMA nodes and memory out."""

from __future__ import annotations

from launcher.host.facts import Cpu, HugePages, Memory, Node
from launcher.host.lists import bracketed, ids, kilobytes, number, str_of
from launcher.typed import TYPE_CHECKING
from launcher.values import KIB, Missing

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_CPU = "/sys/devices/system/cpu"
_NODE = "/sys/devices/system/node"
_HUGE = "/sys/kernel/mm/hugepages"
_POOL, _UNIT = "hugepages-", "kB"


def read_cpus(tree: Tree) -> tuple[Cpu, ...]:
    """The online CPUs, in order."""
    nodes = {cpu: node for node in _node_ids(tree) for cpu in ids(tree.read_text(f"{_NODE}/node{node}/cpulist"))}
    return tuple(Cpu(cpu, nodes.get(cpu, 0), _core(tree, cpu)) for cpu in ids(tree.read_text(f"{_CPU}/online")))


def _core(tree: Tree, cpu: int) -> str:
    folder = f"{_CPU}/cpu{cpu}/topology"
    parts = (number(tree.read_text(f"{folder}/{name}")) for name in ("physical_package_id", "core_id"))
    return ":".join("?" if part is None else str(part) for part in parts)


def read_nodes(tree: Tree) -> tuple[Node, ...]:
    """The online nodes; a kernel without NUMA has node 0 alone."""
    found = _node_ids(tree)
    return tuple(_node(tree, node) for node in found) or (_only_node(tree),)


def _node_ids(tree: Tree) -> tuple[int, ...]:
    return ids(tree.read_text(f"{_NODE}/online"))


def _node(tree: Tree, node: int) -> Node:
    folder = f"{_NODE}/node{node}"
    meminfo = tree.read_text(f"{folder}/meminfo")
    return Node(
        id=node,
        memory=kilobytes(meminfo, "MemTotal"),
        free=kilobytes(meminfo, "MemFree"),
        distances=tuple(int(word) for word in str_of(tree.read_text(f"{folder}/distance")).split()),
        huge_pages=_pools(tree, f"{folder}/hugepages"),
    )


def _only_node(tree: Tree) -> Node:
    meminfo = tree.read_text("/proc/meminfo")
    return Node(0, kilobytes(meminfo, "MemTotal"), kilobytes(meminfo, "MemFree"), (10,), _pools(tree, _HUGE))


def _pools(tree: Tree, folder: str) -> tuple[HugePages, ...]:
    """The folders are named by size, but the kernel lists them in no order."""
    names = tree.list_folder(folder)
    sizes = () if isinstance(names, Missing) else sorted(size * KIB for size in map(_kib, names) if size is not None)
    return tuple(_pool(tree, folder, size) for size in sizes)


def _kib(name: str) -> int | None:
    """`hugepages-2048kB`: 2048. None: another name."""
    number = name.removeprefix(_POOL).removesuffix(_UNIT)
    is_number = number.isascii() and number.isdecimal()
    return int(number) if is_number and name == f"{_POOL}{number}{_UNIT}" else None


def _pool(tree: Tree, folder: str, size: int) -> HugePages:
    pool = f"{folder}/hugepages-{size // KIB}kB"
    # The pool of one node among others has no file for those that are reserved.
    total, free, reserved = (number(tree.read_text(f"{pool}/{name}_hugepages")) or 0 for name in ("nr", "free", "resv"))
    return HugePages(size, total, free, reserved)


def read_memory(tree: Tree) -> Memory:
    meminfo = tree.read_text("/proc/meminfo")
    return Memory(
        total=kilobytes(meminfo, "MemTotal"),
        available=kilobytes(meminfo, "MemAvailable"),
        thp=_thp(tree),
        overcommit=number(tree.read_text("/proc/sys/vm/overcommit_memory")) or 0,
        commit_limit=kilobytes(meminfo, "CommitLimit"),
        committed=kilobytes(meminfo, "Committed_AS"),
        reserved_huge_pages={str(pool.size): pool.reserved for pool in _pools(tree, _HUGE)},
    )


def _thp(tree: Tree) -> str | Missing:
    """`always [madvise] never`."""
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    text = tree.read_text(path)
    if isinstance(text, Missing):
        return text
    return bracketed(text) or Missing("unreadable", path)
