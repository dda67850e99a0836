"""Plans for single devices: the same rules as for a whole spec, on a part of the host that is enough for them."""

from __future__ import annotations

import pytest

from launcher.api.verdicts import Trials
from launcher.host.facts import HostFacts
from launcher.machine.boards import board_of
from launcher.plan.plan import SpecIdentity
from launcher.planner.decided import Terms
from launcher.planner.functions import is_bridge
from launcher.planner.make import plan_of
from launcher.planner.places import in_spec
from launcher.spec.parts import VM_SPEC
from tests.catalogue.row import with_function
from tests.planning import FILES, host


def on_the_whole_host(facts: HostFacts, address: object) -> set[str]:
    whole = {"name": "vm", "boot": {"kernel": "k"}, "cpus": 1, "memory": "1GiB", "devices": {"device": str(address)}}
    board = board_of(facts.architecture)
    made = plan_of(VM_SPEC.read(whole), SpecIdentity("", "", {}), facts, FILES, Terms(in_spec), board)
    return {one.code for one in made.diagnostics if one.severity == "error"}


@pytest.mark.parametrize("name", ["gpu07", "gpu-server", "laptop"])
def test_a_part_of_the_host_gives_the_errors_of_the_whole(name: str) -> None:
    facts = host(name)
    trials = Trials(facts)
    for one in facts.pci:
        if not is_bridge(one):
            trial = trials.plan(one.address)
            found = {each.code for each in (*trial.own, *trial.general) if each.severity == "error"}
            assert found == on_the_whole_host(facts, one.address)


@pytest.mark.parametrize("name", ["gpu07", "gpu-server"])
def test_a_device_passes_with_the_words_of_its_verdict(name: str) -> None:
    facts = host(name)
    trials = Trials(facts)
    for address, verdict in trials.verdicts(facts.pci).items():
        if not verdict.wishes:
            continue
        said = dict(wish.split(": ") for wish in verdict.wishes)
        words = {key: value.strip("[]").split(", ") if key == "allow" else value for key, value in said.items()}
        assert not [one for one in trials.plan(address, **words).own if one.severity == "error"]
        for key in words:
            fewer = {other: value for other, value in words.items() if other != key}
            assert [one for one in trials.plan(address, **fewer).own if one.severity == "error"]


def test_a_companion_that_cannot_be_reset_is_in_the_verdict() -> None:
    """The card's drive has a reset of its own, the network card beside it has none."""
    facts = with_function(host("lab-shared"), "0000:01:00.0", reset=(), parent=None)
    verdict = Trials(facts).verdicts([one for one in facts.pci if str(one.address) == "0000:01:00.1"])
    assert [one.wishes for one in verdict.values()] == [("companions: attach", "allow: [no-reset]")]


def test_bridges_that_are_above_each_other_end_somewhere() -> None:
    """A facts file may say so: one that somebody has edited, or put together of two."""
    facts, bridges = host("gpu07"), [one.address for one in host("gpu07").pci if is_bridge(one)][:2]
    for one, above in zip(bridges, reversed(bridges), strict=True):
        facts = with_function(facts, str(one), parent=above)
    facts = with_function(facts, "0000:c1:00.0", parent=bridges[0])
    assert Trials(facts).verdicts(facts.pci).keys() == {one.address for one in facts.pci}
