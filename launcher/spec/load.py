"""(text, file) -> VmSpec with the place of every field, or Refused with all that is wrong. Pure."""

from __future__ import annotations

from launcher.digests import sha256
from launcher.errors import Diagnostic, Refused, Where, sorted_by_place
from launcher.names import is_name
from launcher.record import record, replace
from launcher.spec.commas import made_whole
from launcher.spec.nulls import without_nulls
from launcher.spec.parts import VM_SPEC, VmSpec
from launcher.spec.places import Entry, Node, SourceMap, is_alias, nodes, section_of, walk
from launcher.spec.problems import Problem
from launcher.spec.scalars import kind, suggested_name
from launcher.spec.sets import check_usage, with_sets
from launcher.spec.yaml_text import decode, unseen
from launcher.spec.yaml_tree import read_tree
from launcher.typed import TYPE_CHECKING
from launcher.values import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Set

    from launcher.spec.problems import FieldPath


@record
class Loaded:
    """A valid spec, where it says what, and which text it came from."""

    spec: VmSpec
    places: SourceMap
    file: str
    sha256: str


def load_spec(text: str | bytes, file: str, *, sets: Sequence[str] = (), name: str | None = None) -> Loaded:
    """`sets` are the values of --set, in order; `name` is the VM's name where the spec has none.

    Raises Refused with every diagnostic, in the order of the file; WrongUsage for sets that are none.
    """
    check_usage(sets)
    try:
        return _loaded(text, file, sets, name)
    except Refused as refusal:
        raise Refused(*map(_with_way_out, refusal.diagnostics)) from None


def _loaded(text: str | bytes, file: str, sets: Sequence[str], name: str | None) -> Loaded:
    root, found = _read(text, file)
    root, refused_sets = with_sets(root, sets)
    root, commas, keys, empty = _whole(root)
    root, no_name = _named(root, file, name)
    places = SourceMap(file, root)
    spec, problems = _checked(root, empty.keys() | {("name",) for _ in no_name})
    told = (*commas, *_nothings(empty, problems), *_without_fixes(problems, {one.path for one in commas}))
    found += [*refused_sets, *keys, *no_name, *(_diagnostic(one, places) for one in told)]
    found += [_diagnostic(one, places) for one in _hex_meant(spec, places)] if spec is not None else []
    if spec is None or found:
        raise Refused(*sorted_by_place(found))
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    return Loaded(spec, places, file, sha256(raw))


def _with_way_out(one: Diagnostic) -> Diagnostic:
    """What has no help of its own gets that of its page in `explain`."""
    from launcher.codes import explanation

    page = None if one.help or one.fix else explanation(one.code)
    return one if page is None else replace(one, help=(page.fix[:1].lower() + page.fix[1:].removesuffix("."),))


def _read(text: str | bytes, file: str) -> tuple[Node, list[Diagnostic]]:
    """The tree, and what is wrong with it that does not keep us from reading on."""
    decoded = text.removeprefix("\ufeff") if isinstance(text, str) else decode(text, file)
    if found := unseen(decoded, file):
        raise Refused(*found)
    tree = read_tree(decoded, file)
    if tree.root is None:
        empty = Diagnostic("E005", "the file has no content", Where(file, 1, 1, 1), help=("see `vmlaunch explain`",))
        raise Refused(*sorted_by_place(tree.problems or [empty]))
    if not isinstance(tree.root.value, dict):
        help_ = (_assigned(tree.root.value) or "write keys such as `boot:`, `cpus:`, `memory:`, `devices:`",)
        wrong = Diagnostic("E006", f"a spec is a mapping, not {kind(tree.root.plain())}", tree.root.where, help=help_)
        raise Refused(*sorted_by_place([*tree.problems, wrong]))
    return tree.root, tree.problems


def _whole(root: Node) -> tuple[Node, list[Problem], list[Diagnostic], dict[FieldPath, bool]]:
    """What commas have cut, and what is empty all the same, and whether that is lost. Most specs have neither."""
    if all(node.value is not None and not node.cut for node in nodes(root)):
        return root, [], [], {}
    root, commas, keys = made_whole(root)
    root = without_nulls(root)
    return root, commas, keys, {path: node.lost for path, node, _ in walk(root) if node.value is None}


def _assigned(given: object) -> str:
    """`boot = ./bzImage`, as TOML and shells have it."""
    from launcher.spec.fields import keys_of

    key, _, value = given.partition("=") if isinstance(given, str) else ("", "", "")
    value = value.strip().splitlines()[0] if value.strip() else "..."
    return f"write a colon in place of =, as in `{key.strip()}: {value}`" if key.strip() in keys_of("") else ""


def _named(root: Node, file: str, name: str | None) -> tuple[Node, list[Diagnostic]]:
    if name is None or not isinstance(root.value, dict) or "name" in root.value:
        return root, []
    if not is_name(name):
        fix = f"name: {suggested_name(name) or 'vm'}"
        message = f"the file's name, {name}, is not a name for a VM, and the spec has no `name`"
        return root, [Diagnostic("E129", message, Where(file, 1, 1, 1, "name"), help=(f"add `{fix}`",), fix=fix)]
    where = Where(file, 1, 1, 1)
    return replace(root, value={**root.value, "name": Entry(where, Node(name, where, name))}), []


def _checked(root: Node, lost: Set[FieldPath]) -> tuple[VmSpec | None, Sequence[Problem]]:
    spec = root.plain()
    assert isinstance(spec, dict)  # _read has seen to it, and a --set changes only what is inside
    spec = {key: value for key, value in spec.items() if not key.startswith("x-")}
    try:
        return VM_SPEC.read(spec), ()
    except ValueError:
        from launcher.spec.complaints import judged

        return judged(spec, lost)


def _nothings(empty: Mapping[FieldPath, bool], problems: Sequence[Problem]) -> Iterator[Problem]:
    """Keys without a value; `empty` says which of them are lost. One that is unknown, too, has its message already."""
    told = {one.path for one in problems if one.key}
    for path, lost in empty.items():
        if not lost and path not in told:
            yield Problem("E106", "there is no value", path, help=(f"write a value behind it, {_way_out(path)}",))


def _way_out(path: FieldPath) -> str:
    """What is needed cannot be taken out, and what may go in its place is shown."""
    from launcher.spec.fields import all_fields, as_yaml, is_needed

    if is_alias(path):
        return f"as in `{path[-1]}: {_ENTRIES[path[0]]}`"
    field = ".".join(filter(None, [section_of(path[:-1]), path[-1]]))
    is_shown = is_needed(field) or field == "boot.kernel"
    return f"as in `{path[-1]}: {as_yaml(all_fields()[field].examples[0])}`" if is_shown else "or take it out"


_ENTRIES = {"devices": "0000:c1:00.0", "disks": "./debian.qcow2", "nics": "{bridge: br0}", "shares": "./src"}


def _hex_meant(spec: VmSpec, places: SourceMap) -> Iterator[Problem]:
    """8000000000 is round in hex, and in decimal a place that nobody chooses: only the file knows how it is written."""
    for number, bank in enumerate(spec.memory):
        path = ("memory", str(number), "at")
        written = places.scalar(path) if bank.at and bank.at % (2 * MIB) else None
        if written and written.isdecimal() and written.endswith("000000"):
            help_ = (f"if `0x{written}` is meant, write that", f"if not, write `{bank.at:#x}`")
            yield Problem("E109", f"{written} is {bank.at:#x}, which is not round", path, help=help_)


def _without_fixes(problems: Sequence[Problem], cut: Set[FieldPath]) -> Iterator[Problem]:
    """A key whose value is cut cannot be written over alone: the comma would be a problem of the new key."""
    yield from (replace(one, fix=None) if one.key and one.path in cut else one for one in problems)


def _diagnostic(problem: Problem, places: SourceMap) -> Diagnostic:
    one = _quoted(problem, places)
    label = ".".join(_label(places.written(one.path)))
    message = f"{label}: {one.message}" if label else one.message
    evidence = (f"the other one is at {places.find(one.also)}",) if one.also else ()
    return Diagnostic(one.code, message, places.find(one.path, key=one.key), evidence, one.help, one.fix)


def _quoted(problem: Problem, places: SourceMap) -> Problem:
    """A number has forgotten how it was written, 0302 or 1e37; the file has not."""
    written = places.scalar(problem.path) if problem.code == "E113" else None
    if written is None:
        return problem
    from launcher.spec.fields import stands

    field = ".".join(filter(None, [section_of(problem.path[:-1]), problem.path[-1]]))
    meant = next((one for one in (written, written.removeprefix("0x")) if stands(field, one)), None)
    if meant is None:
        return problem
    return replace(problem, help=(f'put it in quotes: "{meant}"',), fix=f'"{meant}"')


def _label(path: FieldPath) -> FieldPath:
    """Devices, disks, NICs and shares are called by their alias."""
    return path[1:] if is_alias(path[:2]) else path
