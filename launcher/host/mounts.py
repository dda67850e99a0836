"""A Tree in; which block devices hold a file system that is mounted, or swap, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from launcher.host.addresses import last
from launcher.host.lists import entries, str_of
from launcher.patterns import re
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_FILE_SYSTEMS = "/sys/fs"
# Their folders in /sys/fs have one for each device that is mounted anywhere, and some of their own.
_BY_DEVICE = ("ext4", "f2fs", "xfs")
# Patterns are compiled where they are first needed: most hosts need few of them.
_OCTAL = r"\\([0-7]{3})"
_OTHER_DEVICES = r"(?:^|,)(?:logdev|rtdev)=([^,]+)"  # of XFS: the log and the real-time part
_ROOT = "/dev/root"  # what the kernel calls the root that it mounts itself; there is no such device
_MOST = 8  # mounts of one device that are named: a host of containers has hundreds of bind mounts


class Mount(NamedTuple):
    point: str
    root: str  # the folder of the file system that is mounted there
    source: str


class Mounts(NamedTuple):
    """`by_device`: by major:minor, or by name for file systems that have numbers of their own, or several devices.

    `elsewhere`: by name, the kind of file system of a device that some mount namespace has, whichever.
    """

    by_device: Mapping[str, list[Mount]]
    elsewhere: Mapping[str, str]

    def of(self, number: str, name: str) -> list[Mount]:
        return _shown((*self.by_device.get(number, ()), *self.by_device.get(name, ())))


def read_mounts(tree: Tree, names: Sequence[str]) -> Mounts:
    """`names` are those of all block devices."""
    found = dict(_read(tree))
    elsewhere = {one: kind for kind in _BY_DEVICE for one in entries(tree.list_folder(f"{_FILE_SYSTEMS}/{kind}"))}
    unnamed = [mount for key, points in found.items() if ":" not in key and key not in names for mount in points]
    for kind, members in _pools(tree):
        points = [mount for one in members for mount in found.get(one, ())]
        points = points or [mount for mount in unnamed if mount.source == _ROOT]
        found.update((one, points) for one in members)
        elsewhere |= dict.fromkeys(members, kind)
    return Mounts(found, {one: kind for one, kind in elsewhere.items() if one in names})


def read_swaps(tree: Tree) -> frozenset[str]:
    lines = str_of(tree.read_text("/proc/swaps")).splitlines()[1:]
    return frozenset(device_name(tree, plain(line.split()[0])) for line in lines if line.startswith("/dev/"))


def device_name(tree: Tree, path: str) -> str:
    """`/dev/mapper/vg-root` is a link to ../dm-0."""
    return last(tree.read_link(path)) or last(path)


def _read(tree: Tree) -> dict[str, list[Mount]]:
    """proc(5): id, parent, major:minor, root, mount point, options, optional fields, `-`, type, source, options."""
    found: dict[str, list[Mount]] = {}
    for line in str_of(tree.read_text("/proc/self/mountinfo")).splitlines():
        words, _, end = line.partition(" - ")
        fields, tail = words.split(), end.split()
        if len(fields) < 5 or len(tail) < 2:
            continue
        mount = Mount(plain(fields[4]), plain(fields[3]), plain(tail[1]))
        for key in _keys(tree, fields[2], tail[0], mount.source, tail[2] if len(tail) > 2 else ""):
            found.setdefault(key, []).append(mount)
    return found


def _keys(tree: Tree, number: str, kind: str, source: str, options: str) -> Iterator[str]:
    if kind == "btrfs":
        yield device_name(tree, _root(tree) if source == _ROOT else source)
    elif kind == "bcachefs":
        yield from (device_name(tree, one) for one in source.split(":"))
    else:
        yield number
        yield from (device_name(tree, plain(one)) for one in re.findall(_OTHER_DEVICES, options))


def _root(tree: Tree) -> str:
    """The last `root=` counts, and may say it in a way that only the kernel knows (PARTUUID)."""
    words = str_of(tree.read_text("/proc/cmdline")).split()
    said = next((word[5:] for word in reversed(words) if word.startswith("root=")), "")
    return said if said.startswith("/dev/") else _ROOT


def _pools(tree: Tree) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A btrfs of several devices is mounted by the name of one; its folder in sysfs, which is there as long as it is
    mounted, has them all."""
    for pool in entries(tree.list_folder(f"{_FILE_SYSTEMS}/btrfs")):
        yield "btrfs", entries(tree.list_folder(f"{_FILE_SYSTEMS}/btrfs/{pool}/devices"))


def _shown(mounts: tuple[Mount, ...]) -> list[Mount]:
    """Bind mounts of parts only where the whole is mounted nowhere."""
    whole = [mount for mount in mounts if mount.root == "/"]
    return sorted(set(whole or mounts), key=lambda mount: (len(mount.point), mount.point))[:_MOST]


def plain(text: str) -> str:
    """Spaces and the like are written in octal."""
    return re.sub(_OCTAL, lambda match: chr(int(match[1], 8)), text) if "\\" in text else text
