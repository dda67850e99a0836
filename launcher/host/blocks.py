"""A Tree in; which PCI functions the host's file systems, swap and volumes stand on out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from launcher.host.addresses import last, owner
from launcher.host.facts import Use
from launcher.host.lists import entries, keyed, str_of
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.tree import Tree
    from launcher.values import PciAddress

_BLOCK = "/sys/class/block"
_BTRFS = "/sys/fs/btrfs"
# Patterns are compiled where they are first needed: most hosts need few of them.
_OCTAL = r"\\([0-7]{3})"
_SUBSYSTEM = r"/nvme-subsystem/(nvme-subsys[0-9]+)/(nvme[0-9]+)(n[0-9]+)"
_NVME = "/sys/class/nvme"
_MOST_MOUNTS = 8  # of one device that are named: a host of containers has hundreds of bind mounts

# ID_FS_TYPE of what belongs to a whole, whether or not that runs: LVM2_member, zfs_member, linux_raid_member ...
_MEMBER = r".*_member|ceph_bluestore|bcache|drbd"
_OF_MULTIPATH = "mpath_member"  # udev's word for a path; the map that holds it says what it is for


class _Mount(NamedTuple):
    point: str
    root: str  # the folder of the file system that is mounted there
    source: str


class _Storage(NamedTuple):
    """What is read once. `mounts` by major:minor or, for btrfs, which has numbers of its own, by the device's name."""

    tree: Tree
    mounts: dict[str, list[_Mount]]
    swaps: frozenset[str]
    owners: dict[str, tuple[PciAddress, ...]]


def block_uses(tree: Tree) -> Iterator[tuple[PciAddress, Use]]:
    names = entries(tree.list_folder(_BLOCK))
    owners = {name: _owners(tree, name, names) for name in names}
    if not any(owners.values()):
        return
    storage = _Storage(tree, _mounts(tree), _swaps(tree), owners)
    storage.mounts.update(_pools(tree, storage.mounts))
    for name, addresses in owners.items():
        uses = tuple(_uses(storage, name, name, frozenset())) if addresses else ()
        yield from ((address, use) for address in addresses for use in uses)


def _owners(tree: Tree, name: str, names: Sequence[str]) -> tuple[PciAddress, ...]:
    """With multipath, an NVMe namespace hangs below its subsystem, which knows all controllers of the drive."""
    link = str_of(tree.read_link(f"{_BLOCK}/{name}"))
    subsystem = re.search(_SUBSYSTEM, link) if "/virtual/" in link else None
    if not subsystem:
        address = owner(link)
        return (address,) if address else ()
    folder = f"/sys/class/nvme-subsystem/{subsystem[1]}"
    links = {name: tree.read_link(f"{folder}/{name}") for name in entries(tree.list_folder(folder))}
    controllers = {name: address for name, link in links.items() if (address := owner(link))}
    leading = _leading(tree, f"{subsystem[2]}c[0-9]+{subsystem[3]}", controllers, names)
    return leading or tuple(dict.fromkeys(controllers.values()))


def _leading(
    tree: Tree, path: str, controllers: Mapping[str, PciAddress], names: Sequence[str]
) -> tuple[PciAddress, ...]:
    """The controllers that the namespace is attached to have a path, a hidden disk: nvme0c1n2 of controller 1 leads to
    nvme0n2. None: no path is seen, and each of them may lead there."""
    below = (name for name in controllers for one in entries(tree.list_folder(f"{_NVME}/{name}")) if _is(path, one))
    found = [controllers[name] for name in below]
    found += [address for one in names if _is(path, one) and (address := owner(tree.read_link(f"{_BLOCK}/{one}")))]
    return tuple(dict.fromkeys(found))


def _is(path: str, name: str) -> bool:
    return re.fullmatch(path, name) is not None


def _uses(storage: _Storage, name: str, label: str, above: frozenset[str]) -> Iterator[Use]:
    """Its own, and those of all that is built on it."""
    tree = storage.tree
    number = str_of(tree.read_text(f"{_BLOCK}/{name}/dev"))
    for mount in _shown((*storage.mounts.get(number, ()), *storage.mounts.get(name, ()))):
        yield Use("mounted", f"{label} on {mount.point}", mount.point)
    if name in storage.swaps:
        yield Use("swap", f"{label} is swap", f"/dev/{name}")
    holders = {holder: _other_path(storage, name, holder) for holder in _inside(tree, name, "holders")}
    kind = keyed(tree.read_text(f"/run/udev/data/b{number}"), "=").get("E:ID_FS_TYPE", "")
    if kind and re.fullmatch(_MEMBER, kind) and not (kind == _OF_MULTIPATH and holders):
        yield Use("member", f"{label} is a {kind}", f"/dev/{name}")
    for holder, other in holders.items():
        title = _title(tree, holder)
        built = _uses(storage, holder, title, above | {name}) if holder not in above else iter(())
        if other:
            yield Use("path", f"{name} is a path to {title}, as is {other}{_for(tuple(built))}", holder)
        else:
            yield Use("holder", f"{title} is built on {name}", holder)
            yield from built


def _for(uses: tuple[Use, ...]) -> str:
    """What the host would miss most."""
    most = min(uses, key=lambda use: use.kind not in ("mounted", "swap"), default=None)
    return f": {most.what}" if most else ""


def _other_path(storage: _Storage, name: str, holder: str) -> str:
    """With dm-multipath a disk can go, as long as one that works leads there by another function."""
    tree = storage.tree
    if not str_of(tree.read_text(f"{_BLOCK}/{holder}/dm/uuid")).startswith("mpath-"):
        return ""
    ours = storage.owners.get(name, ())
    others = (one for one in _inside(tree, holder, "slaves") if storage.owners.get(one, ()) != ours)
    working = (one for one in others if _works(tree.read_text(f"{_BLOCK}/{one}/device/state")))
    return next((_shown_path(one, storage.owners.get(one, ())) for one in working), "")


def _works(state: str | Missing) -> bool:
    """By the state of a SCSI disk, or of an NVMe controller."""
    return isinstance(state, Missing) or state in ("running", "live")


def _shown_path(name: str, addresses: tuple[PciAddress, ...]) -> str:
    return f"{name} of {addresses[0]}" if addresses else name


def _inside(tree: Tree, name: str, folder: str) -> tuple[str, ...]:
    return entries(tree.list_folder(f"{_BLOCK}/{name}/{folder}"))


def _title(tree: Tree, name: str) -> str:
    """`dm-0 (vg-root)`."""
    called = tree.read_text(f"{_BLOCK}/{name}/dm/name")
    return f"{name} ({called})" if isinstance(called, str) else name


def _shown(mounts: tuple[_Mount, ...]) -> list[_Mount]:
    """Bind mounts of parts only where the whole is mounted nowhere."""
    whole = [mount for mount in mounts if mount.root == "/"]
    return sorted(set(whole or mounts), key=lambda mount: (len(mount.point), mount.point))[:_MOST_MOUNTS]


def _mounts(tree: Tree) -> dict[str, list[_Mount]]:
    """proc(5): id, parent, major:minor, root, mount point, options, optional fields, `-`, type, source, options."""
    found: dict[str, list[_Mount]] = {}
    for line in str_of(tree.read_text("/proc/self/mountinfo")).splitlines():
        words, _, end = line.partition(" - ")
        fields, tail = words.split(), end.split()
        if len(fields) < 5 or len(tail) < 2:
            continue
        number, root, point = fields[2], _plain(fields[3]), _plain(fields[4])
        source = _plain(tail[1])
        key = _device(tree, source) if tail[0] == "btrfs" else number
        found.setdefault(key, []).append(_Mount(point, root, source))
    return found


def _swaps(tree: Tree) -> frozenset[str]:
    lines = str_of(tree.read_text("/proc/swaps")).splitlines()[1:]
    return frozenset(_device(tree, _plain(line.split()[0])) for line in lines if line.startswith("/dev/"))


def _device(tree: Tree, path: str) -> str:
    """`/dev/mapper/vg-root` is a link to ../dm-0."""
    return last(tree.read_link(path)) or last(path)


def _pools(tree: Tree, mounts: Mapping[str, list[_Mount]]) -> dict[str, list[_Mount]]:
    """A btrfs of several devices is mounted by the name of one; its folder in sysfs has them all."""
    found: dict[str, list[_Mount]] = {}
    for pool in entries(tree.list_folder(_BTRFS)):
        devices = entries(tree.list_folder(f"{_BTRFS}/{pool}/devices"))
        points = [mount for device in devices for mount in mounts.get(device, ())]
        found.update((device, points) for device in devices)
    return found


def _plain(text: str) -> str:
    """Spaces and the like are written in octal."""
    return re.sub(_OCTAL, lambda match: chr(int(match[1], 8)), text) if "\\" in text else text
