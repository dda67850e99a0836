"""What vCPUs say of themselves, made from KVM's tables of two hosts: the fields are read here as guests read them."""

from __future__ import annotations

import itertools
import struct

import pytest

from launcher.machine.board import CpuidLeaf, Processor
from launcher.machine.boards import board_of
from launcher.machine.x86 import acpi, cpu
from launcher.machine.x86.apic_ids import apic_ids
from launcher.plan.steps import DescribeMachine, Topology

# KVM_GET_SUPPORTED_CPUID of Linux 6.18 on an AMD EPYC, with the counts of a host of 64 cores of two threads, as kernels
# before 6.2 give them.
AMD: list[CpuidLeaf] = [
    (0x0, 0, 0, 0xD, 0x68747541, 0x444D4163, 0x69746E65),
    (0x1, 0, 0, 0x00A00F11, 0x00800800, 0x81202000, 0x178BFBFF),
    (0x4, 0, 1, 0, 0, 0, 0),
    (0xB, 0, 1, 1, 2, 0x100, 5),
    (0xD, 0, 1, 7, 0x340, 0x340, 0),
    (0xD, 1, 1, 1, 0, 0, 0),
    (0xD, 2, 1, 0x100, 0x240, 0, 0),
    (0x80000000, 0, 0, 0x80000021, 0x68747541, 0x444D4163, 0x69746E65),
    (0x80000001, 0, 0, 0x00A00F11, 0x40000000, 0x00400397, 0x23D3FBFF),
    (0x80000002, 0, 0, 0, 0, 0, 0),
    (0x80000003, 0, 0, 0, 0, 0, 0),
    (0x80000004, 0, 0, 0, 0, 0, 0),
    (0x80000008, 0, 0, 0x3030, 0x10000005, 0x0000707F, 0),
    (0x8000000A, 0, 0, 1, 8, 0, 0x11BCFF),
    (0x8000001D, 0, 1, 0x00004121, 0x01C0003F, 0x3F, 0),
    (0x8000001D, 1, 1, 0x00004122, 0x01C0003F, 0x3F, 0),
    (0x8000001D, 2, 1, 0x00004143, 0x01C0003F, 0x3FF, 2),
    (0x8000001D, 3, 1, 0x0003C163, 0x03C0003F, 0x7FFF, 1),
    (0x8000001D, 4, 1, 0, 0, 0, 0),
    (0x8000001E, 0, 0, 5, 0x102, 0x100, 0),
    (0x80000021, 0, 0, 0x204, 0, 6, 0),
    (0x80000026, 0, 1, 1, 2, 0x100, 5),
]
# Of Linux 6.1 on a Xeon of 32 cores with two threads.
INTEL: list[CpuidLeaf] = [
    (0x0, 0, 0, 0x1F, 0x756E6547, 0x6C65746E, 0x49656E69),
    (0x1, 0, 0, 0x000806F8, 0x00400800, 0xF7FAB22B, 0x1FABFBFF),
    (0x4, 0, 1, 0xFC004121, 0x02C0003F, 0x3F, 0),
    (0x4, 1, 1, 0xFC004122, 0x01C0003F, 0x3F, 0),
    (0x4, 2, 1, 0xFC004143, 0x03C0003F, 0x7FF, 0),
    (0x4, 3, 1, 0xFC1FC163, 0x0380003F, 0xFFFF, 4),
    (0x4, 4, 1, 0, 0, 0, 0),
    (0xB, 0, 1, 1, 2, 0x100, 0x35),
    (0xB, 1, 1, 7, 64, 0x201, 0x35),
    (0xB, 2, 1, 0, 0, 2, 0x35),
    (0x1F, 0, 1, 1, 2, 0x100, 0x35),
    (0x1F, 1, 1, 7, 64, 0x201, 0x35),
    (0x80000000, 0, 0, 0x80000008, 0, 0, 0),
    (0x80000001, 0, 0, 0, 0, 0x121, 0x2C100800),
    (0x80000002, 0, 0, 0, 0, 0, 0),
    (0x80000003, 0, 0, 0, 0, 0, 0),
    (0x80000004, 0, 0, 0, 0, 0, 0),
    (0x80000008, 0, 0, 0x3934, 0x200, 0, 0),
]
HOSTS = pytest.mark.parametrize("host", [AMD, INTEL], ids=["amd", "intel"])
ONE, FOUR, ODD = Topology(1, 1, 1), Topology(1, 4, 1), Topology(2, 3, 2)

Leaves = dict[tuple[int, int], tuple[int, int, int, int]]


def told(host: list[CpuidLeaf], topology: Topology, index: int = 0, nested: bool = False) -> Leaves:
    made = cpu.cpuid(host, Processor(topology, index, nested=nested, deadline=True))
    assert len({leaf[:2] for leaf in made}) == len(made)
    return {(leaf[0], leaf[1]): leaf[3:] for leaf in made}


def test_ids_have_bits_of_their_own_for_thread_core_and_socket():
    assert apic_ids(Topology(1, 5, 1)) == (0, 1, 2, 3, 4)
    assert apic_ids(ODD) == (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13)
    assert apic_ids(Topology(3, 1, 1)) == (0, 1, 2)
    assert apic_ids(Topology(2, 2, 3)) == (0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14)


@pytest.mark.parametrize("topology", [ONE, FOUR, ODD, Topology(3, 5, 1), Topology(2, 2, 3)], ids=str)
def test_the_tables_have_the_ids_that_kvm_and_cpuid_have(topology):
    madt = next(one.data for one in acpi.tables(topology, None) if one.data.startswith(b"APIC"))
    entries = [struct.unpack_from("<BBBBI", madt, 44 + 8 * n) for n in range(topology.count)]
    assert [entry[2] for entry in entries] == list(range(topology.count))
    assert tuple(entry[3] for entry in entries) == apic_ids(topology) == board_of("x86_64").vcpu_ids(topology)
    for host, (index, apic_id) in itertools.product((AMD, INTEL), enumerate(apic_ids(topology))):
        leaves = told(host, topology, index)
        assert leaves[1, 0][1] >> 24 == leaves[0xB, 0][3] == leaves[0xB, 1][3] == apic_id


@pytest.mark.parametrize("topology", [ONE, FOUR, ODD, Topology(3, 5, 1), Topology(2, 2, 3)], ids=str)
@HOSTS
def test_a_guest_that_takes_ids_apart_finds_the_topology(host, topology):
    """By leaf 0xB, as Linux does: shifts of the levels."""
    places = set()
    for index in range(topology.count):
        leaves = told(host, topology, index)
        threads, cores, end = (leaves[0xB, n] for n in range(3))
        assert [level[2] for level in (threads, cores, end)] == [0x100, 0x201, 2]
        assert (threads[1], cores[1], end[:2]) == (topology.threads, topology.cores * topology.threads, (0, 0))
        apic_id = threads[3]
        core = (apic_id >> threads[0]) & (1 << cores[0] - threads[0]) - 1
        places.add((apic_id >> cores[0], core, apic_id & (1 << threads[0]) - 1))
    parts = (range(topology.sockets), range(topology.cores), range(topology.threads))
    assert places == set(itertools.product(*parts))


@HOSTS
def test_one_vcpu_is_one_core_and_not_multi_threaded(host):
    leaves = told(host, ONE)
    assert (leaves[1, 0][1] >> 16, leaves[1, 0][3] & 1 << 28) == (1, 0)
    assert (leaves[0xB, 0], leaves[0xB, 1]) == ((0, 1, 0x100, 0), (0, 1, 0x201, 0))


@HOSTS
def test_leaf_1_counts_the_threads_of_a_socket(host):
    assert told(host, FOUR)[1, 0][1] >> 16 == 4
    assert told(host, ODD, 11)[1, 0][1] >> 16 == 13 << 8 | 6
    assert told(host, FOUR)[1, 0][3] & 1 << 28


def test_amd_counts_threads_and_bits_of_ids_in_the_sizes():
    assert [told(AMD, one)[0x80000008, 0][2] for one in (ONE, FOUR, ODD)] == [0x0000, 0x2003, 0x3005]
    assert told(INTEL, ODD)[0x80000008, 0][2] == 0


def test_amd_says_core_threads_and_node():
    leaves = told(AMD, ODD, 11)
    assert leaves[0x8000001E, 0] == (13, 1 << 8 | 2, 1, 0)
    assert (0x80000026, 0) not in leaves
    assert [told(AMD, one)[0x80000001, 0][2] & 2 for one in (ONE, FOUR)] == [0, 2]


def test_amd_caches_are_of_a_core_but_for_the_last_level():
    def shared(topology: Topology) -> list[int]:
        return [(told(AMD, topology)[0x8000001D, n][0] >> 14) + 1 for n in range(4)]

    assert shared(ONE) == [1, 1, 1, 1]
    assert shared(FOUR) == [1, 1, 1, 4]
    assert shared(ODD) == [2, 2, 2, 6]
    assert told(AMD, ODD)[0x8000001D, 4] == (0, 0, 0, 0)
    assert told(AMD, ODD)[0x8000001D, 3][1:] == (0x03C0003F, 0x7FFF, 1)  # its size stays


def test_intel_caches_say_the_cores_of_the_socket_as_well():
    def fields(topology: Topology) -> list[tuple[int, int]]:
        words = [told(INTEL, topology)[4, n][0] for n in range(4)]
        return [((word >> 14 & 0xFFF) + 1, (word >> 26) + 1) for word in words]

    assert fields(ONE) == [(1, 1)] * 4
    assert fields(FOUR) == [(1, 4), (1, 4), (1, 4), (4, 4)]
    assert fields(ODD) == [(2, 3), (2, 3), (2, 3), (6, 3)]
    assert told(INTEL, FOUR)[4, 4] == (0, 0, 0, 0)
    assert told(INTEL, FOUR)[4, 3][0] & 0x3FFF == 0x163


def test_intel_has_the_levels_in_the_newer_leaf_too_as_far_as_its_leaves_go():
    leaves = told(INTEL, ODD, 7)
    assert [leaves[0x1F, n] for n in range(3)] == [leaves[0xB, n] for n in range(3)]
    assert (0x1F, 0) not in told(AMD, ODD)
    old = [(0, 0, 0, 0xA, *INTEL[0][4:]), *INTEL[1:]]
    assert (0xB, 0) not in told(old, ODD)


@HOSTS
def test_virtualisation_is_there_if_it_was_asked_for(host):
    for nested in (False, True):
        leaves = told(host, FOUR, nested=nested)
        seen = bool(leaves[1, 0][2] & 1 << 5 or leaves[0x80000001, 0][2] & 1 << 2)
        assert (seen, (0x8000000A, 0) in leaves) == (nested, nested and host is AMD)


@HOSTS
def test_what_a_vcpu_can_do_stays_as_kvm_gives_it(host):
    ours = {0x1, 0x4, 0xB, 0x1F, 0x80000001, 0x80000008, 0x8000000A, 0x8000001D, 0x8000001E, 0x80000026}
    leaves = told(host, ODD)
    assert all(leaves[one[0], one[1]] == one[3:] for one in host if one[0] not in ours)
    assert leaves[1, 0][2] & (1 << 31 | 1 << 24) == 1 << 31 | 1 << 24


@HOSTS
def test_the_brand_is_the_hosts(host):
    brand = tuple((0x80000002 + n, 0, 0, n, 1, 2, 3) for n in range(3))
    made = cpu.cpuid(host, Processor(ONE, 0, nested=False, deadline=False, brand=brand))
    assert [leaf for leaf in made if leaf[0] in (0x80000002, 0x80000003, 0x80000004)] == list(brand)


def test_the_deadline_timer_is_there_if_kvm_has_one():
    for deadline in (False, True):
        (leaf,) = cpu.cpuid([(1, 0, 0, 0, 0, 0, 0)], Processor(ONE, 0, nested=False, deadline=deadline))
        assert bool(leaf[5] & 1 << 24) == deadline


def test_a_step_whose_topology_has_another_number_is_none():
    assert DescribeMachine(6, None).processors == Topology(1, 6, 1)
    assert DescribeMachine(12, None, topology=ODD).describe().endswith("ACPI tables, 2 sockets x 3 cores x 2 threads")
    for vcpus, topology in ((6, ODD), (0, None)):
        with pytest.raises(ValueError, match="topology"):
            DescribeMachine(vcpus, None, topology=topology)
