"""The house stands as docs/architecture.md draws it: imports go strictly down, some doors stay shut, purity holds."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import launcher

HOUSE = Path(launcher.__file__).parent

FLOORS = {
    "cli": 5, "api": 5, "__init__": 5, "__main__": 6,
    "executor": 4, "report": 4,
    "planner": 3, "vms": 3,
    "machine": 2, "kernel": 2,
    "spec": 1, "host": 1, "images": 1, "plan": 1, "native": 1,
    "values": 0, "errors": 0, "refusals": 0, "codec": 0, "codes": 0, "version": 0, "record": 0,
}  # fmt: skip

# Rooms that stand on one of their own floor: the way for people on the way for programs, rooms of values on records.
STEPS = {
    "cli": {"api", "version"}, "__init__": {"api"},
    "values": {"record"}, "errors": {"record"}, "codes": {"record"}, "codec": {"record", "values"},
    "refusals": {"errors"},
}  # fmt: skip

SHUT = {
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

PURE = {"values", "errors", "refusals", "codec", "codes", "spec", "plan", "planner", "machine"}
IMPURE = {"os", "io", "pathlib", "mmap", "fcntl", "socket", "subprocess", "time", "random"}


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").parts[0]


def imports_of(source: str) -> Iterator[str]:
    """Every module a file imports, at its top or inside a function; `from a import b` as a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{one.name}" for one in node.names)


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
        shut = SHUT.get(room, set())
        if other in shut or ".".join(rest[:2]) in shut:
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
        ("executor", "from launcher.planner.make import make_plan"),
        ("executor", "import launcher.report.console"),
        ("machine", "from launcher.native import lib"),
        ("kernel", "from launcher.plan.plan import Plan"),
        ("kernel", "from launcher.machine.start import Patch"),
        ("spec", "from pathlib import Path"),
        ("spec", "from launcher.host.facts import HostFacts"),
        ("report", "from launcher.executor.launch import launch"),
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
        ("codec", "from launcher.values import HexMark"),
    ],
)
def test_an_import_that_goes_down_is_not(room: str, line: str) -> None:
    assert complaints(room, line) == []


def test_every_room_is_in_what_is_installed() -> None:
    listed = tomllib.loads((HOUSE.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {".".join(path.parent.relative_to(HOUSE.parent).parts) for path in HOUSE.rglob("__init__.py")}
    assert set(listed) == rooms


def test_no_room_is_called_by_a_name_that_says_nothing() -> None:
    names = {path.stem for path in HOUSE.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
