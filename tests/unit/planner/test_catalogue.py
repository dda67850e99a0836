"""Every row of the catalogue: the host that shows it, the host that almost does, and the words for both."""

from __future__ import annotations

import os
import re
import subprocess
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


def said(spec: str, facts: HostFacts, files: BootFiles, row: Row, near: str = "") -> list[str]:
    made = plan(spec, facts, files, only=row.near_only if near else row.only, **row.asked)
    text = as_text(made.diagnostics, {"vm.yaml": spec}) + "\n"
    path = GOLDEN / f"{row.name}{near}.txt"
    if os.environ.get("VMLAUNCH_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
    return codes(made)


@each
def test_a_host_that_has_it_is_told(row: Row) -> None:
    assert row.code in said(row.spec, row.host(), row.boot_files(), row)


@each
def test_a_host_that_almost_has_it_is_not(row: Row) -> None:
    spec = row.near_spec or row.spec
    assert row.code not in said(spec, row.near(), row.near_boot_files(), row, ".near")


def test_a_fix_is_a_command_that_a_shell_takes_for_functions_that_this_host_has() -> None:
    """Programs run it as it is: with no word to fill in, and on no other machine's devices."""
    for row in ROWS:
        facts = row.host()
        known = {str(one.address) for one in facts.pci} | {f"{one.address.slot}.0" for one in facts.pci}
        for one in plan(row.spec, facts, row.boot_files()).diagnostics:
            if one.fix is not None:
                subprocess.run(["sh", "-n"], input=one.fix, text=True, check=True)
                assert not re.search(r"\b(SPEC|NAME|ADDRESS|PF|DIR|PID|FILE)\b", one.fix), one
                assert set(re.findall(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", one.fix)) <= known, one


@each
def test_its_code_is_explained(row: Row) -> None:
    assert explanation(row.code)


def test_every_failure_has_a_rule_or_a_reason_why_not() -> None:
    assert sorted({*(row.id for row in ROWS), *WITHOUT_RULE}) == sorted(IDS)


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{row.name}{end}" for row in ROWS for end in (".txt", ".near.txt")}
    assert {path.name for path in GOLDEN.glob("*.txt")} == expected
