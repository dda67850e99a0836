"""A step that starts an engine in; how much memory that may have, as limits of setrlimit(2), out. Pure.

What it maps of the guest it has from the runner, and the plan says how much that is. What it takes for itself (data)
and all that it has mapped at once (addresses) are bounded apart: else it could give the guest's memory back and take as
much of its own.
"""

from __future__ import annotations

import resource

from launcher.plan.seed import StartSeedEngine
from launcher.plan.virtio import StartDiskEngine, StartShareEngine, StartUserNetwork
from launcher.values import GIB, MIB

# qemu-storage-daemon has up to 64 threads that read and write, with stacks of 8 MiB, and a stack of 1 MiB for each of
# the 256 requests that a queue holds; it was seen with 64 MiB. A virtiofsd has some hundred bytes for each of a million
# files.
OWN, OF_A_QUEUE = GIB, 256 * MIB
PROGRAM = GIB  # addresses of programs and libraries (seen: 160 MiB), and those that malloc keeps free
MOST = resource.RLIM_INFINITY if resource.RLIM_INFINITY > 0 else (1 << 63) - 1

Starts = StartSeedEngine | StartDiskEngine | StartShareEngine | StartUserNetwork


def memory_limits(step: Starts) -> tuple[tuple[int, int], ...]:
    """Each of a disk engine's disks has a socket of its own, by which it maps the guest's memory once more."""
    disks = step.disks if isinstance(step, StartDiskEngine) else ()
    queues = 1 if isinstance(step, StartSeedEngine) else sum(one.queues for one in disks)
    data = OWN + OF_A_QUEUE * queues
    addresses = data + PROGRAM + step.maps * max(len(disks), 1)
    return (resource.RLIMIT_DATA, _held(data)), (resource.RLIMIT_AS, _held(addresses))


def _held(amount: int) -> int:
    """A number below 0, which a saved plan may lead to, is no limit to setrlimit(2), or an error."""
    return max(min(amount, MOST), 0)
