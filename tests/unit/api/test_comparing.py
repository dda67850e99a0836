"""The plan of a VM that is up beside another of its name: only what is carried out makes a difference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.api.comparing import check_same
from launcher.errors import Refused
from launcher.plan.codec import plan_from_json
from launcher.plan.plan import Plan
from launcher.record import replace

PLANS = sorted((Path(__file__).parents[2] / "plans").glob("*.json"))


def read(path: Path) -> Plan:
    return plan_from_json(json.loads(path.read_text()))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_what_another_version_lays_out_where_no_ram_is_makes_no_difference(path: Path) -> None:
    plan = read(path)
    check_same(replace(plan, memory=plan.memory[:-1], assumes=()), plan)


def test_steps_that_differ_are_refused_with_all_of_the_difference() -> None:
    plan = read(next(path for path in PLANS if path.stem.startswith("passthrough")))
    with pytest.raises(Refused) as refused:
        check_same(replace(plan, memory=plan.memory[:-1], steps=plan.steps[:-1]), plan)
    (found,) = refused.value.diagnostics
    assert found.code == "E507"
    assert len(found.evidence) == 2
