"""Fields of a spec in, the places in its text where they are written out. Pure."""

from __future__ import annotations

from functools import cached_property

from launcher.errors import Diagnostic, Where
from launcher.record import field, mutable, record, replace
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.spec.problems import FieldPath

Scalar = str | int | float | bool | None


NAMED = ("devices", "disks", "nics", "shares")  # whose keys are aliases


def section_of(path: FieldPath) -> str:
    """`devices.gpu.match` -> `devices.match`: without aliases and numbers."""
    return ".".join(path[:1] + path[2:] if path[:1] and path[0] in (*NAMED, "memory") else path)


def is_alias(path: FieldPath) -> bool:
    """`devices.gpu`, `disks.root`."""
    return len(path) == len(("devices", "gpu")) and path[0] in NAMED


@record(many=True)
class Node:
    """A value with its place. `written` is what the text says, for scalars: `0302` is the number 302.

    A `lost` value could not be read; that has been said, and nothing more is to be said about it.
    `bare`: nothing at all, not even a colon, stands behind a key in `{ }`. `cut`: such keys behind the value, which may
    be the rest of it.
    """

    value: Scalar | list[Node] | dict[str, Entry]
    where: Where
    written: str = ""
    lost: bool = False
    bare: bool = False
    cut: tuple[Node, ...] = ()

    def plain(self) -> object:
        """The value as readers of the spec take it, without places. The loader has limited the depth."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@record(many=True)
class Entry:
    """A value of a mapping, and where its key is."""

    key: Where
    node: Node


@mutable
class Tree:
    """Of a text. `root` is None where it has no value, or could not be read to its end."""

    root: Node | None = None
    problems: list[Diagnostic] = field(default_factory=list)


@record
class SourceMap:
    """Where each field is written: `places.where("devices.gpu.pci")`, `places.where("memory.0.size")`.

    A field that is not written is at the nearest thing around it: the value of a short form, else the key.
    """

    file: str
    root: Node

    def where(self, path: str, *, key: bool = False) -> Where:
        return self.find(tuple(path.split(".")) if path else (), key=key)

    def find(self, path: FieldPath, *, key: bool = False) -> Where:
        written = self.written(path)
        node, its_key = self._all[written]
        if written == path and path:
            found = its_key if key else node.where
        elif written:
            found = its_key if isinstance(node.value, list | dict) else node.where
        else:
            found = Where(self.file, 1, 1, 1)
        return replace(found, path=".".join(path))

    def scalar(self, path: FieldPath) -> str | None:
        """As it is written. None: there is none."""
        node = self._all[path][0] if path in self._all else self.root
        return None if isinstance(node.value, list | dict) else node.written

    def written(self, path: FieldPath) -> FieldPath:
        """The nearest thing around it that the file has: the scalar of a short form, a mapping, in the end the file."""
        return next(path[:length] for length in range(len(path), -1, -1) if path[:length] in self._all)

    @cached_property
    def _all(self) -> dict[FieldPath, tuple[Node, Where]]:
        """With the place of the key. Of most specs nobody asks."""
        return {path: (node, key) for path, node, key in walk(self.root)}


def walk(root: Node) -> Iterator[tuple[FieldPath, Node, Where]]:
    """(path, value, place of the key) of all there is below the root, without what is under x- keys."""
    waiting: list[tuple[FieldPath, Node, Where]] = [((), root, root.where)]
    while waiting:
        path, node, key = waiting.pop()
        yield path, node, key
        if isinstance(node.value, dict):
            inside = node.value.items()
            waiting += [((*path, name), one.node, one.key) for name, one in inside if path or name[:2] != "x-"]
        elif isinstance(node.value, list):
            waiting += [((*path, str(number)), child, child.where) for number, child in enumerate(node.value)]


def nodes(root: Node) -> Iterator[Node]:
    """Those that `walk` finds, alone."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node.value, dict):
            waiting += [one.node for name, one in node.value.items() if node is not root or name[:2] != "x-"]
        elif isinstance(node.value, list):
            waiting += node.value
