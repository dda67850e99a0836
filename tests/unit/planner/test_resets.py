"""Which reset the kernel can give a device, what is reset with it, and how the plan shows that."""

from __future__ import annotations

import pytest

from launcher.host.facts import Config, HostFacts, PciFunction
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan, PlannedDevice
from launcher.record import replace
from launcher.report.plan_text import plan_text
from launcher.values import Missing, PciAddress
from tests.catalogue.row import with_function
from tests.planning import codes, host, plan

PORT, OTHER_PORT = PciAddress.parse("0000:00:01.1"), PciAddress.parse("0000:80:01.0")
START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices:\n"
GPU = START + "  gpu: {pci: 0000:c1:00.0, companions: attach}\n"


def card(first: tuple[str, ...] | Missing, second: tuple[str, ...] = (), **fields: object) -> HostFacts:
    """The graphics card and its audio function below a bridge, with these reset methods."""
    facts = with_function(host("gpu07"), "0000:c1:00.0", reset=first, parent=OTHER_PORT, **fields)
    return with_function(facts, "0000:c1:00.1", reset=second, parent=OTHER_PORT)


def shown(made: Plan) -> list[tuple[str | None, list[str]]]:
    return [(one.reset, [str(other) for other in one.resets]) for one in made.devices]


def device(made: Plan, address: str) -> PlannedDevice:
    return next(one for one in made.devices if str(one.host) == address)


def test_a_method_for_the_function_alone_comes_first_and_hits_nothing_else() -> None:
    made = plan(GPU, card(("flr", "bus"), ("bus", "pm")))
    assert shown(made) == [("flr", []), ("pm", [])]


def test_a_bus_that_is_all_ours_is_reset_at_once_even_for_those_that_have_no_method() -> None:
    made = plan(GPU, card(("bus",), ()))
    assert shown(made) == [("bus", ["0000:c1:00.1"]), ("hot", ["0000:c1:00.0"])]
    assert not {"E216", "W253"} & set(codes(made))


def test_what_is_not_asked_for_but_on_vfio_in_an_open_group_is_ours_too() -> None:
    made = plan(START + "  gpu: 0000:e1:00.0\n", host("gpu07"))
    assert shown(made) == [("bus", ["0000:e1:00.1"])]
    assert "W253" not in codes(made)


def test_detached_companions_are_ours() -> None:
    made = plan(GPU.replace("attach", "detach"), card(("bus",)))
    assert shown(made)[0] == ("bus", ["0000:c1:00.1"])
    assert "W253" not in codes(made)


def test_a_companion_that_makes_the_group_unusable_is_said_once() -> None:
    made = plan(START + "  gpu: 0000:c1:00.0\n", card(("bus",)))
    assert "E203" in codes(made)
    assert "W253" not in codes(made)


def test_no_bridge_above_no_reset_of_a_bus() -> None:
    """On a root bus there is nothing to reset it with."""
    facts = with_function(host("gpu07"), "0000:c1:00.0", reset=())
    assert shown(plan(GPU, facts))[0] == (None, [])
    assert "E216" in codes(plan(GPU, facts))


def test_what_an_administrator_switched_off_stays_off() -> None:
    made = plan(GPU, card((), reset_off=True))
    assert shown(made)[0] == (None, [])
    (found,) = [one for one in made.diagnostics if one.code == "E216"]
    assert found.fix == "echo default > /sys/bus/pci/devices/0000:c1:00.0/reset_method"


def test_an_unread_method_is_not_guessed() -> None:
    made = plan(GPU, card(Missing("denied", "/sys/x/reset_method")))
    assert shown(made)[0] == (None, [])
    assert "E216" not in codes(made)
    assert "W216" in codes(made)


def stuck() -> HostFacts:
    """The audio function has no reset of its own, and the bus is not the VM's alone."""
    return with_function(card(("flr",)), "0000:e1:00.0", parent=OTHER_PORT)


def test_a_companion_that_cannot_be_reset_is_in_the_way_as_a_device_is() -> None:
    """The guest gets it, whoever named it."""
    made = plan(GPU, stuck())
    (found,) = [one for one in made.diagnostics if one.code == "E216"]
    assert found.message.startswith("gpu: 0000:c1:00.1, its companion, cannot be reset")
    assert found.where is not None
    assert found.where.path == "devices.gpu.companions"
    assert "write `companions: detach` to give it to nobody" in found.help
    assert made.summary.can_run == "no"


def test_the_words_of_an_alias_are_for_its_companions_too() -> None:
    assert "E216" not in codes(plan(GPU.replace("attach", "attach, allow: [no-reset]"), stuck()))


def test_what_nobody_gets_needs_no_reset() -> None:
    assert "E216" not in codes(plan(GPU.replace("attach", "detach"), stuck()))


def test_switched_off_resets_of_a_companion_are_switched_on_again() -> None:
    facts = with_function(card(("flr",)), "0000:c1:00.1", reset_off=True)
    (found,) = [one for one in plan(GPU, facts).diagnostics if one.code == "E216"]
    assert found.message.startswith("gpu: the resets of 0000:c1:00.1, its companion, are switched off")
    assert found.fix == "echo default > /sys/bus/pci/devices/0000:c1:00.1/reset_method"


def test_a_companion_that_shares_its_bus_is_warned_of() -> None:
    facts = with_function(card(("flr",), ("bus",)), "0000:e1:00.0", parent=OTHER_PORT)
    made = plan(GPU, facts)
    (found,) = [one for one in made.diagnostics if one.code == "W253"]
    assert "0000:c1:00.1, its companion, can only be reset with its bus" in found.message


def test_a_companion_with_a_weak_reset_is_warned_of() -> None:
    facts = card(("flr",), ("pm",))
    weak = with_function(facts, "0000:c1:00.1", config=Config(soft_reset=False))
    strong = with_function(facts, "0000:c1:00.1", config=Config(soft_reset=True))
    assert ["W252" in codes(plan(GPU, one)) for one in (weak, strong)] == [True, False]


@pytest.mark.parametrize("allowed", ["no-reset", "in-use, no-reset"])
def test_consent_covers_every_reset_that_is_none(allowed: str) -> None:
    text = START + f"  disk: {{pci: 0000:02:00.0, allow: [{allowed}]}}\n"
    assert not {"E216", "W252", "W253"} & set(codes(plan(text, crowded(("bus",)))))


def crowded(methods: tuple[str, ...], **fields: object) -> HostFacts:
    """Behind the bridge of the disk: a bridge on its bus, and a network card below that."""
    facts = with_function(host("gpu07"), "0000:02:00.0", reset=methods, parent=PORT)
    disk = next(one for one in facts.pci if str(one.address) == "0000:02:00.0")
    bridge = beside(disk, "0000:02:01.0", class_code="060400", driver="pcieport", parent=PORT)
    below = beside(disk, "0000:03:00.0", driver="e1000e", parent=bridge.address, **fields)
    return replace(facts, pci=tuple(sorted((*facts.pci, bridge, below), key=lambda one: one.address)))


def beside(one: PciFunction, address: str, **fields: object) -> PciFunction:
    return replace(one, **{"address": PciAddress.parse(address), "group": 99, "serial": None, **fields})


def test_a_reset_of_a_bus_goes_through_the_bridges_on_it() -> None:
    made = plan(START + "  disk: 0000:02:00.0\n", crowded(("bus",)))
    assert shown(made) == [("bus", ["0000:02:01.0", "0000:03:00.0"])]
    (found,) = [one for one in made.diagnostics if one.code == "W253"]
    assert "0000:02:01.0 and 0000:03:00.0" in found.message
    assert not any("name" in line for line in found.help), "nobody can own a bridge"


def test_parents_in_a_circle_end() -> None:
    facts = crowded(("bus",))
    looped = with_function(facts, "0000:02:01.0", parent=PciAddress.parse("0000:03:00.0"))
    assert plan(START + "  disk: 0000:02:00.0\n", looped).devices[0].reset == "bus"


def test_the_table_says_how_many_more_are_reset() -> None:
    made = plan(GPU, card(("bus",), ()))
    lines = plan_text(made, "").splitlines()
    assert any(line.endswith("bus +1  00:10.0") for line in lines)
    assert any(line.endswith("hot +1  00:10.1") for line in lines)
    assert max(map(len, lines)) <= 100


def test_a_saved_plan_keeps_what_else_is_reset() -> None:
    made = plan(GPU, card(("bus",), ()))
    assert device(plan_from_json(plan_to_json(made)), "0000:c1:00.0").resets == device(made, "0000:c1:00.0").resets
