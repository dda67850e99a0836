"""A Tree and an image in; what of the host stands on it, and what it stands on, out.

A block device is in use by its own mounts, holders and swap, and by those of its partitions; a file by the loop devices
that were made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from launcher.host.addresses import last, owner
from launcher.host.block_holders import read_exports, read_standing
from launcher.host.blocks import BLOCK, Storage, uses_on
from launcher.host.facts import Use
from launcher.host.lists import entries, str_of
from launcher.host.mounts import plain, read_mounts, read_swaps
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.tree import Tree
    from launcher.values import PciAddress


def uses_of_block(tree: Tree, number: str) -> tuple[Use, ...]:
    """`number`: its major:minor."""
    name = last(tree.read_link(f"/sys/dev/block/{number}"))
    if not name:
        return ()
    storage = _storage(tree)
    whole = (name, *_partitions(tree, name))
    return tuple(dict.fromkeys(use for one in whole for use in uses_on(storage, one)))


def function_of_block(tree: Tree, number: str) -> PciAddress | None:
    """The PCI device that it is on, where that is one; a volume or a multipath device may be on several."""
    return owner(tree.read_link(f"/sys/dev/block/{number}"))


def uses_of_file(tree: Tree, identity: str, identify: Callable[[str], str]) -> tuple[Use, ...]:
    """`identify`: the path of a file -> what it is, empty where there is none."""
    loops = [name for name in entries(tree.list_folder(BLOCK)) if name.startswith("loop")]
    mine = [name for name in loops if (path := _backing(tree, name)) and identify(path) == identity]
    if not mine:
        return ()
    storage = _storage(tree)
    return tuple(dict.fromkeys(use for name in mine for use in _of_loop(tree, storage, name)))


def file_system_of(tree: Tree, path: str) -> str | None:
    """The kind of the one that is mounted nearest above, the last where there are several; `path` has no links."""
    best: tuple[int, str] | None = None
    for mount in _mounted(tree):
        point = mount.point.rstrip("/")
        if (path == point or path.startswith(f"{point}/")) and (best is None or len(point) >= best[0]):
            best = (len(point), mount.kind)
    return best[1] if best else None


class _Mounted(NamedTuple):
    point: str
    kind: str


def _mounted(tree: Tree) -> Iterator[_Mounted]:
    for line in str_of(tree.read_text("/proc/self/mountinfo")).splitlines():
        words, _, end = line.partition(" - ")
        fields, tail = words.split(), end.split()
        if len(fields) > 4 and tail:
            yield _Mounted(plain(fields[4]), tail[0])


def _of_loop(tree: Tree, storage: Storage, name: str) -> Iterator[Use]:
    yield Use("holder", f"/dev/{name} is made of it", name)
    for one in (name, *_partitions(tree, name)):
        yield from uses_on(storage, one)


def _backing(tree: Tree, name: str) -> str:
    """A file that was deleted meanwhile is another one."""
    return str_of(tree.read_text(f"{BLOCK}/{name}/loop/backing_file"))


def _partitions(tree: Tree, name: str) -> tuple[str, ...]:
    inside = entries(tree.list_folder(f"{BLOCK}/{name}"))
    return tuple(one for one in inside if not isinstance(tree.read_text(f"{BLOCK}/{name}/{one}/partition"), Missing))


def _storage(tree: Tree) -> Storage:
    names = entries(tree.list_folder(BLOCK))
    return Storage(tree, read_mounts(tree, names), read_swaps(tree), {}, read_standing(tree, names), read_exports(tree))
