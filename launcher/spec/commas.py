"""A tree in, the tree with values that commas in `{ }` have cut made whole again out, and what is said of it. Pure.

To YAML a comma ends a value in `{ }`, and what is behind it is a key: `{pin: 8-11,16}` has a key 16. Whoever wrote it
hears of the comma, and the rest of the spec is judged as if the quotes were there.
"""

from __future__ import annotations

from launcher.patterns import re
from launcher.record import replace
from launcher.spec.places import Entry, Node, is_alias, nodes, section_of
from launcher.spec.problems import Problem
from launcher.spec.short_forms import MAIN
from launcher.spec.yaml_mapping import mapping_of
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Diagnostic
    from launcher.spec.problems import FieldPath

_A_WORD = r"[A-Za-z][A-Za-z_-]*"


def made_whole(root: Node) -> tuple[Node, list[Problem], list[Diagnostic]]:
    """The problems are those of values that are whole now, and those of keys that are keys after all."""
    if not any(node.cut for node in nodes(root)):
        return root, [], []
    mender = _Mender()
    return mender.whole(root, ()), mender.commas, mender.keys


class _Mender:
    def __init__(self) -> None:
        self.commas: list[Problem] = []
        self.keys: list[Diagnostic] = []

    def whole(self, node: Node, path: FieldPath) -> Node:
        if isinstance(node.value, list):
            return replace(node, value=[self.whole(one, (*path, str(n))) for n, one in enumerate(node.value)])
        if not isinstance(node.value, dict) or (path and path[0].startswith("x-")):
            return node
        entries = node.value
        if any(one.node.cut for one in entries.values()):
            entries = mapping_of(list(self._nodes(entries, path)), self.keys)
        inside = {key: replace(one, node=self.whole(one.node, (*path, key))) for key, one in entries.items()}
        return replace(node, value=inside)

    def _nodes(self, entries: dict[str, Entry], path: FieldPath) -> Iterator[Node]:
        """Key, value, key, value."""
        for key, entry in entries.items():
            yield Node(key, entry.key, key)
            if not entry.node.cut:
                yield entry.node
            elif _is_one_value((*path, key), entry.node):
                yield self._one_value((*path, key), entry.node)
            else:
                yield replace(entry.node, cut=())
                for piece in entry.node.cut:
                    yield from (piece, Node(None, piece.where))

    def _one_value(self, path: FieldPath, node: Node) -> Node:
        from launcher.spec.fields import as_yaml, keys_of

        text, lines = _text(node), {node.where.line, *(piece.where.line for piece in node.cut)}
        quoted = as_yaml(text, inside=True)
        known = path[-1] in keys_of(section_of(path[:-1])) or is_alias(path)
        if len(lines) > 1 or not known or _stands(path, text):
            message = "a comma ends a value in { }, and what is behind it is a key to YAML"
            help_ = (f"write `{path[-1]}: {quoted}`",)
            self.commas.append(Problem("E106", message, path, help=help_, fix=quoted if len(lines) == 1 else None))
        if len(lines) > 1:
            return Node(None, node.where, lost=True)
        return Node(text, replace(node.where, end_column=node.cut[-1].where.end_column), text)


def _is_one_value(path: FieldPath, node: Node) -> bool:
    """Not where a key of the section stands behind the comma, nor a word that has nothing to do with the value.

    `rom:false` is a key of which the space is missing.
    """
    from launcher.spec.fields import keys_of

    pieces = [piece.written for piece in node.cut]
    if {one.partition(":")[0] for one in pieces} & set(keys_of(section_of(path[:-1]))):
        return False
    words = all(re.fullmatch(_A_WORD, one) for one in pieces)
    return not words or _stands(path, _text(node)) or not _stands(path, node.value)


def _stands(path: FieldPath, value: object) -> bool:
    """A device may be its address, a disk its path."""
    from launcher.spec.fields import SECTIONS, stands

    section, key = (path[0], MAIN[path[0]]) if is_alias(path) else (section_of(path[:-1]), path[-1])
    return section in SECTIONS and stands(f"{section}.{key}".lstrip("."), value)


def _text(node: Node) -> str:
    """As it is written, with the spaces behind its commas."""
    text, end = node.written, node.where
    for piece in node.cut:
        gap = piece.where.column - end.end_column - 1 if piece.where.line == end.line else 0
        text, end = f"{text},{' ' * max(gap, 0)}{piece.written}", piece.where
    return text
