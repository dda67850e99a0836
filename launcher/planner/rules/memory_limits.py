"""Rules about the amount of memory: what confines it, what it takes to lock it, how it is mapped for DMA. Pure."""

from __future__ import annotations

from collections import defaultdict

from launcher.errors import Diagnostic
from launcher.planner.backend import serves_containers, shares_bars
from launcher.planner.choose_backend import backend_of
from launcher.planner.memory import PAGE_SIZES
from launcher.planner.needs import (
    OWN_MEMORY,
    POOLS,
    counts_by_process,
    huge_demands,
    mapped_bytes,
    mapped_pieces,
    populates,
    small_page_bytes,
)
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.record import replace
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, MIB, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

_MEMORY = in_spec("memory")
# Bytes of memory for each byte of page tables: 8 bytes map 4 KiB.
_PAGE_TABLES = 512
_SLOW = 16 * GIB
# vfio_iommu_type1's own; the parameter is not there before the module is.
_DMA_ENTRIES = 65535
_DMABUF = {
    True: "this kernel was configured without CONFIG_VFIO_PCI_DMABUF, or is older (Linux 6.19)",
    False: "whether this kernel has CONFIG_VFIO_PCI_DMABUF (Linux 6.19) is not known",
}


def _locked_limit(it: Situation) -> Iterator[Diagnostic]:
    """VFIO counts what it pins, once in its one container, against RLIMIT_MEMLOCK: the hard one, as `up` raises the
    soft one to it. It does not count for those who have CAP_IPC_LOCK on the host itself. iommufd counts it for all
    processes of a user together (iommufd.rst, IOMMU_OPTION_RLIMIT_MODE)."""
    process, locked = it.host.process, it.locked
    able = "cap_ipc_lock" in process.capabilities
    by_user = it.backend == "iommufd" and not counts_by_process(process)
    taken = process.pinned if by_user else process.locked
    if process.memlock is None or not locked or locked + taken <= process.memlock:
        return
    if able and not process.own_user_namespace:
        return
    whose = f" by all processes of uid {process.uid}" if by_user else ""
    already = f" beside {show_size(taken)} that is locked now{whose}" if taken else ""
    limit = show_size(process.memlock)
    fact = f"{show_size(locked)} will be locked for DMA{already}, and the limit of this process is {limit}"
    inside = ("its CAP_IPC_LOCK counts in its own user namespace only, not for this limit",) if able else ()
    command = "sudo prlimit --pid $$ --memlock=unlimited"
    help_ = (
        f"raise it for this shell: `{command}`",
        "for a systemd service: `LimitMEMLOCK=infinity`; for a container: `--ulimit memlock=-1`",
    )
    yield Diagnostic("E309", fact, _MEMORY, inside, help_, command)


def _memory_cgroup(it: Situation) -> Iterator[Diagnostic]:
    """Pinned memory cannot be swapped: the kernel kills the process, without an errno. What is in use may shrink."""
    limit, size = it.host.process.memory_limit, small_page_bytes(it.spec)
    if limit is None:
        return
    need = size + size // _PAGE_TABLES + OWN_MEMORY
    certain = bool(it.locked) and need > limit.maximum
    if need + limit.current <= limit.maximum:
        return
    evidence = (
        f"guest memory that is no huge page: {show_size(size)}",
        f"page tables: {show_size(size // _PAGE_TABLES)}; vmlaunch itself: about {show_size(OWN_MEMORY)}",
    )
    allows = f"cgroup {limit.cgroup} allows {show_size(limit.maximum)} of memory"
    fact = f"{allows}, and the VM needs {_rounded(need)}"
    if not certain:
        fact = f"{allows}, {_rounded(limit.current)} is in use, and the VM may need {_rounded(need)}"
    command = _raising(limit.cgroup, need + limit.current)
    help_ = (f"raise it: `{command}`", "in a container raise the container's own limit, as `limits.memory` of a pod")
    yield Diagnostic("E313" if certain else "W313", fact, _MEMORY, evidence, help_, command)


def _rounded(size: int) -> str:
    return show_size(-(-size // MIB) * MIB)


def _raising(cgroup: str, size: int) -> str:
    """systemd owns its units and sets the limit of those that it knows."""
    unit, amount = cgroup.rpartition("/")[2], -(-size // MIB)
    if unit.endswith((".service", ".slice", ".scope")):
        return f"systemctl set-property --runtime {unit} MemoryMax={amount}M"
    return f"echo {amount}M > /sys/fs/cgroup{cgroup}/memory.max"


def _huge_cgroup(it: Situation) -> Iterator[Diagnostic]:
    """What is in use there cannot be reclaimed. The kernel answers SIGBUS or EFAULT."""
    needed: dict[int, int] = defaultdict(int)
    banks: dict[int, int] = {}
    for demand in huge_demands(it.spec.memory):
        needed[demand.page_size] += demand.pages * demand.page_size
        banks.setdefault(demand.page_size, demand.bank)
    for size, need in needed.items():
        limit = it.host.process.huge_limits.get(str(size))
        if limit is None or limit.current + need <= limit.maximum:
            continue
        in_use = f" ({show_size(limit.current)} in use)" if limit.current else ""
        allows = f"cgroup {limit.cgroup} allows {show_size(limit.maximum)} in {POOLS[size]} pages{in_use}"
        name = POOLS[size].replace("iB", "B")
        command = f"echo {limit.current + need} > /sys/fs/cgroup{limit.cgroup}/hugetlb.{name}.max"
        help_ = (f"raise it: `{command}`", f"in a pod raise `limits.hugepages-{POOLS[size].removesuffix('B')}`")
        fact = f"{allows}, and {show_size(need)} is needed"
        yield Diagnostic("E314", fact, in_spec(f"memory.{banks[size]}.pages"), help=help_, fix=command)


def _address_space(it: Situation) -> Iterator[Diagnostic]:
    """Pages of any size count."""
    limit, size = it.host.process.address_space, mapped_bytes(it)
    if limit is None or size <= limit:
        return
    fact = f"{show_size(size)} must be mapped, vmlaunch itself among it, and this process may map {_rounded(limit)}"
    command = "sudo prlimit --pid $$ --as=unlimited --data=unlimited"
    help_ = (
        f"raise it for this shell (ulimit -v, ulimit -d): `{command}`",
        "for a systemd service: `LimitAS=infinity`",
    )
    yield Diagnostic("E322", fact, _MEMORY, help=help_, fix=command)


def _overcommit(it: Situation) -> Iterator[Diagnostic]:
    """Mode 2 promises no more than it has, and refuses the mmap. Huge pages have an account of their own."""
    memory, size = it.host.memory, small_page_bytes(it.spec)
    left = max(memory.commit_limit - memory.committed, 0)
    if memory.overcommit != 2 or size <= left:
        return
    command = "sysctl vm.overcommit_memory=0"
    fact = f"{show_size(size)} of memory, and with vm.overcommit_memory=2 this host has {_rounded(left)} to promise"
    evidence = (f"CommitLimit {_rounded(memory.commit_limit)}, Committed_AS {_rounded(memory.committed)}",)
    help_ = (f"let the kernel promise more: `{command}`", "or take huge pages, which do not count: `pages: 2MiB`")
    yield Diagnostic("E315", fact, _MEMORY, evidence, help_, command)


def _free_on_node(it: Situation) -> Iterator[Diagnostic]:
    """`node` is bound strictly; caches on it can be reclaimed, so this does not block."""
    wanted: dict[int, int] = defaultdict(int)
    for bank in it.spec.memory:
        if bank.node is not None and PAGE_SIZES[bank.pages] not in POOLS and populates(bank, it.spec):
            wanted[bank.node] += bank.size
    for node in (one for one in it.host.nodes if one.id in wanted):
        need = wanted[node.id]
        if node.free < need <= node.memory:
            fact = f"{show_size(need)} must come from node {node.id}, which has {_rounded(node.free)} free"
            number = next(n for n, bank in enumerate(it.spec.memory) if bank.node == node.id)
            help_ = ("stop other work on that node, or leave out `node`",)
            yield Diagnostic("W315", fact, in_spec(f"memory.{number}.node"), help=help_)


def _slow_pinning(it: Situation) -> Iterator[Diagnostic]:
    """Pages are pinned one by one, and there are 262144 small ones in a GiB."""
    never = it.host.memory.thp == "never"
    small = sum(bank.size for bank in it.spec.memory if bank.pages == "4KiB" or (bank.pages == "thp" and never))
    if it.locked and small > _SLOW:
        fact = f"{show_size(small)} are locked in pages of 4 KiB, one by one, before the guest starts"
        help_ = ("write `pages: 2MiB` or `pages: 1GiB`, or leave `pages` out where transparent huge pages are on",)
        yield Diagnostic("W314", fact, _MEMORY, help=help_)


def _dma_entries(it: Situation) -> Iterator[Diagnostic]:
    """One for each range of RAM; BARs, which devices reach each other by, are mapped as far as the rest goes."""
    if it.backend != "type1" or serves_containers(it.host.linux):
        return
    name = "vfio_iommu_type1.dma_entry_limit"
    text = it.host.linux.parameters.get(name, "")
    limit = int(text) if text.isdecimal() else _DMA_ENTRIES
    ranges = len(it.ranges) if it.locked else 0
    bars = sum(mapped_pieces(one) for one in it.passing.functions)
    if ranges + bars <= limit:
        return
    command = f"echo {_DMA_ENTRIES} > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
    help_ = (f"raise it: `{command}`",)
    if ranges > limit:
        fact = f"memory is mapped for DMA in {ranges} ranges, and VFIO allows {limit} maps for a VM"
        yield Diagnostic("E316", fact, _MEMORY, (f"{name} is {limit}",), help_, command)
    elif len(it.passing.functions) > 1:
        fact = f"VFIO allows {limit} DMA maps for a VM: memory takes {ranges}, and the devices' BARs {bars}"
        evidence = (f"{name} is {limit}", "a BAR that is not mapped cannot be reached by the VM's other devices")
        yield Diagnostic("W316", fact, in_spec("devices"), evidence, help_, command)


def _no_peers(it: Situation) -> Iterator[Diagnostic]:
    """IOMMU_IOAS_MAP takes what has pages, and a mapping of a BAR has none: EFAULT. IOMMU_IOAS_MAP_FILE takes a dma-buf
    of it, where VFIO makes some."""
    bars = [one for one in it.passing.functions if mapped_pieces(one)]
    if not bars or len(it.passing.functions) < 2 or shares_bars(it.host, it.backend):
        return
    known = isinstance(it.host.linux.config, dict)
    fact = f"the VM's devices {'do' if known else 'may'} not reach each other's memory (peer to peer) by iommufd"
    evidence = (_DMABUF[known] if it.backend == "iommufd" else "/dev/vfio/vfio is iommufd's on this kernel",)
    usual = backend_of(replace(it.spec, vfio="auto"), it.host, it.passing.functions)
    other = (f"take `vfio: {usual}`",) if usual != it.backend and shares_bars(it.host, usual) else ()
    ways = ("nothing, unless their drivers want it, as GPUs do among themselves (GPUDirect, ROCm)", *other)
    yield Diagnostic("W323", fact, in_spec("devices"), evidence, ways)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _locked_limit),
    Rule("kernel", _memory_cgroup),
    Rule("kernel", _huge_cgroup),
    Rule("kernel", _address_space),
    Rule("kernel", _overcommit),
    Rule("kernel", _dma_entries),
    Rule("kernel", _no_peers),
    Rule("policy", _free_on_node),
    Rule("policy", _slow_pinning),
)
