"""What a scheduler gave a VM: the plan chooses inside it, says so, and keeps to it when it is saved."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from launcher.api.only import given_functions, narrowed
from launcher.api.staleness import judge
from launcher.errors import Refused, StalePlan, WrongUsage
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.steps import BindDriver, OpenGroups
from launcher.planner.assumptions import failed_assumptions
from launcher.planner.functions import is_bridge
from launcher.record import replace
from launcher.report.plan_text import plan_text
from launcher.values import PciAddress
from tests.budget import runs
from tests.catalogue.row import with_function
from tests.generators.facts import hosts, specs, text_of
from tests.planning import FILES, SMALL, codes, host, plan

FIRST, SECOND, THIRD = "0000:23:00.0", "0000:a3:00.0", "0000:24:00.0"
FREE = f"{SMALL}devices: {{gpu: {{match: {{id: 10de:2330}}, pick: free}}}}\n"
ONE = f"{SMALL}devices: {{gpu: {{match: {{id: 10de:2330}}}}}}\n"


@pytest.mark.parametrize(
    ("text", "only", "taken"),
    [(FREE, "", FIRST), (FREE, SECOND, SECOND), (FREE, f"{SECOND} , {THIRD}", THIRD), (ONE, SECOND, SECOND)],
)
def test_a_match_chooses_inside_what_is_given(text, only, taken) -> None:
    made = plan(text, host("gpu-server"), only=only)
    assert [str(one.host) for one in made.devices] == [taken]
    assert [one for one in codes(made) if one.startswith("E")] == []


def test_a_match_that_several_given_devices_have_is_as_undecided_as_ever() -> None:
    assert "E205" in codes(plan(ONE, host("gpu-server"), only=f"{FIRST},{SECOND}"))


def test_what_is_given_is_a_part_of_the_plan_and_of_its_text() -> None:
    made = plan(FREE, host("gpu-server"), only=SECOND)
    plain = json.loads(json.dumps(plan_to_json(made)))
    assert plain["only"] == [SECOND]
    assert plan_from_json(plain) == made
    assert f"Nothing is touched but {SECOND}." in plan_text(made, "")
    assert "only" not in plan_to_json(plan(FREE, host("gpu-server")))


def test_a_saved_plan_does_not_rest_on_devices_that_are_not_its_own() -> None:
    facts, drive = host("gpu07"), f"{SMALL}devices: {{drive: {{match: {{class: nvme}}, allow: [in-use]}}}}\n"
    made = plan(drive, facts, only="0000:81:00.0")
    assert failed_assumptions(made, with_function(facts, "0000:02:00.0", class_code="020000"), FILES) == ()
    assert failed_assumptions(made, with_function(facts, "0000:81:00.0", class_code="020000"), FILES) != ()


def test_a_saved_plan_keeps_to_what_was_given() -> None:
    """Whatever the file says: it is planned again, and may touch no more than it says."""
    facts, made = host("gpu-server"), plan(FREE, host("gpu-server"), only=SECOND)
    assert [str(one.host) for one in judge(made, facts, FILES, strict=False).devices] == [SECOND]
    with pytest.raises(StalePlan):
        judge(replace(made, only=(PciAddress.parse(FIRST),)), facts, FILES, strict=False)
    with pytest.raises(Refused, match="E247"):
        judge(replace(made, only=()), facts, FILES, strict=False)


def test_what_is_given_when_it_starts_narrows_what_a_saved_plan_may_touch() -> None:
    first, second, third = (PciAddress.parse(one) for one in (FIRST, SECOND, THIRD))
    assert narrowed(None, None) is None
    assert narrowed(None, (first,)) == narrowed((first,), None) == (first,)
    assert narrowed((first, second), (second, third)) == (second,)
    assert narrowed((first,), (second,)) == ()


@settings(max_examples=runs(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_plan_touches_what_is_not_given_or_it_says_so(data) -> None:
    facts = data.draw(hosts().filter(lambda one: one.pci))
    text = text_of(data.draw(specs(facts)))
    given_ones = data.draw(st.lists(st.sampled_from([str(one.address) for one in facts.pci]), min_size=1, unique=True))
    try:
        made = plan(text, facts, only=",".join(given_ones))
    except Refused:
        reject()
    if {"E247", "E248"} & set(codes(made)):
        return  # it would touch something else
    functions = {str(one.address): one for one in facts.pci}
    groups = {number for step in made.steps if isinstance(step, OpenGroups) for number in step.groups}
    opened = {address for address, one in functions.items() if one.group in groups and not is_bridge(one)}
    bound = {str(step.address) for step in made.steps if isinstance(step, BindDriver)}
    assert {str(one.host) for one in made.devices} | opened | bound <= set(given_ones)


@pytest.mark.parametrize("text", ["", ",", "gpu", "0000:c1:00.0,31", "0000:c1:00", "/dev/vfio/31", "0000:c1:00.8"])
def test_what_names_no_devices_is_refused(text) -> None:
    with pytest.raises(WrongUsage, match="E572"):
        given_functions(text)


def test_addresses_are_taken_as_people_write_them() -> None:
    assert given_functions("C1:00.1, 0000:c1:00.0,c1:00.0") == tuple(
        PciAddress.parse(one) for one in ("0000:c1:00.0", "0000:c1:00.1")
    )
