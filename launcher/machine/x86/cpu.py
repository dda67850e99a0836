"""What a vCPU says of itself: CPUID leaves from KVM's table, first MSRs. Pure (Intel SDM 2A, CPUID; AMD APM 3, E)."""

from __future__ import annotations

from collections.abc import Iterable

from launcher.machine.board import CpuidLeaf

HYPERVISOR, TSC_DEADLINE = 1 << 31, 1 << 24  # leaf 1 ECX
MULTI_THREADED = 1 << 28  # leaf 1 EDX
MISC_ENABLE, FAST_STRINGS = 0x1A0, 0x1
MTRR_DEFAULT, MTRR_WRITE_BACK = 0x2FF, 0x806  # E, type 6; not FE: the fixed ranges, all zero, would be uncached

FIRST_MSRS = {MISC_ENABLE: FAST_STRINGS, MTRR_DEFAULT: MTRR_WRITE_BACK}


def cpuid(supported: Iterable[CpuidLeaf], apic_id: int, count: int, tsc_deadline: bool) -> list[CpuidLeaf]:
    """KVM's leaves with this vCPU's APIC id and the number of vCPUs put in."""
    return [_leaf(leaf, apic_id, count, tsc_deadline) for leaf in supported]


def _leaf(leaf: CpuidLeaf, apic_id: int, count: int, tsc_deadline: bool) -> CpuidLeaf:
    function, index, flags, eax, ebx, ecx, edx = leaf
    if function == 0x1:
        ebx = ebx & 0x0000FFFF | min(count, 255) << 16 | apic_id << 24
        ecx |= HYPERVISOR | (TSC_DEADLINE if tsc_deadline else 0)
        edx = edx & ~MULTI_THREADED | (MULTI_THREADED if count > 1 else 0)
    elif function in (0xB, 0x1F):
        edx = apic_id
    elif function == 0x8000001E:
        eax = apic_id
    return function, index, flags, eax, ebx, ecx, edx
