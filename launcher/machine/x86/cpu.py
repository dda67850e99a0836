"""What a vCPU says of itself: CPUID leaves from KVM's table, first MSRs. Pure (Intel SDM 2A, CPUID; AMD APM 3, E).

KVM's table describes the host, by kernel version more or less of it. The leaves that count processors, and that say who
shares a cache, are made anew from the topology of the spec; what a vCPU can do stays as KVM gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from launcher.machine.board import CpuidLeaf, Processor
from launcher.machine.x86.apic_ids import apic_ids, socket_shift, thread_bits
from launcher.record import record

HYPERVISOR, TSC_DEADLINE, VMX = 1 << 31, 1 << 24, 1 << 5  # leaf 1 ECX
MULTI_THREADED = 1 << 28  # leaf 1 EDX
COMPATIBLE_LEGACY, SVM, TOPOLOGY_EXTENSIONS = 1 << 1, 1 << 2, 1 << 22  # leaf 0x80000001 ECX, AMD
INDEXED = 1  # KVM_CPUID_FLAG_SIGNIFCANT_INDEX
AMD = (b"AuthenticAMD", b"HygonGenuine")
MISC_ENABLE, FAST_STRINGS = 0x1A0, 0x1
MTRR_DEFAULT, MTRR_WRITE_BACK = 0x2FF, 0x806  # E, type 6; not FE: the fixed ranges, all zero, would be uncached

FIRST_MSRS = {MISC_ENABLE: FAST_STRINGS, MTRR_DEFAULT: MTRR_WRITE_BACK}

# Leaves of the topology that are made from nothing; 0x80000026 is of a newer AMD, and whoever misses it reads 0xB.
LEVELS, LEVELS_V2, AMD_LEVELS, AMD_PLACE = 0xB, 0x1F, 0x80000026, 0x8000001E
NESTED = 0x8000000A

Words = tuple[int, int, int, int]  # EAX, EBX, ECX, EDX


def cpuid(supported: Iterable[CpuidLeaf], processor: Processor) -> list[CpuidLeaf]:
    """KVM's leaves with this vCPU's place in the topology put in."""
    leaves = tuple(supported)
    it = _vcpu(leaves, processor)
    brand = {leaf[0]: leaf for leaf in processor.brand}
    gone = {LEVELS, LEVELS_V2, AMD_LEVELS, AMD_PLACE} | (set() if processor.nested else {NESTED})
    kept = (brand.get(leaf[0], leaf) for leaf in leaves if leaf[0] not in gone)
    return [*(_changed(leaf, it) for leaf in kept), *_places(leaves, it)]


@record
class _Vcpu:
    """`core_ids` and `socket_ids`: APIC ids from the first to the last thread of a core, of a socket. Software rounds
    them up to a power of two, which is what ids are taken apart by."""

    processor: Processor
    amd: bool
    apic_id: int
    core_bits: int
    socket_bits: int
    core_ids: int
    socket_ids: int
    in_socket: int


def _vcpu(leaves: tuple[CpuidLeaf, ...], processor: Processor) -> _Vcpu:
    topology = processor.topology
    bits = thread_bits(topology)
    return _Vcpu(
        processor,
        amd=_vendor(leaves) in AMD,
        apic_id=apic_ids(topology)[processor.index],
        core_bits=bits,
        socket_bits=socket_shift(topology),
        core_ids=1 << bits,
        socket_ids=topology.cores << bits,
        in_socket=topology.cores * topology.threads,
    )


def _vendor(leaves: tuple[CpuidLeaf, ...]) -> bytes:
    for function, _, _, _, ebx, ecx, edx in leaves:
        if function == 0:
            return b"".join(word.to_bytes(4, "little") for word in (ebx, edx, ecx))
    return b""


def _changed(leaf: CpuidLeaf, it: _Vcpu) -> CpuidLeaf:
    function, index, flags, *words = leaf
    change = _CHANGES.get(function)
    return (function, index, flags, *change(it, *words)) if change else leaf


def _features(it: _Vcpu, eax: int, ebx: int, ecx: int, edx: int) -> Words:
    """Intel counts ids here and AMD threads (E.5.1); both have eight bits for it."""
    threads = it.in_socket if it.amd else it.socket_ids
    ebx = ebx & 0x0000FFFF | min(threads, 255) << 16 | (it.apic_id & 0xFF) << 24
    ecx = ecx | HYPERVISOR | (TSC_DEADLINE if it.processor.deadline else 0)
    return eax, ebx, _with(ecx, VMX, it.processor.nested), _with(edx, MULTI_THREADED, it.in_socket > 1, always=True)


def _extended_features(it: _Vcpu, eax: int, ebx: int, ecx: int, edx: int) -> Words:
    if it.amd:
        ecx = _with(ecx, COMPATIBLE_LEGACY, it.in_socket > 1, always=True)
    return eax, ebx, _with(ecx, SVM, it.processor.nested), edx


def _with(word: int, bit: int, there: bool, *, always: bool = False) -> int:
    """Without the bit, or as it was; `always`: with it, whatever it was."""
    return (word | bit if always else word) if there else word & ~bit


def _intel_cache(it: _Vcpu, eax: int, ebx: int, ecx: int, edx: int) -> Words:
    """EAX[25:14] ids that share the cache, [31:26] ids of cores in the socket, each less one."""
    if not eax & 0x1F:
        return eax, ebx, ecx, edx
    cores = min(it.processor.topology.cores, 64) - 1
    return eax & 0x3FFF | _sharing(it, eax) - 1 << 14 | cores << 26, ebx, ecx, edx


def _amd_cache(it: _Vcpu, eax: int, ebx: int, ecx: int, edx: int) -> Words:
    """The same, without the cores."""
    sharing = _sharing(it, eax) - 1 << 14 if eax & 0x1F else 0
    return eax & ~(0xFFF << 14) | sharing, ebx, ecx, edx


def _sharing(it: _Vcpu, eax: int) -> int:
    """The first two levels belong to a core, what lies behind them to the socket."""
    return it.core_ids if eax >> 5 & 7 <= 2 else it.socket_ids


def _sizes(it: _Vcpu, eax: int, ebx: int, ecx: int, edx: int) -> Words:
    """AMD: threads of the socket less one, and the bits of an APIC id below its socket."""
    if it.amd:
        ecx = ecx & ~0xF0FF | min(it.in_socket, 256) - 1 | it.socket_bits << 12
    return eax, ebx, ecx, edx


_CHANGES: dict[int, Callable[[_Vcpu, int, int, int, int], Words]] = {
    0x1: _features,
    0x4: _intel_cache,
    0x80000001: _extended_features,
    0x80000008: _sizes,
    0x8000001D: _amd_cache,
}


def _places(leaves: tuple[CpuidLeaf, ...], it: _Vcpu) -> Iterator[CpuidLeaf]:
    """As far as the leaves of this host go: software does not look behind the last one."""
    last, features = (next((leaf for leaf in leaves if leaf[0] == n), (0,) * 7) for n in (0, 0x80000001))
    if last[3] >= LEVELS:
        yield from _levels(LEVELS, it)
    if last[3] >= LEVELS_V2 and not it.amd:
        yield from _levels(LEVELS_V2, it)
    if it.amd and features[5] & TOPOLOGY_EXTENSIONS:
        yield _amd_place(it)


def _levels(function: int, it: _Vcpu) -> Iterator[CpuidLeaf]:
    """Of threads, of cores, and the end: bits below the next level, vCPUs in one of this."""
    threads = it.processor.topology.threads
    rows = ((it.core_bits, threads, 1), (it.socket_bits, it.in_socket, 2), (0, 0, 0))
    for index, (bits, vcpus, kind) in enumerate(rows):
        yield function, index, INDEXED, bits, vcpus, kind << 8 | index, it.apic_id


def _amd_place(it: _Vcpu) -> CpuidLeaf:
    """The id; the core in its socket and the threads it has, less one; a socket is a node."""
    socket = it.apic_id >> it.socket_bits
    core = (it.apic_id & (1 << it.socket_bits) - 1) >> it.core_bits
    threads = it.processor.topology.threads - 1
    return AMD_PLACE, 0, 0, it.apic_id, threads << 8 | core, socket, 0
