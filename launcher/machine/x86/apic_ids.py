"""A topology in, the APIC id of each vCPU out: socket, core and thread, each in bits of its own. Pure.

Software takes ids apart by shifts (Intel SDM 3A, 9.9.1; AMD APM 3, E.5): where the cores of a socket are no power of
two, some ids are nobody's.
"""

from __future__ import annotations

from launcher.machine.x86.layout import MOST_VCPUS
from launcher.plan.steps import Topology


def thread_bits(topology: Topology) -> int:
    return (topology.threads - 1).bit_length()


def socket_shift(topology: Topology) -> int:
    """Bits of an id below those of the socket."""
    return (topology.cores - 1).bit_length() + thread_bits(topology)


def apic_ids(topology: Topology) -> tuple[int, ...]:
    """In the order of the vCPUs: the threads of a core follow each other, and the cores of a socket.

    ValueError: so many processors have no ids. Plans come from elsewhere, too.
    """
    if topology.count > MOST_VCPUS:
        raise ValueError(f"{topology.count} processors, and an APIC id has eight bits")
    core_shift, shift = thread_bits(topology), socket_shift(topology)
    return tuple(
        socket << shift | core << core_shift | thread
        for socket in range(topology.sockets)
        for core in range(topology.cores)
        for thread in range(topology.threads)
    )
