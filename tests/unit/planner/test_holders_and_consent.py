"""Hosts of public reports (tests/cases/hosts): who in the kernel holds a device, and what a host loses with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.codec import decode
from launcher.errors import Diagnostic
from launcher.host.facts import HostFacts, Use
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver
from launcher.record import replace
from launcher.values import PciAddress
from tests.catalogue.drivers import spec
from tests.catalogue.row import with_function, with_linux, with_process
from tests.planning import codes, host, plan

CASES = Path(__file__).parents[2] / "cases" / "hosts"
SCREEN = spec("gpu: {pci: 0000:c3:00.0, allow: [in-use]}")


def case(name: str) -> HostFacts:
    return decode(HostFacts, json.loads((CASES / f"{name}.json").read_text()))


def only(made: Plan, code: str) -> Diagnostic:
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


# ---- a framebuffer that stays ----


def test_a_framebuffer_of_a_card_that_vfio_pci_has_already_stays_there():
    made = plan(SCREEN, case("boot-framebuffer-stays"))
    found = only(made, "E318")
    assert found.fix
    assert found.fix.endswith("/unbind; echo 0000:c3:00.0 > /sys/bus/pci/drivers/vfio-pci/bind")
    assert "W318" not in codes(made)


def test_a_framebuffer_of_a_card_that_the_plan_binds_is_taken_away_by_that():
    made = plan(SCREEN, with_function(case("boot-framebuffer-stays"), "0000:c3:00.0", driver=None))
    assert "W318" in codes(made)
    assert "E318" not in codes(made)


@pytest.mark.parametrize("cmdline", ["initcall_blacklist=sysfb_init", "initcall_blacklist=a_init,sysfb_init quiet"])
def test_what_the_host_was_booted_with_is_not_advised_again(cmdline):
    facts = with_linux(case("boot-framebuffer-stays"), cmdline=cmdline)
    for kernel in (facts.kernel, "5.14.0"):
        found = only(plan(SCREEN, replace(facts, kernel=kernel)), "E318")
        assert not any("or boot the host with" in line for line in found.help)
        assert "primary display" in found.help[-1]


# ---- holders inside the kernel ----


def test_nvidia_drm_holds_a_gpu_that_no_process_has_open():
    found = only(plan(spec("gpu: {pci: 0000:08:00.0, allow: [in-use]}"), case("nvidia-modeset")), "E240")
    assert found.fix == "modprobe -r nvidia_drm nvidia_modeset"
    assert "`nvidia_drm.modeset=0`" in found.help[-1]


def test_a_console_on_the_gpu_goes_before_the_module_that_draws_it():
    console = Use("console", "vtcon1 is the host's console: (M) frame buffer device", "vtcon1")
    facts = with_linux(with_function(case("nvidia-modeset"), "0000:08:00.0", uses=(console,)), cmdline="")
    facts = with_linux(facts, framebuffers=("nvidia-drmdrmfb",))
    fix = only(plan(spec("gpu: 0000:08:00.0"), facts), "E240").fix
    assert fix
    assert fix.startswith("for c in /sys/class/vtconsole/vtcon1/bind; do echo 0 > $c; done; modprobe")


def test_a_virtual_function_of_a_gpu_is_let_go_of_at_once():
    parent = PciAddress.parse("0000:08:00.0")
    facts = with_function(case("nvidia-modeset"), "0000:08:00.0", physical_function=parent)
    assert "E240" not in codes(plan(spec("gpu: 0000:08:00.0"), facts))


@pytest.mark.parametrize(
    ("driver", "waits"),
    [("nvidia", True), ("snd_hda_intel", True), ("snd_emu10k1", True), ("nvidia-gpu", False), ("amdgpu", False)],
)
def test_a_step_that_may_wait_says_so_and_for_how_long(driver, waits):
    facts = with_linux(with_function(case("nvidia-modeset"), "0000:08:00.0", driver=driver), cmdline="")
    (step,) = [one for one in plan(spec("gpu: 0000:08:00.0"), facts).steps if isinstance(one, BindDriver)]
    assert ("may wait for users, 20 s at most" in step.describe()) == waits


# ---- what the host loses ----

NIC = "0000:05:00.0"
ROUTE = "in-use=enp4s0"


def nic(*words: str) -> str:
    return spec(f"nic: {{pci: {NIC}, companions: detach, allow: [{', '.join(words)}]}}")


def test_a_card_below_the_chipset_goes_into_another_slot_before_the_host_gives_up_its_own():
    found = only(plan(spec(f"nic: {NIC}"), case("chipset-group")), "E203")
    assert found.help[0].startswith("put the card into a slot of the CPU's own, or switch on ACS")
    assert ["attach" in line for line in found.help] == [False, True, False]
    assert "0000:02:00.1: a SATA controller, with its disks" in found.evidence


def test_a_card_in_a_slot_of_the_cpus_own_goes_below_another_root_port():
    text = spec("gpu: 0000:02:00.0", "audio: 0000:02:00.1")
    found = only(plan(text, case("two-cards-in-one-group")), "E203")
    assert found.help[0].startswith("put the card into a slot below another root port")
    assert "0000:01:00.0: card0-DP-1 is connected" in found.evidence


def test_functions_of_the_same_card_are_no_reason_to_move_it():
    found = only(plan(spec("gpu: 0000:c5:00.0"), case("apu-with-psp")), "E203")
    assert "attach" in found.help[0]


def test_what_the_host_loses_is_told_after_consent_too():
    made = plan(nic("in-use"), case("chipset-group"))
    found = only(made, "W241")
    assert made.summary.can_run == "yes"
    assert [line.split(": ")[0] for line in found.evidence] == ["0000:02:00.0", "0000:02:00.1", "0000:04:00.0"]
    assert f"`allow: [in-use=1-3, {ROUTE}]`" in found.help[0]


def test_consent_by_name_is_for_that_use_only():
    facts = case("chipset-group")
    found = only(plan(nic(ROUTE), facts), "E231")
    assert found.message.startswith("nic: 0000:02:00.0")
    assert f"`allow: [{ROUTE}, in-use=1-3]`" in found.help[-1]
    for words in ((ROUTE, "in-use=1-3"), (ROUTE, "in-use=0000:02:00.0"), ("in-use: [enp4s0, 1-3]",)):
        assert codes(plan(nic(*words), facts)) == ["W241"]


def test_what_else_shares_the_slot_and_is_not_used_is_nothing_that_is_lost():
    text = spec("gpu: {pci: 0000:08:00.0, companions: detach, allow: [in-use]}")
    assert "W241" not in codes(plan(text, with_linux(case("nvidia-modeset"), cmdline="")))


def test_the_security_processor_is_missed_by_the_host():
    text = spec("gpu: {pci: 0000:c5:00.0, companions: detach, allow: [in-use, no-reset]}")
    facts = case("apu-with-psp")
    assert "kvm_amd" in only(plan(text, facts), "W230").help[0]
    assert "W230" not in codes(plan(text, with_function(facts, "0000:c5:00.2", driver=None)))


@pytest.mark.parametrize(
    ("fields", "process", "told"),
    [({}, {}, True), ({"driver": "vfio-pci"}, {}, False), ({}, {"sees_all": False}, False)],
)
def test_a_name_in_allow_that_nothing_has_is_told_where_it_would_have_been_seen(fields, process, told):
    text = spec("disk: {pci: 0000:02:00.0, allow: [in-use=eth7]}")
    facts = with_process(with_function(host("gpu07"), "0000:02:00.0", **fields), **process)
    assert ("W244" in codes(plan(text, facts))) == told
