"""A Tree in; /dev/kvm, /dev/vfio/* and /dev/iommu out: who may open them, who has them open. Opens none."""

from __future__ import annotations

import struct

from launcher.host.facts import DeviceNode, Holder
from launcher.host.lists import entries
from launcher.patterns import re
from launcher.record import replace
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.host.facts import Process
    from launcher.host.opened import Opened
    from launcher.host.tree import Status, Tree

_OWN = r"(noiommu-)?vfio[0-9]{1,10}"
_NODE = rf"/dev/(kvm|iommu|vfio/(vfio|(noiommu-)?[0-9]{{1,10}}|devices/{_OWN}))"
_FOLDERS = ("/dev/vfio", "/dev/vfio/devices")
_READ_WRITE = 6

# Tags of an access list (linux/posix_acl.h), version 2 of its form as an extended attribute.
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32
_ENTRY = struct.Struct("<HHI")


def read_device_nodes(tree: Tree, process: Process, opened: Opened) -> tuple[DeviceNode, ...]:
    """Sorted by path."""
    found = ((path, tree.status(path)) for path in sorted(_paths(tree)))
    return tuple(
        DeviceNode(path, status.mode, status.uid, status.gid, usable(status, process), _holders(tree, path, opened))
        for path, status in found
        if not isinstance(status, Missing) and status.kind == "char"
    )


def is_own_name(name: str) -> bool:
    """Whether a device of VFIO's may have it, and so its own node: `vfio3`."""
    return re.fullmatch(_OWN, name) is not None


def is_node(path: str) -> bool:
    """Whether KVM, iommufd or VFIO has a node there, as its drivers name them."""
    return re.fullmatch(_NODE, path) is not None


def with_handed(nodes: Iterable[DeviceNode], paths: Iterable[str]) -> tuple[DeviceNode, ...]:
    """Of `paths` we were given descriptors: they are ours, whatever their modes and whoever else has them open."""
    known = {node.path: node for node in nodes}
    for path in paths:
        known[path] = replace(known.get(path, DeviceNode(path, 0, 0, 0, True, ())), usable=True, holders=())
    return tuple(known[path] for path in sorted(known))


def _paths(tree: Tree) -> Iterator[str]:
    yield from ("/dev/iommu", "/dev/kvm")
    for folder in _FOLDERS:
        yield from filter(is_node, (f"{folder}/{name}" for name in entries(tree.list_folder(folder))))


def _holders(tree: Tree, path: str, opened: Opened) -> tuple[Holder, ...] | Missing:
    """Who sees nobody and may not see everybody does not know."""
    found = opened.holders(tree, path)
    return found if found or opened.all_seen else Missing("denied", "/proc/*/fd")


def usable(status: Status, process: Process) -> bool:
    """Whether it may be read and written, by owner, mode and access list. What a device cgroup says cannot be seen."""
    if "cap_dac_override" in process.capabilities and not process.own_user_namespace:
        return True
    granted = _granted(_entries(status), status, process)
    return any(permission & _READ_WRITE == _READ_WRITE for permission in granted)


def _entries(status: Status) -> list[tuple[int, int, int]]:
    """(tag, permission, id); a file without an access list has one in its mode."""
    body = status.access_list[4:]
    if body and len(body) % _ENTRY.size == 0:
        return list(_ENTRY.iter_unpack(body))
    mode = status.mode
    return [(_USER_OBJ, mode >> 6 & 7, 0), (_GROUP_OBJ, mode >> 3 & 7, 0), (_OTHER, mode & 7, 0)]


def _granted(entries: list[tuple[int, int, int]], status: Status, process: Process) -> list[int]:
    """acl(5), access check algorithm: the first kind of entry that fits decides; of groups any may grant."""
    mask = next((permission for tag, permission, _ in entries if tag == _MASK), 7)
    mine = {process.gid, *process.groups}
    owner = [permission for tag, permission, _ in entries if tag == _USER_OBJ and status.uid == process.uid]
    named = [permission & mask for tag, permission, one in entries if tag == _USER and one == process.uid]
    groups = [
        permission & mask
        for tag, permission, one in entries
        if (tag == _GROUP_OBJ and status.gid in mine) or (tag == _GROUP and one in mine)
    ]
    return owner or named or groups or [permission for tag, permission, _ in entries if tag == _OTHER]
