"""A saved plan that somebody edited and that still is a plan: it runs, or a step of it is refused; never a bug."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.api.plans import decode_plan
from launcher.errors import Refused
from launcher.plan.codec import plan_to_json
from launcher.plan.steps import OpenDevices
from launcher.plan.whole import check_whole
from launcher.record import replace
from tests.budget import runs
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import guest, host_of, passing_plan
from tests.unit.executor.runner.test_runner import Run

NUMBERS = st.sampled_from((0, 1, 7, 4095, 1 << 12, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 64) - 1, 1 << 64, 1 << 200))


def numbers(box: Any) -> Iterator[tuple[Any, Any]]:
    """Where in the steps a number is: (container, key). Addresses are text."""
    for key, value in list(box.items() if isinstance(box, dict) else enumerate(box)):
        if isinstance(value, (dict, list)):
            yield from numbers(value)
        elif type(value) is int or (isinstance(value, str) and value.startswith("0x")):
            yield box, key


@settings(max_examples=runs(150), deadline=None, suppress_health_check=(HealthCheck.function_scoped_fixture,))
@given(damage=st.lists(st.tuples(st.integers(0, 1000), NUMBERS | st.integers(0, 1 << 65)), min_size=1, max_size=3))
def test_any_number_in_a_saved_plan_runs_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
) -> None:
    plain = plan_to_json(passing_plan(tmp_path_factory.mktemp("plan")))
    spots = list(numbers([step["args"] for step in plain["steps"]]))
    for place, number in damage:
        box, key = spots[place % len(spots)]
        box[key] = hex(number) if isinstance(box[key], str) else number
    try:
        plan = decode_plan(json.dumps(plain).encode(), "vm.plan")
        check_whole(plan)
    except Refused:
        return
    kernel = FakeKernel(host=host_of(), events=guest())
    run = Run(plan, kernel)
    assert kernel.left() == []
    assert any("end" in one or "failed" in one for one in run.said)


@settings(max_examples=runs(60), deadline=None, suppress_health_check=(HealthCheck.function_scoped_fixture,))
@given(data=st.data())
def test_steps_that_are_left_out_or_moved_run_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    plan = passing_plan(tmp_path_factory.mktemp("plan"))
    steps = list(plan.steps)
    for _ in range(data.draw(st.integers(1, 2))):
        step = steps.pop(data.draw(st.integers(0, len(steps) - 1)))
        if data.draw(st.booleans()):
            steps.insert(data.draw(st.integers(0, len(steps))), step)
    try:
        check_whole(replace(plan, steps=tuple(steps)))
    except Refused:
        return
    there = any(isinstance(step, OpenDevices) for step in steps)
    kernel = FakeKernel(host=host_of(), events=guest()) if there else FakeKernel(host=host_of())
    run = Run(replace(plan, steps=tuple(steps)), kernel)
    assert kernel.left() == []
    assert any("end" in one or "failed" in one for one in run.said)
