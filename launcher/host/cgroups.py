"""A Tree in; the tightest limits of the cgroups that this process is in out. Both versions, also side by side."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.host.facts import Limit
from launcher.host.lists import entries, number, str_of
from launcher.patterns import re
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.values import UNITS

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_ROOT = "/sys/fs/cgroup"
_HUGE = r"hugetlb\.([0-9]+)([KMG]B)(?:\.rsvd)?\.(?:max|limit_in_bytes)"
_UNITS = {unit.replace("i", ""): factor for unit, factor in UNITS.items()}  # the kernel writes MB and means MiB
_NO_LIMIT = 1 << 62  # version 1 has no word for it, but a number nearly as large as there is


class _Folder(NamedTuple):
    """A cgroup of ours or above us, and how its version calls the maximum and the use."""

    path: str  # below the root of its hierarchy
    place: str
    maximum: str
    use: str


_ONE = ("limit_in_bytes", "usage_in_bytes")
_TWO = ("max", "current")


def memory_limit(tree: Tree) -> Limit | None:
    found = (_limit(tree, folder, f"memory.{folder.maximum}") for folder in _folders(tree, "memory"))
    return _tightest(found)


def huge_limits(tree: Tree) -> dict[str, Limit]:
    """By page size in bytes."""
    found: dict[int, list[Limit | None]] = {}
    for folder in _folders(tree, "hugetlb"):
        for name in entries(tree.list_folder(folder.place)):
            match = re.fullmatch(_HUGE, name) if name.startswith("hugetlb.") else None
            if match:
                found.setdefault(int(match[1]) * _UNITS[match[2]], []).append(_limit(tree, folder, name))
    limits = {str(size): _tightest(iter(found[size])) for size in sorted(found)}
    return {size: limit for size, limit in limits.items() if limit}


def task_limits(tree: Tree) -> tuple[Limit, ...]:
    """All of them: a parent with more room may have less of it left. Both versions name the files alike."""
    found = (
        _limit(tree, folder._replace(maximum="max", use="current"), "pids.max") for folder in _folders(tree, "pids")
    )
    return tuple(limit for limit in found if limit)


def _folders(tree: Tree, controller: str) -> Iterator[_Folder]:
    """From the root of the hierarchy down to our own cgroup; in version 1 a controller has a hierarchy of its own."""
    lines = str_of(tree.read_text("/proc/self/cgroup")).splitlines()
    paths = {word: path for _, words, path in (line.split(":", 2) for line in lines) for word in words.split(",")}
    if controller in paths:
        root, names, path = f"{_ROOT}/{controller}", _ONE, paths[controller]
    else:
        root, names, path = _ROOT, _TWO, paths.get("", "/")
    parts = [part for part in path.split("/") if part]
    for depth in range(len(parts) + 1):
        below = "/".join(parts[:depth])
        yield _Folder(f"/{below}", f"{root}/{below}".rstrip("/"), *names)


def _limit(tree: Tree, folder: _Folder, name: str) -> Limit | None:
    """`max` is no number."""
    maximum = number(tree.read_text(f"{folder.place}/{name}"))
    if maximum is None or maximum >= _NO_LIMIT:
        return None
    use = f"{name.removesuffix(folder.maximum)}{folder.use}"
    return Limit(folder.path, maximum, number(tree.read_text(f"{folder.place}/{use}")) or 0)


def _tightest(limits: Iterator[Limit | None]) -> Limit | None:
    """Of equals the uppermost: all that is below counts against it."""
    return min((limit for limit in limits if limit), key=lambda limit: limit.maximum, default=None)
