"""Hosts of public reports (tests/cases/hosts): what the words of a spec mean there."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from launcher.codec import decode
from launcher.host.facts import HostFacts, Use
from launcher.plan.steps import StaysBound
from launcher.planner.assumptions import failed_assumptions
from launcher.planner.functions import VFIO_DRIVERS
from launcher.record import replace
from tests.catalogue.row import with_function
from tests.planning import FILES, codes, host, plan

HOSTS = Path(__file__).parents[2] / "cases" / "hosts"
START = "boot: {kernel: ./bzImage}\ncpus: 4\nmemory: 4GiB\ndevices:\n"


@cache
def reported(name: str) -> HostFacts:
    return decode(HostFacts, json.loads((HOSTS / f"{name}.json").read_text()))


def only(made, code: str):
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


# ---- what VFIO has ----

VGPU, NEVER = "  gpu: {pci: 0000:c1:00.0, vf: 0}\n", "  gpu: {pci: 0000:c1:00.0, vf: 0, bind: never}\n"


@pytest.mark.parametrize("text", [VGPU, NEVER])
def test_a_vgpu_that_its_own_driver_has_given_to_vfio_is_ready(text):
    made = plan(START + text, reported("vgpu-by-its-driver"))
    assert codes(made) == []
    assert [str(step.driver) for step in made.steps if isinstance(step, StaysBound)] == ["nvidia"]


@pytest.mark.parametrize("driver", [*VFIO_DRIVERS, "a-driver-of-tomorrow"])
def test_so_is_whatever_any_driver_has_registered(driver):
    vfio = None if driver in VFIO_DRIVERS else "vfio0"
    facts = with_function(reported("vgpu-by-its-driver"), "0000:c1:00.6", driver=driver, vfio=vfio)
    assert codes(plan(START + "  gpu: {pci: 0000:c1:00.6, bind: never}\n", facts)) == []


@pytest.mark.parametrize("bind", ["auto", "never"])
def test_a_vgpu_without_a_type_is_never_told_to_go_to_vfio_pci(bind):
    found = plan(START + f"  gpu: {{pci: 0000:c1:00.6, bind: {bind}}}\n", reported("vgpu-by-its-driver"))
    assert codes(found) == ["E245"]
    assert "current_vgpu_type" in only(found, "E245").help[0]
    assert not any("bind it" in line or "driver_override" in line for line in only(found, "E245").help)


def test_pick_free_takes_a_vgpu_that_is_ready():
    made = plan(START + "  gpu: {match: {id: 10de:26b9}, pick: free}\n", reported("vgpu-by-its-driver"))
    assert [str(one.host) for one in made.devices] == ["0000:c1:00.4"]


def test_the_card_of_vgpus_gives_them_up_by_the_script_of_its_driver():
    found = only(plan(START + "  gpu: 0000:c1:00.0\n", reported("vgpu-mediated")), "E233")
    assert "sriov-manage -d 0000:c1:00.0" in found.help[0]
    assert len(found.help) == 1  # none of them could be taken instead
    found = only(plan(START + "  gpu: 0000:c1:00.0\n", reported("vgpu-by-its-driver")), "E233")
    assert found.help[1] == "or take one of them instead, as `vf: 0`"


# ---- what `companions: attach` gives ----

CARD = tuple(f"0000:09:00.{number}" for number in range(4))
ATTACH = "  gpu: {pci: 0000:09:00.0, companions: attach}\n"
STATES: dict[str, tuple[str | None, ...]] = {
    "its drivers": ("nvidia", "snd_hda_intel", "xhci_hcd", "nvidia-gpu"),
    "vfio-pci": ("vfio-pci",) * 4,
    "none": (None,) * 4,
    "some of each": ("vfio-pci", None, "xhci_hcd", "vfio-pci"),
    "a half start": ("vfio-pci", "vfio-pci", None, None),
}


def in_state(*drivers: str | None, **fields: Any) -> HostFacts:
    facts = reported("turing-on-its-drivers")
    for address, driver in zip(CARD, drivers, strict=True):
        facts = with_function(facts, address, driver=driver, **fields)
    return facts


def given(text: str, facts: HostFacts) -> list[tuple[str, str, str]]:
    made = plan(START + text, facts)
    return [(one.alias, str(one.host), one.guest.guest) for one in made.devices if one.guest]


@pytest.mark.parametrize("drivers", STATES.values(), ids=STATES)
def test_attach_gives_the_whole_card_whatever_has_it(drivers):
    assert given(ATTACH, in_state(*drivers)) == [("gpu", CARD[n], f"00:10.{n}") for n in range(4)]


@pytest.mark.parametrize("drivers", STATES.values(), ids=STATES)
@pytest.mark.parametrize("word", ["refuse", "detach"])
def test_what_does_not_attach_gives_the_device_alone_whatever_has_the_rest(drivers, word):
    text = ATTACH.replace("attach", word)
    assert given(text, in_state(*drivers)) == [("gpu", CARD[0], "00:10.0")]


def with_acs(*drivers: str | None) -> HostFacts:
    """Each function in a group of its own."""
    facts = in_state(*drivers)
    own = {address: 100 + number for number, address in enumerate(CARD)}
    pci = tuple(replace(one, group=own.get(str(one.address), one.group)) for one in facts.pci)
    known = next(group for group in facts.groups if group.number == 15)
    new = [replace(known, number=own[str(one)], devices=(one,)) for one in known.devices if str(one) in own]
    rest = [group for group in facts.groups if group.number != 15]
    return replace(facts, pci=pci, groups=tuple(sorted((*rest, *new), key=lambda one: one.number)))


@pytest.mark.parametrize("drivers", STATES.values(), ids=STATES)
def test_a_card_is_attached_whole_also_where_each_function_has_a_group(drivers):
    facts = with_acs(*drivers)
    assert given(ATTACH, facts) == [("gpu", CARD[n], f"00:10.{n}") for n in range(4)]
    assert {one.group for one in plan(START + ATTACH, facts).devices} == {100, 101, 102, 103}


def test_naming_a_function_of_the_card_moves_nobody():
    for facts in (in_state(*STATES["none"]), with_acs(*STATES["none"])):
        before = given(ATTACH + "  other: 0000:0a:00.0\n", facts)
        after = given(ATTACH + "  other: 0000:0a:00.0\n  sound: 0000:09:00.1\n", facts)
        assert {one[1:] for one in before} == {one[1:] for one in after}
        assert ("sound", CARD[1], "00:10.1") in after


def test_two_who_attach_share_a_card_in_the_order_of_the_file():
    text = "  a: {pci: 0000:09:00.1, companions: attach}\n  b: {pci: 0000:09:00.2, companions: attach}\n"
    for facts in (in_state(*STATES["none"]), with_acs(*STATES["none"])):
        found = given(text, facts)
        assert sorted(host for _, host, _ in found) == list(CARD)
        assert [host for alias, host, _ in found if alias == "b"] == [CARD[2]]


def test_the_slot_of_a_root_bus_is_no_card():
    facts = with_acs(*STATES["none"])
    for address in CARD:
        facts = with_function(facts, address, parent=None)
    assert given(ATTACH, facts) == [("gpu", CARD[0], "00:10.0")]


def test_virtual_functions_do_not_come_with_their_card_nor_it_with_them():
    facts = reported("vgpu-by-its-driver")
    assert len(given("  gpu: {pci: 0000:c1:00.0, vf: 0, companions: attach}\n", facts)) == 1
    assert len(given("  gpu: {pci: 0000:c1:00.0, companions: attach}\n", facts)) == 1


def test_a_bridge_stays_where_it_is():
    facts = with_function(in_state(*STATES["none"]), CARD[3], class_code="060400", driver="pcieport")
    assert [host for _, host, _ in given(ATTACH, facts)] == list(CARD[:3])


def test_a_saved_plan_notices_a_function_that_is_new_on_the_card():
    facts = with_acs(*STATES["vfio-pci"])
    less = replace(facts, pci=tuple(one for one in facts.pci if str(one.address) != CARD[3]))
    failed = failed_assumptions(plan(START + ATTACH, less), facts, FILES)
    assert "pci[device=0000:09:00]" in [one.fact for one in failed]


def test_the_way_out_names_all_that_attaching_would_give():
    facts = in_state("nvidia", "snd_hda_intel", None, "vfio-pci")
    found = only(plan(START + "  gpu: 0000:09:00.0\n", facts), "E203")
    assert "to give 0000:09:00.1, 0000:09:00.2 and 0000:09:00.3 to the guest too" in found.help[0]


# ---- what a word means ----


def chosen(match: str, facts: HostFacts) -> list[str]:
    return [str(one.host) for one in plan(f"{START}  it: {{match: {{{match}}}, pick: free}}\n", facts).devices]


def test_a_gpu_is_not_the_display_of_a_bmc():
    facts = reported("server-with-a-bmc")
    made = plan(START + "  gpu: {match: {class: gpu}}\n", facts)
    assert codes(made) == []
    assert [str(one.host) for one in made.devices] == ["0000:17:00.0"]
    assert chosen("class: gpu", facts) == ["0000:17:00.0"]
    found = only(plan(START + '  gpu: {match: {class: "03"}}\n', facts), "E205")
    assert "2 devices" in found.message


def test_pick_free_takes_no_bmc_where_there_is_nothing_else():
    facts = reported("server-with-a-bmc")
    bare = replace(facts, pci=tuple(one for one in facts.pci if one.id != "10de:20b5"))
    found = only(plan(START + "  gpu: {match: {class: gpu}, pick: free}\n", bare), "E204")
    assert "0000:02:00.0" in found.evidence[0]


def test_a_gpu_may_be_an_accelerator():
    facts = reported("instinct")
    found = only(plan(START + "  gpu: {match: {class: gpu, node: 1}, pick: free}\n", facts), "E206")
    assert found.message == "gpu: none of the 2 devices that match class gpu, node 1 is free"
    assert found.evidence[0].endswith("amdgpu has it for the host")
    assert found.help[-1].startswith("or name one, as `pci: 0000:65:00.0`")
    free = with_function(facts, "0000:75:00.0", driver="vfio-pci")
    assert chosen("class: gpu, node: 1", free) == ["0000:75:00.0"]


def test_a_near_match_is_named_with_what_the_host_does_not_say():
    facts = reported("node-not-known")
    found = only(plan(START + "  gpu: {match: {id: 10de:20b5, node: 0}}\n", facts), "E204")
    assert found.evidence[0].startswith("0000:3b:00.0")
    assert found.evidence[0].endswith("its node is not known")
    assert found.help[0] == "leave `node` out: this host does not say it"
    known = with_function(facts, "0000:3b:00.0", node=1)
    assert only(plan(START + "  gpu: {match: {id: 10de:20b5, node: 0}}\n", known), "E204").help[0] == "correct `node`"


def test_no_host_has_a_tpm_to_pass():
    found = only(plan(START + "  tpm: {match: {class: tpm}}\n", reported("server-with-a-bmc")), "E204")
    assert "not a PCI function" in found.help[0]


def test_drives_on_their_driver_are_not_said_to_be_in_use():
    found = only(plan(START + "  disk: {match: {class: nvme}, pick: free}\n", reported("24-drives")), "E206")
    assert "in use" not in str(found)
    assert found.message == "disk: none of the 24 devices that match class nvme is free"


# ---- virtual functions of one card ----

OF_A_CARD = "  net: {match: {pf: 0000:af:00.0}, pick: free}\n"


def test_a_free_virtual_function_of_a_card_is_found_by_its_physical_function():
    facts = reported("virtual-functions-of-a-card")
    made = plan(START + OF_A_CARD, facts)
    (device,) = made.devices
    physical = next(one for one in facts.pci if str(one.address) == "0000:af:00.0")
    assert device.host in physical.virtual_functions
    again = plan(START + OF_A_CARD + OF_A_CARD.replace("net", "other"), facts)
    assert len({one.host for one in again.devices}) == 2
    assert failed_assumptions(again, facts, FILES) == ()


NOT_PICKED = "  net: {match: {pf: 0000:af:00.0}}\n"


def test_virtual_functions_that_nothing_tells_apart_are_named_by_their_number():
    facts = reported("virtual-functions-of-a-card")
    found = only(plan(START + NOT_PICKED, facts), "E205")
    assert found.help == (
        "name one of them, as `{pci: 0000:af:00.0, vf: 0}`",
        "or `pick: free` to take the first that nothing uses",
    )
    assert "E205" not in codes(plan(START + "  net: {pci: 0000:af:00.0, vf: 0}\n", facts))


def test_pick_free_is_offered_only_where_something_is_free():
    facts = reported("virtual-functions-of-a-card")
    held = [replace(one, driver="iavf") if one.physical_function else one for one in facts.pci]
    found = only(plan(START + NOT_PICKED, replace(facts, pci=tuple(held))), "E205")
    assert found.help == ("name one of them, as `{pci: 0000:af:00.0, vf: 0}`",)


def test_who_picks_where_nothing_is_free_is_told_the_command_that_frees_one():
    facts = reported("virtual-functions-of-a-card")
    held = [replace(one, driver="iavf") if one.physical_function else one for one in facts.pci]
    found = only(plan(START + OF_A_CARD, replace(facts, pci=tuple(held))), "E206")
    first = next(one.address for one in held if str(one.physical_function) == "0000:af:00.0")
    assert f"echo vfio-pci > /sys/bus/pci/devices/{first}/driver_override" in found.help[0]
    assert found.help[1].startswith("or name one, as `pci: 0000:af:00.0, vf: 0`")
    used = [replace(one, uses=(Use("interface", "x is up"),)) if one.physical_function else one for one in held]
    found = only(plan(START + OF_A_CARD, replace(facts, pci=tuple(used))), "E206")
    assert found.help == ("free one: end what has it, or stop the VM that has it",)


def test_only_a_key_that_tells_one_apart_is_advised():
    facts = host("gpu07")
    found = only(plan(START + "  gpu: {match: {class: gpu}}\n", facts), "E205")
    assert found.help[0] == "add a key that only one of them has: `slot`"
    alike = tuple(replace(one, slot=None) for one in facts.pci)
    found = only(plan(START + "  gpu: {match: {class: gpu}}\n", replace(facts, pci=alike)), "E205")
    assert found.help[0] == "name one of them, as `{pci: 0000:c1:00.0}`"


@pytest.mark.parametrize(
    ("pf", "way"),
    [
        ("0000:02:00.0", "correct `pf`: 0000:02:00.0 has no SR-IOV, so it has no virtual functions"),
        ("0000:3b:01.0", "write `pf: 0000:3b:00.0`: 0000:3b:01.0 is a virtual function itself"),
    ],
)
def test_who_asks_for_virtual_functions_of_what_has_none_is_told_what_it_is(pf: str, way: str):
    found = only(plan(START + f"  net: {{match: {{pf: {pf}}}}}\n", host("gpu07")), "E204")
    assert found.help[0] == way


def test_a_card_without_virtual_functions_says_how_they_are_made():
    facts = reported("virtual-functions-of-a-card")
    bare = with_function(facts, "0000:af:00.0", virtual_functions=())
    bare = replace(bare, pci=tuple(one for one in bare.pci if one.physical_function is None))
    assert "sriov_numvfs" in only(plan(START + OF_A_CARD, bare), "E204").help[0]
    absent = plan(START + OF_A_CARD.replace("af", "ae"), facts)
    assert only(absent, "E204").help[0] == "correct `pf`: this host has no PCI device 0000:ae:00.0"
