"""The keys and values of a YAML mapping in, its entries out, and what is wrong with its keys. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.record import replace
from launcher.spec.places import Entry, Node
from launcher.spec.scalars import kind
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where


def mapping_of(nodes: list[Node], problems: list[Diagnostic]) -> dict[str, Entry]:
    """`nodes` are key, value, key, value. Of two equal keys the first one stays."""
    entries: dict[str, Entry] = {}
    merged: dict[str, Entry] = {}
    last: tuple[str, Node, Node] | None = None  # a comma may have cut its value
    for key, node in zip(nodes[::2], nodes[1::2], strict=True):
        if node.bare and last is not None and key.written and _is_plain_text(last[2], last[1]):
            entries[last[0]] = _cut(entries[last[0]], key)
            continue
        last = None
        if key.value == "<<":
            merged = {**_merged(node, problems), **merged}
        elif not isinstance(key.value, str):
            problems.extend(_wrong_key(key))
        elif key.value in entries:
            problems.append(_twice(key, entries[key.value]))
        else:
            entries[key.value] = Entry(key.where, node if node.value is not None else _placed(node, key))
            last = key.value, key, node
    return {**merged, **entries}


def is_template(nodes: list[Node], where: Where) -> bool:
    """`{{ .Values.name }}`: to YAML a mapping whose key is a mapping."""
    key = nodes[0] if nodes else None
    return (
        key is not None
        and isinstance(key.value, dict)
        and (key.where.line, key.where.column) == (where.line, where.column + 1)
    )


def _is_plain_text(node: Node, key: Node) -> bool:
    """Without quotes, which `written` has not, and behind its key: an alias has the place of its anchor."""
    where = node.where
    behind = (where.line, where.column) > (key.where.line, key.where.column)
    return behind and bool(node.written) and where.end_column - where.column == len(node.written)


def _cut(entry: Entry, piece: Node) -> Entry:
    return replace(entry, node=replace(entry.node, cut=(*entry.node.cut, piece)))


def _placed(node: Node, key: Node) -> Node:
    """A value that is not written has the place of its key."""
    return node if node.written or node.lost else replace(node, where=key.where)


def _merged(node: Node, problems: list[Diagnostic]) -> dict[str, Entry]:
    """`<<` takes a mapping or a list of them; of two equal keys the first one stays (yaml.org/type/merge.html)."""
    sources = node.value if isinstance(node.value, list) else [node]
    entries: dict[str, Entry] = {}
    for source in sources:
        if isinstance(source.value, dict):
            entries = {**source.value, **entries}
        elif not source.lost:
            problems.append(Diagnostic("E016", "`<<` takes a mapping, or a list of mappings", source.where))
    return entries


def _wrong_key(key: Node) -> Iterator[Diagnostic]:
    if key.lost:
        return
    if isinstance(key.value, list | dict):
        yield Diagnostic("E011", f"a key is text, not {kind(key.value)}", key.where)
    elif not key.written:
        yield Diagnostic("E011", "there is no key before this colon", key.where)
    else:
        quoted = f'"{key.written}"'
        message = f"YAML reads the key {key.written} as {kind(key.value)}, and keys are text"
        yield Diagnostic("E011", message, key.where, help=(f"write {quoted}",), fix=quoted)


def _twice(key: Node, first: Entry) -> Diagnostic:
    evidence = (f"the first one is at {first.key}",)
    return Diagnostic("E008", f"`{key.value}` is there twice", key.where, evidence, help=("keep one of them",))
