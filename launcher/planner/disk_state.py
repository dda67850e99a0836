"""What is known of a disk or of what serves a host in, the part of it that a plan rests on and that does not move by
itself, out. Pure.

An image grows and its guest writes it: that it holds something, that it is no image of another program and that nobody
else writes it are facts all the same.
"""

from __future__ import annotations

from collections import defaultdict

from launcher.host.facts import Serving
from launcher.images.contents import DISKS_OF_OTHERS
from launcher.images.disk_files import Disk, DiskFile
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SECTOR = 512
_PLENTY = 1 << 63
_WRITING = {"write", "resize"}


def _holds(disk: Disk) -> str:
    size = disk.top.virtual_size
    return "nothing" if not size else "sectors" if size % _SECTOR == 0 else "a part of a sector"


def _contents(disk: Disk) -> list[str]:
    """Of each image, as far as it says what the image can be served as."""
    return [_content(one) for one in disk.chain]


def _content(one: DiskFile) -> str:
    if one.qcow2 is not None:
        return "qcow2"
    return str(one.content) if one.content in DISKS_OF_OTHERS else "raw"


def _held(disk: Disk) -> dict[str, bool]:
    """Whether somebody's locks keep us from it, for each of the two ways to open its first image."""
    first = disk.top
    written = any(_WRITING & {*one.taken} or "read" in one.refused for one in disk.chain)
    return {"reading": written, "writing": written or bool(_WRITING & {*first.refused})}


def _room(disk: Disk) -> int:
    """Bytes that it may grow by; what has its size already, or room for all of it, needs none."""
    one = disk.top
    growth = max(0, one.virtual_size - one.allocated)
    return _PLENTY if one.free is None or growth <= one.free else one.free


def _macs(serving: Serving) -> dict[str, list[str]]:
    """Who has each: VMs that are up, and interfaces."""
    found: dict[str, list[str]] = defaultdict(list)
    for vm in serving.vms:
        for mac in vm.macs:
            found[mac].append(vm.name)
    for link in serving.links:
        if link.mac:
            found[link.mac].append(link.name)
    return {mac: sorted(names) for mac, names in found.items()}


def _images(serving: Serving) -> dict[str, list[str]]:
    """Which VMs that are up write each."""
    found: dict[str, list[str]] = defaultdict(list)
    for vm in serving.vms:
        for identity in vm.images:
            found[identity].append(vm.name)
    return dict(found)


FOLLOWS: dict[tuple[type, str], Callable[[Any], Any]] = {
    (Disk, "holds"): _holds,
    (Disk, "contents"): _contents,
    (Disk, "held"): _held,
    (Disk, "uses"): lambda disk: [use.what for use in disk.top.uses],
    (Disk, "room"): _room,
    (Serving, "images"): _images,
    (Serving, "macs"): _macs,
    (Serving, "cids"): lambda serving: {str(vm.cid): vm.name for vm in serving.vms if vm.cid is not None},
}
