"""What each vCPU of a guest on the real /dev/kvm hears from CPUID, held against the spec and against this host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.kernel.real import RealKernel
from tests.conftest import Cli

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]
Leaves = dict[tuple[int, int], tuple[int, int, int, int]]


def heard(cli: Cli, payload: Payload, count: int, cpus: Any) -> dict[int, Leaves]:
    """By APIC id."""
    boot = {"kernel": str(payload("processors")), "cmdline": chr(ord("0") + count)}
    done = cli.run("up", cli.spec(payload("processors"), boot=boot, cpus=cpus))
    assert done.code == 0, done.err
    found: dict[int, Leaves] = {}
    for line in done.out.splitlines():
        if line.startswith("v "):
            now = found[int(line[2:], 16)] = Leaves()
        else:
            function, index, *words = (int(word, 16) for word in line.split())
            now[function, index] = (words[0], words[1], words[2], words[3])
    return found


def is_amd(leaves: Leaves) -> bool:
    return leaves[0, 0][1] == int.from_bytes(b"Auth", "little")


def check_socket(leaves: Leaves, apic_id: int, cores: int, threads: int, socket_bits: int) -> None:
    """`threads` of each core. All leaves say the same of one vCPU."""
    in_socket, thread_bits = cores * threads, (threads - 1).bit_length()
    _, ebx, _, edx = leaves[1, 0]
    assert (ebx >> 24, ebx >> 16 & 0xFF) == (apic_id, in_socket)
    assert in_socket == 1 or edx & 1 << 28  # a KVM without the CPU's help shows the host's word to a single one, too
    if leaves[0, 0][0] >= 0xB:
        assert leaves[0xB, 0] == (thread_bits, threads, 0x100, apic_id)
        assert leaves[0xB, 1] == (socket_bits, in_socket, 0x201, apic_id)
        assert leaves[0xB, 2] == (0, 0, 2, apic_id)
    if is_amd(leaves):
        check_amd(leaves, apic_id, cores, threads, socket_bits)


def check_amd(leaves: Leaves, apic_id: int, cores: int, threads: int, socket_bits: int) -> None:
    assert leaves[0x80000008, 0][2] & 0xF0FF == socket_bits << 12 | cores * threads - 1
    assert leaves[0x80000026, 0] == (0, 0, 0, 0)
    if leaves[0x80000001, 0][2] & 1 << 22:
        place = apic_id & (1 << socket_bits) - 1
        core = place >> (threads - 1).bit_length()
        assert leaves[0x8000001E, 0] == (apic_id, threads - 1 << 8 | core, apic_id >> socket_bits, 0)
        shared = [(leaves[0x8000001D, n][0] >> 14 & 0xFFF) + 1 for n in (0, 2, 3) if leaves[0x8000001D, n][0] & 0x1F]
        assert shared == [threads, threads, cores * threads][: len(shared)]


def test_one_vcpu_is_one_core_whatever_the_host_has(cli: Cli, payload: Payload) -> None:
    """memtest86+ counted the cores of the host: 0x80000008 ECX[7:0]."""
    found = heard(cli, payload, 1, 1)
    assert list(found) == [0]
    check_socket(found[0], 0, cores=1, threads=1, socket_bits=0)


def test_four_vcpus_are_the_four_cores_of_one_socket(cli: Cli, payload: Payload) -> None:
    found = heard(cli, payload, 4, 4)
    assert sorted(found) == [0, 1, 2, 3]
    for apic_id, leaves in found.items():
        check_socket(leaves, apic_id, cores=4, threads=1, socket_bits=2)


def test_a_topology_is_what_each_vcpu_hears_and_ids_leave_room(cli: Cli, payload: Payload) -> None:
    """Three cores take two bits: 3 and 7, with either thread, are nobody's."""
    found = heard(cli, payload, 12, {"topology": {"sockets": 2, "cores": 3, "threads": 2}})
    assert sorted(found) == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]
    for apic_id, leaves in found.items():
        check_socket(leaves, apic_id, cores=3, threads=2, socket_bits=3)


def test_the_guest_reads_the_name_of_the_hosts_processor(cli: Cli, payload: Payload) -> None:
    leaves = heard(cli, payload, 1, 1)[0]
    words = [word for n in (2, 3, 4) for word in leaves[0x80000000 + n, 0]]
    text = b"".join(word.to_bytes(4, "little") for word in words).partition(b"\0")[0].decode()
    names = [line.partition(":")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    assert text.split() == names[0].split()


@pytest.mark.parametrize("nested", [False, True])
def test_virtualisation_is_offered_to_the_guest_only_if_the_spec_says_so(
    cli: Cli, payload: Payload, nested: bool
) -> None:
    leaves = heard(cli, payload, 1, {"count": 1, "nested": nested})[0]
    offered = bool(leaves[1, 0][2] & 1 << 5 or leaves[0x80000001, 0][2] & 1 << 2)
    assert offered == (nested and kvm_offers())
    assert nested or leaves[0x8000000A, 0] == (0, 0, 0, 0)


def kvm_offers() -> bool:
    kvm = RealKernel().open_kvm()
    leaves = {leaf[0]: leaf for leaf in kvm.supported_cpuid()}
    kvm.close()
    return bool(leaves[1][5] & 1 << 5 or leaves[0x80000001][5] & 1 << 2)
