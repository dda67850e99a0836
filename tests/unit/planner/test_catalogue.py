"""Every row of the catalogue: the host that shows it, the host that almost does, and the words for both."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.codes import explanation
from launcher.host.facts import HostFacts
from launcher.images.boot_files import BootFiles
from launcher.report.diagnostics import as_text
from tests.catalogue.row import Row
from tests.catalogue.table import IDS, ROWS, WITHOUT_RULE
from tests.planning import codes, plan

GOLDEN = Path(__file__).parents[2] / "catalogue" / "golden"

each = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


def said(spec: str, facts: HostFacts, files: BootFiles, name: str) -> list[str]:
    made = plan(spec, facts, files)
    text = as_text(made.diagnostics, {"vm.yaml": spec}) + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("VMLAUNCH_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
    return codes(made)


@each
def test_a_host_that_has_it_is_told(row: Row) -> None:
    assert row.code in said(row.spec, row.host(), row.boot_files(), row.name)


@each
def test_a_host_that_almost_has_it_is_not(row: Row) -> None:
    assert row.code not in said(row.near_spec or row.spec, row.near(), row.near_boot_files(), f"{row.name}.near")


@each
def test_its_code_is_explained(row: Row) -> None:
    assert explanation(row.code)


def test_every_failure_has_a_rule_or_a_reason_why_not() -> None:
    assert sorted({*(row.id for row in ROWS), *WITHOUT_RULE}) == sorted(IDS)


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{row.name}{end}" for row in ROWS for end in (".txt", ".near.txt")}
    assert {path.name for path in GOLDEN.glob("*.txt")} == expected
