"""A tree in, the tree without the optional fields that are `null` out. Pure.

Programs write what they have no value for as `null`. A key with nothing at all behind it is another thing: a template
that was not filled in leaves it.
"""

from __future__ import annotations

from launcher.record import replace
from launcher.spec.parts import SECTIONS
from launcher.spec.places import is_alias, section_of
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set

    from launcher.spec.places import Entry, Node
    from launcher.spec.problems import FieldPath


def without_nulls(root: Node) -> Node:
    """`name` comes from the file's name, and `cpus.count` from the topology where only that is there."""
    optional = {
        f"{section}.{key}".lstrip(".") for section, form in SECTIONS.items() for key in form.keys.keys() - form.required
    }
    return _without(root, (), optional | {"name", "cpus.count"})


def _without(node: Node, path: FieldPath, optional: Set[str]) -> Node:
    if isinstance(node.value, dict):
        kept = {key: entry for key, entry in node.value.items() if not _is_null(entry, (*path, key), optional)}
        return replace(node, value={key: _below(entry, (*path, key), optional) for key, entry in kept.items()})
    if isinstance(node.value, list):
        return replace(
            node, value=[_without(one, (*path, str(number)), optional) for number, one in enumerate(node.value)]
        )
    return node


def _below(entry: Entry, path: FieldPath, optional: Set[str]) -> Entry:
    return replace(entry, node=_without(entry.node, path, optional))


def _is_null(entry: Entry, path: FieldPath, optional: Set[str]) -> bool:
    """An alias is no field, whatever its name."""
    node = entry.node
    if is_alias(path):
        return False
    field = ".".join(filter(None, [section_of(path[:-1]), path[-1]]))
    return node.value is None and not node.lost and bool(node.written) and field in optional
