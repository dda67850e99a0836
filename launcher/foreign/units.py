"""What of a host a scheduler can give away, as values: units, pools of huge pages, cores. Pure."""

from __future__ import annotations

import re
from collections import defaultdict

from launcher.record import record
from launcher.spec.kinds import is_of
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from launcher.host.facts import Cpu, HostFacts
    from launcher.values import HostDevice

# What a unit is called by, the first that fits: a group with a GPU and its sound is a GPU.
KINDS = ("gpu", "fpga", "nvme", "infiniband", "ethernet", "wifi", "network", "storage", "usb", "audio", "display")
REST = "pci"
MDEV = "mdev"  # a mediated device
HUGE = "hugepages"
_MOST = 63  # characters of a resource's name in Kubernetes, whose first and last one is a letter or a digit


@record
class Unit:
    """What is given as one piece: an IOMMU group, called by the function in it that a VM wants. `type`: its vendor and
    device. Or a mediated device, of which it is its own type; its group is made up.
    """

    kind: str
    type: str
    address: HostDevice
    node: int | None
    group: int | None


@record
class Cores:
    """Cores as Slurm counts them: socket by socket, one number for all threads of a core, whatever the CPUs are called.

    `by_node`: those of each NUMA node, sorted.
    """

    sockets: int
    per_socket: int
    threads: int
    by_node: Mapping[int, tuple[int, ...]]


@record
class Offer:
    """What one host has to give. `memory`: bytes without huge pages, which `huge` counts by size in bytes.

    `cores`: None where they are not all alike, and have no numbers that a scheduler would count the same way.
    """

    host: str
    units: tuple[Unit, ...]
    huge: Mapping[int, int]
    memory: int
    cpus: int
    cores: Cores | None
    nodes: int


def kind_of(class_code: str, id_: str) -> str:
    return next((one for one in KINDS if is_of(one, class_code, id_)), REST)


def type_of(id_: str) -> str:
    """Vendor and device as a word that every scheduler takes: 10de-2684."""
    return id_.replace(":", "-")


def type_of_mdev(kind: str) -> str:
    """nvidia-63: what its driver calls it, which may be any name of a file. With the kind before it, it is a label."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", kind)[: _MOST - len(f"{MDEV}-")].strip("._-")


def offer_of(host: HostFacts, units: tuple[Unit, ...]) -> Offer:
    huge: dict[int, int] = defaultdict(int)
    for pool in (pool for node in host.nodes for pool in node.huge_pages):
        huge[pool.size] += pool.total
    held = {size: count for size, count in sorted(huge.items()) if count}
    memory = host.memory.total - sum(size * count for size, count in held.items())
    return Offer(host.name, units, held, max(memory, 0), len(host.cpus), cores_of(host.cpus), len(host.nodes))


def cores_of(cpus: Iterable[Cpu]) -> Cores | None:
    """None for cores with and without a second thread on one host, and for sockets of different sizes."""
    threads: dict[tuple[int, int], set[int]] = defaultdict(set)
    nodes: dict[tuple[int, int], int] = {}
    for cpu in cpus:
        if not (place := re.fullmatch(r"(\d{1,9}):(\d{1,9})", cpu.core)):
            return None
        core = int(place[1]), int(place[2])
        threads[core].add(cpu.id)
        nodes[core] = cpu.node
    sizes = {socket: sum(1 for one, _ in threads if one == socket) for socket, _ in threads}
    if len(set(map(len, threads.values()))) != 1 or len(set(sizes.values())) != 1:
        return None
    numbers: dict[int, list[int]] = defaultdict(list)
    for number, core in enumerate(sorted(threads)):
        numbers[nodes[core]].append(number)
    by_node = {node: tuple(found) for node, found in sorted(numbers.items())}
    return Cores(len(sizes), next(iter(sizes.values())), len(next(iter(threads.values()))), by_node)


def huge_name(size: int) -> str:
    """1G and 2M, as Slurm's types and Kubernetes' resources have it; the latter with an `i` behind."""
    return f"{size >> 30}G" if size >= 1 << 30 else f"{size >> 20}M" if size >= 1 << 20 else f"{size >> 10}K"


def runs(numbers: Iterable[int]) -> str:
    """0-3,7 for 0, 1, 2, 3, 7."""
    found: list[list[int]] = []
    for one in sorted(numbers):
        if found and found[-1][1] == one - 1:
            found[-1][1] = one
        else:
            found.append([one, one])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)
