"""Topologies and nested virtualisation: what a spec may say of them, what the planner makes of it on which host."""

from __future__ import annotations

import pytest

from launcher.errors import LauncherError
from launcher.host.facts import HostFacts
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan
from launcher.plan.steps import DescribeMachine, RunVcpus, Topology
from launcher.spec.load import load_spec
from launcher.spec.resolved import read_resolved
from tests.catalogue.row import with_linux
from tests.planning import codes, host, plan


@pytest.fixture
def gpu07() -> HostFacts:
    return host("gpu07")


def spec(cpus: str) -> str:
    return f"boot: {{kernel: ./bzImage}}\nmemory: 256MiB\ncpus: {cpus}\n"


def described(made: Plan) -> DescribeMachine:
    (found,) = (one for one in made.steps if isinstance(one, DescribeMachine))
    return found


def refused(cpus: str) -> list[tuple[str, str, int]]:
    with pytest.raises(LauncherError) as error:
        load_spec(spec(cpus), "vm.yaml", name="vm")
    return [(one.code, one.where.path if one.where else "", one.where.line) for one in error.value.diagnostics]  # type: ignore[union-attr]


def test_without_a_word_vcpus_are_the_cores_of_one_socket(gpu07):
    step = described(plan(spec("3"), gpu07))
    assert (step.topology, step.nested, step.processors) == (None, False, Topology(1, 3, 1))
    assert step.describe() == "describe the machine to the guest: memory map, ACPI tables"


@pytest.mark.parametrize("cpus", ["{count: 8, topology: {cores: 4, threads: 2}}", "{topology: {cores: 4, threads: 2}}"])
def test_a_topology_says_how_many_there_are(gpu07, cpus):
    made = plan(spec(cpus), gpu07)
    assert described(made).topology == Topology(1, 4, 2)
    assert described(made).vcpus == next(one.count for one in made.steps if isinstance(one, RunVcpus)) == 8
    assert plan_from_json(plan_to_json(made)).steps == made.steps
    assert plan(spec("8"), gpu07).spec.resolved["cpus"]["count"] == read_resolved(made.spec.resolved).cpus.count


def test_a_topology_of_another_number_is_refused_at_its_place():
    assert refused("{count: 8, topology: {cores: 3, threads: 2}}") == [("E440", "cpus.topology", 3)]
    assert refused("{count: 1, topology: {sockets: 2, cores: 1}}") == [("E440", "cpus.topology", 3)]
    load_spec(spec("{count: 6, topology: {cores: 3, threads: 2}}"), "vm.yaml", name="vm")


@pytest.mark.parametrize(
    ("cpus", "found"),
    [
        ("{topology: {threads: 2}}", ["E102"]),
        ("{topology: {cores: two}}", ["E105"]),
        ("{topology: {cores: 0}}", ["E119"]),
        ("{topology: {cores: 2, dies: 2}}", ["E101"]),
        ("{topology: 4}", ["E102", "E105"]),
        ("{topology: {sockets: 4096, cores: 4096}}", ["E119"]),
    ],
)
def test_what_is_wrong_with_a_topology_is_said_of_it(cpus, found):
    assert sorted(code for code, _, _ in refused(cpus)) == found


def test_a_pin_is_one_for_each_vcpu_of_the_topology():
    assert [one[0] for one in refused("{topology: {cores: 4}, pin: 0-2}")] == ["E120"]
    load_spec(spec("{topology: {cores: 4}, pin: 0-3}"), "vm.yaml", name="vm")


def test_ids_that_nobody_can_have_are_refused_and_those_that_fit_are_not(gpu07):
    assert "E441" in codes(plan(spec("{topology: {sockets: 5, cores: 33}}"), gpu07))
    assert "E441" not in codes(plan(spec("{topology: {sockets: 5, cores: 32}}"), gpu07))
    many = codes(plan(spec("{topology: {sockets: 8, cores: 33}}"), gpu07))
    assert ("E406" in many, "E441" in many) == (True, False)


def test_nested_virtualisation_needs_a_module_that_offers_it(gpu07):
    asks, quiet = spec("{count: 2, nested: true}"), spec("2")

    def where(**parameters: str) -> HostFacts:
        return with_linux(gpu07, parameters={name.replace("__", "."): value for name, value in parameters.items()})

    assert "E442" in codes(plan(asks, where(kvm_intel__nested="N")))
    assert "E442" in codes(plan(asks, where(kvm_amd__nested="0")))
    assert "E442" not in codes(plan(asks, where(kvm_amd__nested="1")))
    assert "E442" not in codes(plan(asks, where()))
    assert "E442" not in codes(plan(quiet, where(kvm_amd__nested="0")))
    assert described(plan(asks, gpu07)).nested
    assert "linux.parameters[kvm_amd.nested]" in [one.fact for one in plan(asks, gpu07).assumes]
    assert not any("nested" in one.fact for one in plan(quiet, gpu07).assumes)
