"""A Tree in; mediated devices (Documentation/ABI/testing/sysfs-bus-vfio-mdev) out."""

from __future__ import annotations

from launcher.host.addresses import last
from launcher.host.facts import MediatedDevice, MediatedParent, MediatedType
from launcher.host.lists import entries, number, str_of
from launcher.typed import TYPE_CHECKING
from launcher.values import Mdev

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.tree import Tree

DEVICES = "/sys/bus/mdev/devices"
PARENTS = "/sys/class/mdev_bus"


def read_mediated(tree: Tree) -> tuple[MediatedDevice, ...]:
    """By their UUIDs; none where no driver has made any."""
    return tuple(_device(tree, address) for address in sorted(_found(tree)))


def _found(tree: Tree) -> Iterator[Mdev]:
    for name in entries(tree.list_folder(DEVICES)):
        try:
            yield Mdev.parse(name)
        except ValueError:
            continue


def _device(tree: Tree, address: Mdev) -> MediatedDevice:
    folder = f"{DEVICES}/{address}"
    parent = last(str_of(tree.read_link(folder)).rpartition("/")[0])
    nodes = entries(tree.list_folder(f"{folder}/vfio-dev"))
    return MediatedDevice(
        address=address,
        type=last(tree.read_link(f"{folder}/mdev_type")),
        name=str_of(tree.read_text(f"{folder}/mdev_type/name")) or None,
        api=str_of(tree.read_text(f"{folder}/mdev_type/device_api")) or None,
        parent=parent,
        driver=last(tree.read_link(f"{folder}/driver")) or None,
        node=_node(tree, parent),
        group=number(last(tree.read_link(f"{folder}/iommu_group"))),
        vfio=nodes[0] if nodes else None,
    )


def read_parents(tree: Tree) -> tuple[MediatedParent, ...]:
    """Those whose drivers make mediated devices."""
    return tuple(
        MediatedParent(name, tuple(_types(tree, f"{PARENTS}/{name}/mdev_supported_types")), _node(tree, name))
        for name in sorted(entries(tree.list_folder(PARENTS)))
    )


def _types(tree: Tree, folder: str) -> Iterator[MediatedType]:
    for name in sorted(entries(tree.list_folder(folder))):
        yield MediatedType(
            name=name,
            label=str_of(tree.read_text(f"{folder}/{name}/name")) or None,
            api=str_of(tree.read_text(f"{folder}/{name}/device_api")) or None,
            available=number(tree.read_text(f"{folder}/{name}/available_instances")),
        )


def _node(tree: Tree, parent: str) -> int | None:
    on = number(tree.read_text(f"{PARENTS}/{parent}/numa_node"))
    return None if on is None or on < 0 else on
