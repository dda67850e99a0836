"""A tree and the values of --set in, the tree with them in it out. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic, Refused, Where, WrongUsage
from launcher.record import replace
from launcher.spec.places import Entry, Node, is_alias
from launcher.spec.problems import did_you_mean
from launcher.spec.scalars import kind
from launcher.spec.short_forms import MAIN
from launcher.spec.yaml_text import unseen
from launcher.spec.yaml_tree import read_tree
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.spec.problems import FieldPath

# A short form -> the field it stands for.
_SHORT: dict[FieldPath, str] = {("boot",): "firmware", ("cpus",): "count", ("memory",): "size", ("vsock",): "cid"}


def set_name(number: int) -> str:
    """What a --set is called in diagnostics; the first one is 1."""
    return f"--set #{number}"


def check_usage(sets: Sequence[str]) -> None:
    """WrongUsage when one is not KEY=VALUE."""
    if malformed := [one for number, written in enumerate(sets, 1) for one in _malformed(written, set_name(number))]:
        raise WrongUsage(*malformed)


def with_sets(root: Node, sets: Sequence[str]) -> tuple[Node, list[Diagnostic]]:
    problems: list[Diagnostic] = []
    for number, written in enumerate(sets, 1):
        try:
            root = _with_one(root, written, set_name(number))
        except Refused as refusal:
            problems.extend(refusal.diagnostics)
    return root, problems


def _malformed(written: str, file: str) -> Iterator[Diagnostic]:
    path, equals, _ = written.partition("=")
    if not equals or not all(path.split(".")):
        help_ = ("write KEY=VALUE, as in devices.gpu.pci=0000:c2:00.0",)
        yield Diagnostic("E019", "a --set without a key and a value", Where(file, 1, 1, len(path) + 1), help=help_)


def _with_one(root: Node, written: str, file: str) -> Node:
    path, _, value = written.partition("=")
    key = Where(file, 1, 1, len(path) + 1, path)
    node = _value(" " * (len(path) + 1) + value, written, file)
    return _placed(root, (), tuple(path.split(".")), Entry(key, node))


def _value(padded: str, written: str, file: str) -> Node:
    """The padding puts every column where it is in the whole text."""
    unreadable = unseen(written, file)
    tree = read_tree(padded if not unreadable else "", file)
    if unreadable or tree.problems:
        raise Refused(*unreadable, *tree.problems)
    if tree.root is None:
        where = Where(file, 1, len(padded) + 1, len(padded) + 2)
        raise Refused(Diagnostic("E019", "there is no value behind the =", where, help=("`null` takes the key out",)))
    return tree.root


def _placed(given: Node, done: FieldPath, path: FieldPath, entry: Entry) -> Node:
    """`done` leads to the node, `path` on from it. Nodes may be shared by aliases: those on the way are made anew."""
    around = _long_form(given, done)
    if isinstance(around.value, dict):
        return replace(around, value=_in_mapping(around.value, done, path, entry))
    if isinstance(around.value, list):
        return replace(around, value=_in_list(around.value, done, path, entry))
    help_ = (f"it is {around.written}: set a mapping there first",) if around.written else ()
    raise _refused(entry, path[0], f"there is no key `{path[0]}` in {kind(around.value)}", *help_)


def _long_form(node: Node, done: FieldPath) -> Node:
    """`cpus: 8`, `memory: 8GiB` or `gpu: 0000:c1:00.0` written out, so that there is room for another field."""
    field = _SHORT.get(done) or (MAIN[done[0]] if is_alias(done) else None)
    if field is None or node.value is None or isinstance(node.value, dict | list):
        return node
    inner = replace(node, value=True) if field == "user" and node.value == "user" else node  # of a NIC
    whole = replace(node, value={field: Entry(node.where, inner)}, cut=())
    return replace(node, value=[whole]) if done == ("memory",) else whole


def _in_mapping(entries: dict[str, Entry], done: FieldPath, path: FieldPath, entry: Entry) -> dict[str, Entry]:
    key, rest = path[0], path[1:]
    there = entries.get(key)
    if rest:
        below = there or Entry(entry.key, Node({}, entry.key))
        return {**entries, key: replace(below, node=_placed(below.node, (*done, key), rest, entry))}
    if entry.node.value is not None:
        return {**entries, key: entry}
    if there is None:
        raise _refused(entry, key, f"there is no `{key}` to take out", *did_you_mean(key, entries))
    return {name: one for name, one in entries.items() if name != key}


def _in_list(nodes: list[Node], done: FieldPath, path: FieldPath, entry: Entry) -> list[Node]:
    number, rest = path[0], path[1:]
    if not number.isdecimal() or int(number) >= len(nodes):
        raise _refused(entry, number, f"there is no item {number}", f"the list has items 0 to {len(nodes) - 1}")
    index = int(number)
    new = _placed(nodes[index], (*done, number), rest, entry) if rest else entry.node
    return [*nodes[:index], *([] if new.value is None else [new]), *nodes[index + 1 :]]


def _refused(entry: Entry, part: str, message: str, *help_: str) -> Refused:
    start = entry.key.path.split(".").index(part)
    column = 1 + sum(len(one) + 1 for one in entry.key.path.split(".")[:start])
    where = replace(entry.key, column=column, end_column=column + len(part))
    return Refused(Diagnostic("E019", message, where, help=help_))
