"""What holds for any host and any spec: there is a plan, it contradicts neither itself nor the host, and a saved one
notices every fact that would have made it another plan."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from launcher.errors import Refused
from launcher.host.facts import HostFacts, Power
from launcher.images.boot_files import BootFiles
from launcher.machine.boards import board_of
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan
from launcher.plan.steps import GiveMemory, LoadModules, TakeMemory
from launcher.plan.virtio import AddVirtio
from launcher.plan.whole import check_whole
from launcher.planner.assumptions import failed_assumptions
from launcher.planner.decided import Terms
from launcher.planner.make import plan_of
from launcher.planner.virtio import BAR
from launcher.record import replace
from launcher.report.plan_text import plan_text
from launcher.report.svg import plan_svg
from launcher.spec.resolved import read_resolved
from launcher.values import MIB, Missing, Span
from tests.budget import LONG
from tests.catalogue.row import Row
from tests.catalogue.table import ROWS
from tests.generators.changes import Change, changes, recorded
from tests.generators.facts import device, hosts, specs, text_of
from tests.generators.served import entries, files_of, served_on
from tests.planning import EXAMPLE, FILES, host, plan

many = settings(max_examples=2000 if LONG else 20, deadline=None, suppress_health_check=list(HealthCheck))


def planned(spec: dict[str, Any], facts: HostFacts) -> Plan:
    try:
        return plan(text_of(spec), facts)
    except Refused:
        reject()


@st.composite
def plans(draw: st.DrawFn) -> tuple[HostFacts, dict[str, Any], Plan]:
    facts = draw(hosts())
    spec = draw(specs(facts))
    return facts, spec, planned(spec, facts)


# ---- a plan and itself ----


@many
@given(plans())
def test_any_spec_gets_a_plan_for_any_host_which_is_the_same_bytes_again_and_saved(one):
    facts, spec, made = one
    plain = json.dumps(plan_to_json(made))
    assert json.dumps(plan_to_json(plan(text_of(spec), facts))) == plain
    assert json.dumps(plan_to_json(plan_from_json(json.loads(plain)))) == plain


@many
@given(plans())
def test_no_two_ranges_overlap(one):
    """But for what the IOMMU reserves twice."""
    _, _, made = one
    bars = [(bar.kind == "io", Span(bar.guest, bar.size)) for each in made.devices for bar in each.bars if bar.guest]
    memory = [*ram(made), *(span for is_io, span in bars if not is_io)]
    lines = [Span(one.start, one.size) for one in made.memory if one.kind != "reserved"]
    for spans in (memory, lines, [span for is_io, span in bars if is_io]):
        assert all(not before.overlaps(after) for before, after in pairwise(sorted(spans)))


@many
@given(plans())
def test_nothing_of_the_guest_is_where_the_iommu_reserves(one):
    facts, _, made = one
    assume(not any(each.code == "E306" for each in made.diagnostics))
    spans = [Span(bar.guest, bar.size) for each in made.devices for bar in each.bars if bar.guest and bar.kind != "io"]
    for region in reserved(made, facts):
        assert not any(span.overlaps(region) for span in [*ram(made), *spans])


@many
@given(plans(), st.data())
def test_a_device_added_at_the_end_moves_no_other(one, data):
    facts, spec, made = one
    added = data.draw(device(facts))
    more = planned(spec | {"devices": spec["devices"] | {"last": added}}, facts)
    before = {(each.alias, each.role, each.host): each.guest for each in made.devices}
    after = {(each.alias, each.role, each.host): each.guest for each in more.devices}
    both = before.keys() & after.keys()
    assert {key: after[key] for key in both} == {key: before[key] for key in both}


def ram(made: Plan) -> list[Span]:
    (step,) = (step for step in made.steps if isinstance(step, GiveMemory))
    return [Span(one.guest, one.size) for one in step.ranges]


def reserved(made: Plan, facts: HostFacts) -> Iterator[Span]:
    numbers = {one.group for one in made.devices}
    for group in facts.groups:
        if group.number in numbers and not isinstance(group.reserved, Missing):
            hard = (one for one in group.reserved if one.kind != "direct-relaxable" and one.last >= one.start)
            yield from (Span.between(one.start, one.last) for one in hard)


# ---- a saved plan and a host that has changed ----

# What moves by itself: a plan has it as a bound, or not at all. And how things are called, which changes nothing.
MOVES = re.compile(
    r"memory\.(available|committed|commit_limit|reserved_huge_pages)|\.free|\.current|process\.locked|linux\.vectors"
    r"|uses.*\.(pid|what)|\.errors|\.power( |\.state|\.runtime)|\.link( |\.speed)|\.up |holders.*\.pid|\.domains|asleep"
)
NAMES = re.compile(r"^(name|kernel|note|format_version)|pci\[.*\]\.name")
ASLEEP = {"missing": "asleep"}
BASE = "boot: {kernel: ./bzImage, initrd: ./initrd.img}\ncpus: 2\nmemory: 1GiB\n"


def device_spec(address: object) -> str:
    allow = "companions: detach, allow: [in-use, no-reset, unsafe-interrupts]"
    return f"{BASE}devices:\n  it: {{pci: {address}, {allow}}}\n"


def runs(made: Plan) -> bool:
    return not blockers(made)


def blockers(made: Plan) -> set[str]:
    return {one.code for one in made.diagnostics if one.severity == "error"}


@pytest.mark.parametrize("name", sorted(recorded()))
def test_a_vm_without_devices_needs_to_know_of_none(name: str) -> None:
    """`up` does not look for them then."""
    facts = recorded()[name]
    bare = replace(facts, pci=(), groups=(), process=replace(facts.process, sees_all=True))
    bare = replace(bare, device_nodes=facts.device_nodes and tuple(replace(n, holders=()) for n in facts.device_nodes))
    assert plan_to_json(plan(BASE, bare)) == plan_to_json(plan(BASE, facts))


@cache
def saved(name: str) -> tuple[HostFacts, list[Change], list[tuple[str, Plan]]]:
    """A recorded host, as root would plan for it, and the plans for it that could be run."""
    facts = replace(recorded()[name], process=host("gpu07").process)
    texts = [BASE, *(device_spec(one.address) for one in facts.pci)]
    if name == "gpu07":
        texts.append(EXAMPLE.read_text())
    made = [(text, plan(text, facts)) for text in texts]
    return facts, changes(facts), [(text, one) for text, one in made if runs(one)]


def content(made: Plan) -> Any:
    """But for the loading of modules, which does nothing where they are loaded."""
    plain = plan_to_json(replace(made, steps=tuple(one for one in made.steps if not isinstance(one, LoadModules))))
    return [plain[key] for key in ("devices", "memory", "steps", "diagnostics")]


@pytest.mark.parametrize("name", recorded())
@settings(max_examples=1200 if LONG else 6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_saved_plan_notices_every_fact_that_would_have_made_it_another(name, data):
    facts, all_changes, runnable = saved(name)
    if not runnable:
        return  # a plan that cannot run is refused for that
    text, made = data.draw(st.sampled_from(runnable))
    assert failed_assumptions(made, facts, FILES) == ()
    for change in data.draw(st.lists(st.sampled_from(all_changes), min_size=1, max_size=20)):
        check_noticed(text, made, change)


def check_noticed(text: str, made: Plan, change: Change) -> None:
    if slept(made, change):
        return
    now = change.host()
    other, failed = plan(text, now), failed_assumptions(made, now, FILES)
    if MOVES.search(change.name):
        assert failed or runs(other), change
    elif not NAMES.search(change.name):
        assert failed or content(other) == content(made), change


def slept(made: Plan, change: Change) -> bool:
    """Of what slept when the plan was made nothing is assumed but that it is not dead."""
    asleep = [one.fact for one in made.assumes if isinstance(one.equals, dict) and one.equals.get("config") == ASLEEP]
    return any(change.name.startswith(f"{fact}.config") for fact in asleep)


def idle(power: Power | None) -> Power | None:
    return replace(power, state="D3hot", runtime="suspended") if power and power.state == "D0" else power


def later(facts: HostFacts) -> HostFacts:
    """The same host when other work goes on: less is free, more has been counted, some devices went to sleep."""
    memory, linux, less = facts.memory, facts.linux, 3 * MIB
    return replace(
        facts,
        memory=replace(memory, available=memory.available - less, committed=memory.committed + less),
        nodes=tuple(replace(node, free=node.free - less) for node in facts.nodes),
        linux=replace(linux, vectors=linux.vectors + 3),
        process=replace(facts.process, locked=facts.process.locked + 4096),
        pci=tuple(replace(one, errors=one.errors | {"correctable": 7}, power=idle(one.power)) for one in facts.pci),
    )


@pytest.mark.parametrize("name", recorded())
def test_what_moves_by_itself_is_not_in_a_plan_and_does_not_fail_a_saved_one(name):
    facts, _, runnable = saved(name)
    for text, made in runnable:
        now = later(facts)
        assert failed_assumptions(made, now, FILES) == ()
        assert plan_to_json(plan(text, now)) == plan_to_json(made)


each_row = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


# Of what guests write, and others lock, mount and run: that it is otherwise does not make a plan stale, and where it is
# in the way `up` says so in its own words, for a saved plan is planned again.
TOLD_ANEW = {"E458", "E604", "E605", "E608", "E610", "E617", "E618", "E623", "E639", "E646", "E647", "E648"}


@each_row
def test_a_plan_saved_before_a_failure_of_the_catalogue_came_up_notices_it(row: Row):
    near, now, files = row.near(), row.host(), row.boot_files()
    made = plan(row.near_spec or row.spec, near, row.near_boot_files())
    if row.code not in TOLD_ANEW and runs(made) and row.code in blockers(plan(row.near_spec or row.spec, now, files)):
        assert failed_assumptions(made, now, files)


# ---- disks, NICs, shares and vsock ----


@st.composite
def whole_machines(draw: st.DrawFn) -> tuple[HostFacts, dict[str, Any], BootFiles, Plan]:
    facts = draw(hosts().flatmap(served_on))
    spec = draw(specs(facts)) | draw(entries())
    try:
        files = draw(files_of(spec))
        return facts, spec, files, plan(text_of(spec), facts, files)
    except Refused:
        reject()


@many
@given(whole_machines())
def test_any_whole_machine_gets_a_plan_which_is_the_same_again_and_saved_and_whole(one):
    facts, spec, files, made = one
    plain = json.dumps(plan_to_json(made))
    assert json.dumps(plan_to_json(plan(text_of(spec), facts, files))) == plain
    assert json.dumps(plan_to_json(plan_from_json(json.loads(plain)))) == plain
    check_again(made, facts, files)
    failed = {one.fact.partition(".")[0] for one in failed_assumptions(made, facts, files)}
    assert not failed & {"files", "serving"}
    if made.summary.can_run != "no":
        check_whole(made)
    assert plan_text(made, "")
    assert plan_svg(made)


@many
@given(whole_machines())
def test_what_stands_beside_passed_devices_moves_none_of_them_and_is_in_nobodys_place(one):
    facts, spec, files, made = one
    passing = {key: spec[key] for key in ("boot", "cpus", "memory", "devices")}
    alone = plan(text_of(passing), facts, replace(files, disks={}, shares={}, sockets={})).devices
    assert [replace(one, source=None) for one in made.devices] == [replace(one, source=None) for one in alone]
    functions = [one for step in made.steps if isinstance(step, AddVirtio) for one in step.functions]
    bars = [Span(bar.guest, bar.size) for each in made.devices for bar in each.bars if bar.guest and bar.kind != "io"]
    spans = sorted([*ram(made), *bars, *(Span(one.bar, BAR) for one in functions)])
    assert all(not before.overlaps(after) for before, after in pairwise(spans))
    assert len({one.guest for one in functions}) == len(functions)


# ---- a saved plan is planned again ----


@many
@given(plans())
def test_a_spec_in_its_long_form_gives_the_same_plan_again(one):
    facts, _, made = one
    check_again(made, facts)


@each_row
def test_so_does_every_row_of_the_catalogue(row: Row):
    files = row.boot_files()
    check_again(plan(row.spec, row.host(), files), row.host(), files)


def check_again(made: Plan, facts: HostFacts, files: BootFiles = FILES) -> None:
    banks = {step.bank for step in made.steps if isinstance(step, TakeMemory) and step.populate}
    resolved = json.loads(json.dumps(made.spec.resolved))
    terms = Terms(lambda _: None, made.only)
    again = plan_of(read_resolved(resolved, banks), made.spec, facts, files, terms, board_of(facts.architecture))
    bare = replace(made, devices=tuple(replace(each, source=None) for each in made.devices))
    said = [sorted((one.code, one.message) for one in each.diagnostics) for each in (again, made)]
    assert said[0] == said[1]
    assert replace(again, diagnostics=()) == replace(bare, diagnostics=())
