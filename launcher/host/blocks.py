"""A Tree in; which disks PCI functions have, and what of the host's stands on them, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from launcher.host.addresses import owner
from launcher.host.block_holders import read_exports, read_standing
from launcher.host.facts import BlockDevice, Use
from launcher.host.lists import entries, keyed, str_of
from launcher.host.mounts import read_mounts, read_swaps
from launcher.patterns import re
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.mounts import Mounts
    from launcher.host.tree import Tree
    from launcher.values import PciAddress

BLOCK = "/sys/class/block"
_SUBSYSTEM = r"/nvme-subsystem/(nvme-subsys[0-9]+)/(nvme[0-9]+)(n[0-9]+)"
_NVME = "/sys/class/nvme"
_PATH = "nvme[0-9]+c[0-9]+n[0-9]+"
_SECTOR = 512  # bytes, whatever the disk's own are: the unit of `size` (Documentation/ABI/stable/sysfs-block)

# ID_FS_TYPE of what belongs to a whole, whether or not that runs: LVM2_member, zfs_member, linux_raid_member ...
_MEMBER = r".*_member|ceph_bluestore|bcache|drbd|jbd"
# ID_PART_ENTRY_TYPE of a partition that ZFS made, when it was given the whole disk: a cache or a spare has no more.
_OF_ZFS = "6a898cc3-1dd2-11b2-99a6-080020736631"
_OF_MULTIPATH = "mpath_member"  # udev's word for a path; the map that holds it says what it is for

Owners = dict[str, tuple["PciAddress", ...]]  # the PCI functions of each block device


class Storage(NamedTuple):
    """What is read once."""

    tree: Tree
    mounts: Mounts
    swaps: frozenset[str]
    owners: Owners
    standing: dict[str, tuple[str, ...]]
    exports: dict[str, Use]


def read_owners(tree: Tree) -> Owners:
    names = entries(tree.list_folder(BLOCK))
    return {name: _owners(tree, name, names) for name in names}


def read_disks(tree: Tree, owners: Owners) -> dict[PciAddress, list[BlockDevice]]:
    """Those that are no part of another, nor a path that only the kernel goes by."""
    found: dict[PciAddress, list[BlockDevice]] = {}
    for name, addresses in owners.items():
        above = str_of(tree.read_link(f"{BLOCK}/{name}")).split("/")[-2:-1] if addresses else []
        if addresses and not _is(_PATH, name) and not owners.keys() & above:
            sectors = str_of(tree.read_text(f"{BLOCK}/{name}/size"))
            disk = BlockDevice(name, int(sectors) * _SECTOR if sectors.isdecimal() else None)
            for address in addresses:
                found.setdefault(address, []).append(disk)
    return found


def block_uses(tree: Tree, owners: Owners) -> Iterator[tuple[PciAddress, Use]]:
    if not any(owners.values()):
        return
    names = tuple(owners)
    standing, exports = read_standing(tree, names), read_exports(tree)
    storage = Storage(tree, read_mounts(tree, names), read_swaps(tree), owners, standing, exports)
    for name, addresses in owners.items():
        uses = tuple(_uses(storage, name, name)) if addresses else ()
        yield from ((address, use) for address in addresses for use in uses)


def uses_on(storage: Storage, name: str) -> Iterator[Use]:
    """Its own, and those of all that is built on it."""
    return _uses(storage, name, name)


def _owners(tree: Tree, name: str, names: Sequence[str]) -> tuple[PciAddress, ...]:
    """With multipath, an NVMe namespace hangs below its subsystem, which knows all controllers of the drive."""
    link = str_of(tree.read_link(f"{BLOCK}/{name}"))
    subsystem = re.search(_SUBSYSTEM, link) if "/virtual/" in link else None
    if not subsystem:
        address = owner(link)
        return (address,) if address else ()
    folder = f"/sys/class/nvme-subsystem/{subsystem[1]}"
    links = {name: tree.read_link(f"{folder}/{name}") for name in entries(tree.list_folder(folder))}
    controllers = {name: owner(link) for name, link in links.items()}
    leading = _leading(tree, f"{subsystem[2]}c[0-9]+{subsystem[3]}", controllers, names)
    found = controllers.values() if leading is None else leading
    return tuple(dict.fromkeys(address for address in found if address))


def _leading(
    tree: Tree, path: str, controllers: Mapping[str, PciAddress | None], names: Sequence[str]
) -> list[PciAddress | None] | None:
    """The controllers that the namespace is attached to have a path, a hidden disk: nvme0c1n2 of controller 1 leads to
    nvme0n2. Those of a network are no PCI function. None: no path is seen, and each of them may lead there."""
    below = (name for name in controllers for one in entries(tree.list_folder(f"{_NVME}/{name}")) if _is(path, one))
    found = [controllers[name] for name in below]
    found += [owner(tree.read_link(f"{BLOCK}/{one}")) for one in names if _is(path, one)]
    return found or None


def _is(path: str, name: str) -> bool:
    return re.fullmatch(path, name) is not None


def _uses(storage: Storage, name: str, label: str, *, of_map: bool = False) -> Iterator[Use]:
    """Its own, and those of all that is built on it: each device once, by however many ways one gets there.

    `of_map`: it is what a path leads to, and a path to another one is not followed.
    """
    seen = {name}
    todo: list[tuple[str, str, Use | None]] = [(name, label, None)]
    while todo:
        one, title, built = todo.pop()
        yield from (built,) if built else ()
        holders = _holders(storage, one)
        yield from _own(storage, one, title, held=bool(holders))
        for holder in reversed(holders):
            called = _title(storage.tree, holder)
            if other := _other_path(storage, one, holder):
                lost = "" if of_map else _for(tuple(_uses(storage, holder, called, of_map=True)))
                yield Use("path", f"{one} is a path to {called}, as is {other}{lost}", holder)
                continue
            on = Use("holder", f"{called} is built on {one}", holder)
            if holder in seen:
                yield on
            else:
                seen.add(holder)
                todo.append((holder, called, on))


def _holders(storage: Storage, name: str) -> tuple[str, ...]:
    return (*_inside(storage.tree, name, "holders"), *storage.standing.get(name, ()))


def _own(storage: Storage, name: str, label: str, *, held: bool) -> Iterator[Use]:
    tree = storage.tree
    number = str_of(tree.read_text(f"{BLOCK}/{name}/dev"))
    mounts = storage.mounts.of(number, name)
    for mount in mounts:
        yield Use("mounted", f"{label} on {mount.point}", mount.point)
    if not mounts and (kind := storage.mounts.elsewhere.get(name)):
        yield Use("mounted", f"{label} ({kind}) in another mount namespace, as a container has")
    if name in storage.swaps:
        yield Use("swap", f"{label} is swap", f"/dev/{name}")
    if name in storage.exports:
        yield storage.exports[name]
    if (member := _membership(tree, number)) and not (member == _OF_MULTIPATH and held):
        yield Use("member", f"{label} is a {member}", f"/dev/{name}")


def _membership(tree: Tree, number: str) -> str:
    """What udev has found on it that belongs to a whole."""
    known = keyed(tree.read_text(f"/run/udev/data/b{number}"), "=")
    kind = known.get("E:ID_FS_TYPE", "")
    if re.fullmatch(_MEMBER, kind):
        return kind
    return "partition of ZFS" if not kind and known.get("E:ID_PART_ENTRY_TYPE") == _OF_ZFS else ""


def _for(uses: tuple[Use, ...]) -> str:
    """What the host would miss most."""
    most = min(uses, key=lambda use: use.kind not in ("mounted", "swap"), default=None)
    return f": {most.what}" if most else ""


def _other_path(storage: Storage, name: str, holder: str) -> str:
    """With dm-multipath a disk can go, as long as one that works leads there by another function."""
    tree = storage.tree
    if not str_of(tree.read_text(f"{BLOCK}/{holder}/dm/uuid")).startswith("mpath-"):
        return ""
    ours = storage.owners.get(name, ())
    others = (one for one in _inside(tree, holder, "slaves") if storage.owners.get(one, ()) != ours)
    working = (one for one in others if _works(tree.read_text(f"{BLOCK}/{one}/device/state")))
    return next((_shown_path(one, storage.owners.get(one, ())) for one in working), "")


def _works(state: str | Missing) -> bool:
    """By the state of a SCSI disk, or of an NVMe controller."""
    return isinstance(state, Missing) or state in ("running", "live")


def _shown_path(name: str, addresses: tuple[PciAddress, ...]) -> str:
    return f"{name} of {addresses[0]}" if addresses else name


def _inside(tree: Tree, name: str, folder: str) -> tuple[str, ...]:
    return entries(tree.list_folder(f"{BLOCK}/{name}/{folder}"))


def _title(tree: Tree, name: str) -> str:
    """`dm-0 (vg-root)`."""
    called = tree.read_text(f"{BLOCK}/{name}/dm/name")
    return f"{name} ({called})" if isinstance(called, str) else name
