"""The house stands as docs/architecture.md draws it: imports go strictly down, some doors stay shut, purity holds.

An import counts wherever it stands: in a function, for types only, or as a name that import_module is given.
`python -m tests.test_house` prints what rooms import of which others, their lines and longest functions, and circles.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import launcher

HOUSE = Path(launcher.__file__).parent

FLOORS = {
    "__main__": 7,
    "cli": 6, "__init__": 6,
    "api": 5,
    "executor": 4, "report": 4,
    "planner": 3, "vms": 3,
    "machine": 2, "kernel": 2, "foreign": 2,
    "spec": 1, "host": 1, "images": 1, "plan": 1, "native": 1,
    "names": 0, "sizes": 0,
    "values": 0, "errors": 0, "refusals": 0, "codec": 0, "codes": 0, "version": 0, "record": 0, "row": 0, "digests": 0,
    "typed": 0, "alike": 0, "copies": 0, "json_text": 0, "shell": 0, "signals": 0, "patterns": 0,
}  # fmt: skip

# On the ground some stand on others: all are made of records.
STEPS = {
    "values": {"record", "digests", "sizes", "typed"}, "errors": {"record", "typed"}, "codes": {"record", "typed"},
    "codec": {"record", "row", "values", "typed"}, "refusals": {"errors", "typed"}, "record": {"typed"},
    "row": {"typed"}, "names": {"typed"}, "sizes": {"typed"}, "digests": {"typed"},
    "alike": {"codec", "record", "row", "typed"}, "copies": {"typed"},
}  # fmt: skip

SHUT = {
    "cli": {"planner", "executor", "vms", "machine", "kernel", "native", "host", "images"},
    "planner": {
        "kernel",
        "native",
        "host.survey",
        "host.tree",
        "images.reading",
        "machine.boards",
        "machine.x86",
        "spec.load",
    },
    "machine": {"kernel", "native"},
    "executor": {"spec", "host", "images", "planner", "report"},
    "report": {"kernel", "native", "host.survey"},
    "kernel": {"spec", "host", "images", "plan"},
}

# What of a shut room is known all the same: values that both speak of.
KNOWN_VALUES = {"cli": {"host.facts"}}

PURE = {
    "names",
    "sizes",
    "values",
    "errors",
    "digests",
    "refusals",
    "codec",
    "alike",
    "codes",
    "spec",
    "plan",
    "planner",
    "machine",
    "foreign",
}
IMPURE = {"os", "io", "pathlib", "mmap", "fcntl", "socket", "subprocess", "time", "random"}


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").parts[0]


def imports_of(source: str) -> Iterator[str]:
    """Every module a file imports, at its top or inside a function; `from a import b` as a.b.

    A text that begins with `launcher.` is one for import_module, and one that is put together from `__name__` there
    may be any of the file's own package: `*`.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("launcher."):
            yield node.value
        elif (
            isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module" and "__name__" in ast.unparse(node)
        ):
            yield "*"


def module_of(path: Path) -> str:
    parts = path.relative_to(HOUSE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> dict[str, Path]:
    """Without the build backend, which is not part of the running house."""
    return {module_of(path): path for path in sorted(HOUSE.rglob("*.py")) if path != HOUSE / "native" / "build.py"}


def graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Module -> the modules that it imports. Through a package's name alone one comes into its __init__ only."""
    found: dict[str, set[str]] = {}
    for module, source in sources.items():
        names = set(imports_of(source))
        known = {_nearest(name, sources) for name in names} - {"", module}
        own = {one for one in sources if one.startswith(f"{module}.")} if "*" in names else set()
        found[module] = known | own
    return found


def _nearest(name: str, known: Mapping[str, str]) -> str:
    """The module that has the name, or that something of that name is in."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def circles(edges: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Modules that reach each other."""
    reached = {module: _reached(module, edges) for module in edges}
    return {frozenset(one for one in reached[module] if module in reached[one]) for module in edges} - {frozenset()}


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    found, left = set[str](), [start]
    while left:
        new = edges[left.pop()] - found
        found |= new
        left += new
    return found


def complaints(room: str, source: str) -> list[str]:
    """What in the source of a file of `room` the house does not allow."""
    found = []
    for name in imports_of(source):
        first, *rest = name.split(".")
        if first != "launcher":
            if room in PURE and first in IMPURE:
                found.append(f"{room} is pure and imports {first}")
            continue
        if not rest or rest[0] == room:
            continue
        other = rest[0]
        if FLOORS[other] >= FLOORS[room] and other not in STEPS.get(room, ()):
            found.append(f"{room} (floor {FLOORS[room]}) imports {name} (floor {FLOORS[other]})")
        shut, part = SHUT.get(room, set()), ".".join(rest[:2])
        if (other in shut or part in shut) and part not in KNOWN_VALUES.get(room, ()):
            found.append(f"{room} must not know {name}")
    return found


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.py")), ids=lambda path: str(path.relative_to(HOUSE)))
def test_every_room_keeps_to_the_house(path: Path) -> None:
    if path.parent == HOUSE / "native" and path.name == "build.py":
        return  # the build backend is not part of the running house
    assert complaints(room_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("planner", "from launcher.kernel.kvm import Kvm"),
        ("planner", "from launcher.host.survey import survey"),
        ("planner", "from launcher.spec.load import load_spec"),
        ("planner", "from launcher.machine.x86 import layout"),
        ("planner", "def f():\n    import os"),
        ("executor", "from launcher.planner.make import plan_of"),
        ("executor", "import launcher.report.report_text"),
        ("machine", "from launcher.native import lib"),
        ("kernel", "from launcher.plan.plan import Plan"),
        ("kernel", "from launcher.machine.start import Patch"),
        ("spec", "from pathlib import Path"),
        ("spec", "from launcher.host.facts import HostFacts"),
        ("report", "from launcher.executor.launch import launch"),
        ("cli", "def f():\n    from launcher.vms.folder import is_up"),
        ("cli", "if TYPE_CHECKING:\n    from launcher.executor.launch import Launched"),
        ("cli", "SCHEMAS = {'spec': 'launcher.planner.make'}"),
        ("cli", "from launcher.host.survey import survey"),
        ("values", "from launcher.errors import Diagnostic"),
    ],
)
def test_a_forbidden_import_is_found(room: str, line: str) -> None:
    assert complaints(room, line)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("planner", "from launcher.host.facts import HostFacts"),
        ("executor", "from launcher.kernel.api import Kernel"),
        ("cli", "import os"),
        ("cli", "from launcher.host.facts import HostFacts"),
        ("codec", "from launcher.values import HexMark"),
    ],
)
def test_an_import_that_goes_down_is_not(room: str, line: str) -> None:
    assert complaints(room, line) == []


def test_no_modules_import_each_other() -> None:
    """Of those that are known the ones that have gone are to be taken out."""
    assert circles(graph({module: path.read_text() for module, path in modules().items()})) == set()


@pytest.mark.parametrize(
    "back",
    [
        "def f():\n    from launcher.a.one import x",
        "if TYPE_CHECKING:\n    import launcher.a.one",
        "WHERE = {'x': 'launcher.a.one'}",
        "from launcher.a import one",
        "from launcher.a import x",
    ],
)
def test_a_circle_is_found_however_it_is_hidden(back: str) -> None:
    """`launcher.a` gets its modules by their names, as the front door does."""
    sources = {
        "launcher.a": "def f(verb):\n    return import_module(f'{__name__}.{verb}')",
        "launcher.a.one": "from launcher.a.other import y",
        "launcher.a.other": back,
    }
    assert circles(graph(sources))
    assert not circles(graph(sources | {"launcher.a.other": "import os"}))


def test_every_room_is_in_what_is_installed() -> None:
    listed = tomllib.loads((HOUSE.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {".".join(path.parent.relative_to(HOUSE.parent).parts) for path in HOUSE.rglob("__init__.py")}
    assert set(listed) == rooms


def test_no_room_is_called_by_a_name_that_says_nothing() -> None:
    names = {path.stem for path in HOUSE.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def longest_function(path: Path) -> tuple[int, str]:
    found = [
        ((node.end_lineno or node.lineno) - node.lineno + 1, node.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]
    return max(found, default=(0, ""))


def rooms_in_rows() -> Iterator[str]:
    """A line for each room: its floor, files and lines, its longest function, and how often it imports what."""
    known = modules()
    edges = graph({module: path.read_text() for module, path in known.items()})
    for room in sorted({*map(room_of, known.values())}, key=lambda room: (-FLOORS[room], room)):
        inside = {module: path for module, path in known.items() if room_of(path) == room}
        lines = sum(len(path.read_text().splitlines()) for path in inside.values())
        most, name = max(map(longest_function, inside.values()))
        others = Counter(room_of(known[other]) for module in inside for other in edges[module] - {*inside})
        imported = ", ".join(f"{other} {count}" for other, count in sorted(others.items()))
        yield f"{room:10} {FLOORS[room]:>5} {len(inside):>5} {lines:>6}  {f'{name} {most}':28}  {imported}"


if __name__ == "__main__":
    print(f"{'room':10} floor files  lines  {'longest function':28}  imports of modules in other rooms")
    print("\n".join(rooms_in_rows()))
    found = circles(graph({module: path.read_text() for module, path in modules().items()}))
    print(f"circles: {len(found)}", *sorted(" <-> ".join(sorted(one)) for one in found), sep="\n  ")
