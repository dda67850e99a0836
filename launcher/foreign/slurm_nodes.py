"""Offers of hosts in, lines of gres.conf and of slurm.conf out. Pure.

An address is the name of its folder in sysfs, which is there before and after a driver is bound: slurmd does not start
where a `File` is missing, and /dev/vfio/N is made at the bind. slurmd logs that it is no device file, and goes on.
"""

from __future__ import annotations

import re
from collections import Counter

from launcher.errors import Diagnostic, Refused
from launcher.foreign.units import HUGE, MDEV, huge_name, runs
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.foreign.units import Offer, Unit

DEVICES, MEDIATED = "/sys/bus/pci/devices", "/sys/bus/mdev/devices"
RESERVED = ("all", "default")  # NodeName=DEFAULT says what all nodes below it have, Nodes=ALL is every node


def check_name(name: str) -> None:
    """One that is no word would become others of a line; one that Slurm reserves would speak of other nodes."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name) or name.lower() in RESERVED:
        help_ = ("record the host again, by a name of letters, digits, `.`, `_` and `-`",)
        raise Refused(Diagnostic("E580", f"{name!r} is no name of a node of Slurm's", help=help_))


def gres_conf(offers: Sequence[Offer]) -> str:
    """For all nodes. Slurm's index of a device is its line among those of its `Name` on that node."""
    lines = [line for one in offers for line in _lines(one)]
    head = (
        "# By `vmlaunch devices --format gres`: one line for each IOMMU group or mediated device that can be passed.\n"
    )
    return head + "".join(f"{line}\n" for line in lines)


def _lines(offer: Offer) -> Iterator[str]:
    for unit in offer.units:
        cores = _cores(offer, unit)
        yield (
            f"NodeName={offer.host} Name={unit.kind} Type={unit.type} File={_folder(unit)}"
            f"{f' Cores={cores}' if cores else ''}"
        )
    for size, count in offer.huge.items():
        yield f"NodeName={offer.host} Name={HUGE} Type={huge_name(size)} Count={count}"


def _folder(unit: Unit) -> str:
    return f"{MEDIATED if unit.kind == MDEV else DEVICES}/{unit.address}"


def _cores(offer: Offer, unit: Unit) -> str:
    """Of its NUMA node, where there is a choice."""
    if offer.cores is None or unit.node is None or offer.nodes < 2:
        return ""
    return runs(offer.cores.by_node.get(unit.node, ()))


def nodes_conf(offers: Sequence[Offer]) -> str:
    kinds = sorted({unit.kind for one in offers for unit in one.units} | {HUGE for one in offers if one.huge})
    head = "# By `vmlaunch devices --format nodes`, for slurm.conf.\n"
    types = f"GresTypes={','.join(kinds)}\n" if kinds else ""
    return head + types + "".join(f"{_node(one)}\n" for one in offers)


def _node(offer: Offer) -> str:
    cores = offer.cores
    shape = (
        f"CPUs={offer.cpus}"
        if cores is None
        else f"Sockets={cores.sockets} CoresPerSocket={cores.per_socket} ThreadsPerCore={cores.threads}"
    )
    counted = Counter((unit.kind, unit.type) for unit in offer.units)
    gres = [f"{kind}:{type_}:{count}" for (kind, type_), count in counted.items()]
    gres += [f"{HUGE}:{huge_name(size)}:{count}" for size, count in offer.huge.items()]
    given = f" Gres={','.join(gres)}" if gres else ""
    return f"NodeName={offer.host} {shape} RealMemory={offer.memory >> 20}{given} State=UNKNOWN"
