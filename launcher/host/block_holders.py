"""A Tree in; what has a block device of the host without a folder `holders` that says so, out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from launcher.host.facts import Use
from launcher.host.lists import entries, str_of
from launcher.host.mounts import device_name
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_BLOCK = "/sys/class/block"
# Where a device says on what it stands: a loop device on a disk, zram with a disk that it writes pages back to.
_BELOW = {"loop": "loop/backing_file", "zram": "backing_dev"}
_TARGETS = "/sys/kernel/config/target/core"
_SUBSYSTEMS = "/sys/kernel/config/nvmet/subsystems"


def read_standing(tree: Tree, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The devices that stand on each."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        file = next((file for kind, file in _BELOW.items() if name.startswith(kind)), None)
        path = str_of(tree.read_text(f"{_BLOCK}/{name}/{file}")) if file else ""
        if path.startswith("/dev/"):
            below = device_name(tree, path)
            found[below] = (*found.get(below, ()), name)
    return found


def read_exports(tree: Tree) -> dict[str, Use]:
    """Disks that this host serves to others: the kernel's SCSI and NVMe targets open them, and no process does."""
    return {
        name: Use("holder", f"{name} is served to other hosts ({by})")
        for path, by in _exports(tree)
        if (name := device_name(tree, path))
    }


def _exports(tree: Tree) -> Iterator[tuple[str, str]]:
    for adapter in entries(tree.list_folder(_TARGETS)):
        for one in entries(tree.list_folder(f"{_TARGETS}/{adapter}")):
            path = str_of(tree.read_text(f"{_TARGETS}/{adapter}/{one}/udev_path"))
            yield from [(path, f"target {one}")] if path.startswith("/dev/") else ()
    for subsystem in entries(tree.list_folder(_SUBSYSTEMS)):
        folder = f"{_SUBSYSTEMS}/{subsystem}/namespaces"
        for number in entries(tree.list_folder(folder)):
            path = str_of(tree.read_text(f"{folder}/{number}/device_path"))
            yield from [(path, f"NVMe target {subsystem}")] if path.startswith("/dev/") else ()
