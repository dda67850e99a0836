"""The kinds of steps: each has somebody who performs it, and each plan has those that it needs, in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.executor.keeper import changing, changing_served
from launcher.executor.runner.perform import PERFORM
from launcher.plan import steps
from launcher.plan.codec import plan_from_json
from launcher.plan.whole import check_whole

PLANS = sorted((Path(__file__).parents[2] / "plans").glob("*.json"))


def test_every_kind_of_step_is_listed() -> None:
    kinds = {one for one in vars(steps).values() if isinstance(one, type) and issubclass(one, steps.Step)}
    assert set(steps.STEPS.values()) == kinds - {steps.Step}


def test_every_kind_of_step_is_performed_by_the_process_that_it_names() -> None:
    runners = {kind for kind in steps.STEPS.values() if kind.by == "runner"}
    assert {*PERFORM, steps.RunVcpus} == runners  # which the runner does itself, when it has shut itself in
    assert {*changing.CHANGE, *changing_served.CHANGE} == set(steps.STEPS.values()) - runners


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_is_whole_and_its_keeper_begins(path: Path) -> None:
    plan = plan_from_json(json.loads(path.read_text()))
    if plan.summary.can_run != "no":
        check_whole(plan)
    doers = [step.by for step in plan.steps]
    assert doers == sorted(doers)
