"""The planner decides, its rules refuse: which of the two a file does, its place says."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import launcher.planner
from launcher.machine.boards import board_of
from launcher.planner.decided import Terms
from launcher.planner.make import _decide
from launcher.planner.rules import iommu, of_devices, table
from launcher.planner.rules.rule import Rule
from launcher.spec.load import load_spec
from tests.planning import FILES as KERNEL
from tests.planning import HOSTS, SMALL, host

ROOM = Path(launcher.planner.__file__).parent
FILES = {str(path.relative_to(ROOM).with_suffix("")).replace("/", "."): path for path in ROOM.rglob("*.py")}


def imported(path: Path) -> set[str]:
    """Modules of the planner that a file imports, in functions and for types, too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("launcher.planner"):
            module = (node.module or "").removeprefix("launcher.planner").lstrip(".")
            found |= {module, *(f"{module}.{one.name}".lstrip(".") for one in node.names)} & set(FILES)
    return found


def makes_diagnostics(path: Path) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(isinstance(one, ast.Name) and one.id == "Diagnostic" for one in calls)


def test_only_rules_have_something_to_say() -> None:
    assert [name for name, path in FILES.items() if makes_diagnostics(path) and not name.startswith("rules.")] == []


def test_only_the_making_of_a_plan_asks_the_rules() -> None:
    asking = {name for name, path in FILES.items() if any(one.startswith("rules.") for one in imported(path))}
    assert {name for name in asking if not name.startswith("rules.")} == {"make"}


def test_no_file_of_the_planner_stands_on_one_that_stands_on_it() -> None:
    TopologicalSorter({name: imported(path) for name, path in FILES.items()}).prepare()


def test_every_file_of_rules_is_in_the_table_or_asked_by_one_that_is() -> None:
    assert all(isinstance(one, Rule) for one in (*table.RULES, *iommu.RULES, *of_devices.RULES))
    reached, waiting = set[str](), ["rules.table"]
    while waiting:
        if (name := waiting.pop()) not in reached:
            reached.add(name)
            waiting += imported(FILES[name])
    assert {name for name in FILES if name.startswith("rules.") and not name.endswith("__init__")} <= reached


@pytest.mark.parametrize("name", sorted(path.stem for path in HOSTS.glob("*.json")))
def test_the_rules_of_devices_have_nothing_to_say_of_a_vm_without_any(name: str) -> None:
    loaded, facts = load_spec(SMALL, "vm.yaml", name="vm"), host(name)
    it = _decide(loaded.spec, facts, KERNEL, Terms(loaded.places.where), board_of(facts.architecture))
    assert [one for rule in (*iommu.RULES, *of_devices.RULES) for one in rule.check(it)] == []
    assert list(of_devices.findings_of_devices(it, [])) == []
