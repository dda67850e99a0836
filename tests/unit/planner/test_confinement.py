"""A kernel that cannot confine the guest's process: a warning, or a blocker where the spec requires it."""

from __future__ import annotations

import pytest

from launcher.host.facts import Confinement, HostFacts
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan
from launcher.plan.steps import RunVcpus
from launcher.planner.assumptions import failed_assumptions
from launcher.record import replace
from tests.planning import FILES, SMALL, codes, host, plan

REQUIRED = SMALL + "confine: required\n"
WHOLE = Confinement(landlock=1, seccomp=True)


def on(confinement: Confinement | None) -> HostFacts:
    return replace(host("cloud-vm"), confinement=confinement)


def run_step(made: Plan) -> RunVcpus:
    (step,) = (step for step in made.steps if isinstance(step, RunVcpus))
    return step


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        (Confinement(landlock=0, seccomp=True), ["Landlock"]),
        (Confinement(landlock=3, seccomp=False), ["seccomp"]),
        (Confinement(landlock=0, seccomp=False), ["Landlock", "seccomp"]),
    ],
)
def test_what_the_kernel_lacks_is_told_with_what_it_would_have_covered(found: Confinement, lacking: list[str]) -> None:
    for text, code in ((SMALL, "W406"), (REQUIRED, "E427")):
        (one,) = plan(text, on(found)).diagnostics
        assert one.code == code
        assert f"cannot be confined by {' and '.join(lacking)}, which this kernel lacks" in one.message
        assert [line.split()[1] for line in one.evidence] == lacking


@pytest.mark.parametrize("found", [WHOLE, None], ids=["a kernel that has them", "facts of before"])
def test_nothing_is_said_of_a_kernel_that_has_all_measures_or_was_not_asked(found: Confinement | None) -> None:
    assert codes(plan(SMALL, on(found))) == codes(plan(REQUIRED, on(found))) == []


def test_the_step_that_runs_the_guest_carries_what_is_required() -> None:
    required, usual = plan(REQUIRED, on(WHOLE)), plan(SMALL, on(WHOLE))
    assert (run_step(required).confine, run_step(usual).confine) == ("required", "auto")
    assert "confined by all measures or not at all" in run_step(required).describe()
    assert "confined" not in run_step(usual).describe()
    assert run_step(plan_from_json(plan_to_json(required))).confine == "required"


def test_a_saved_plan_that_requires_it_notices_a_kernel_that_lacks_it() -> None:
    made = plan(REQUIRED, on(WHOLE))
    assert failed_assumptions(made, on(WHOLE), FILES) == ()
    (failed,) = failed_assumptions(made, on(Confinement(landlock=0, seccomp=True)), FILES)
    assert failed.fact == "confinement.landlock"
    assert failed_assumptions(plan(SMALL, on(WHOLE)), on(None), FILES) == ()
