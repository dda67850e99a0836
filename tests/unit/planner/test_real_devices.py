"""Hosts of public reports: what their devices are known for, and the way out that helped there."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from launcher.codec import decode
from launcher.errors import Diagnostic
from launcher.host.facts import Config, HostFacts, Use
from launcher.plan.plan import Plan
from launcher.record import replace
from launcher.report.doctor import examine
from tests.catalogue.row import with_function, with_linux
from tests.planning import codes, host, plan

CASES = Path(__file__).parents[2] / "cases" / "hosts"
_START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices:\n"
NAVI = f"{_START}  gpu: 0000:0d:00.0\n  gpu-audio: 0000:0d:00.1\n"
EGPU = f"{_START}  gpu: {{pci: 0000:2e:00.0, companions: attach}}\n"
APU = f"{_START}  gpu: {{pci: 0000:c5:00.0, companions: detach, allow: [in-use]}}\n"
NIC = f"{_START}  nic: 0000:04:00.0\n"
INSTINCT = f"{_START}  gpu: 0000:65:00.0\n"
ON_XEN = f"{_START}  gpu: {{pci: 0000:09:00.0, companions: detach}}\n"
IGPU = f"{_START}  igpu: {{pci: 0000:00:02.0, allow: [in-use]}}\n"


@cache
def case(name: str) -> HostFacts:
    return decode(HostFacts, json.loads((CASES / f"{name}.json").read_text()))


def only(made: Plan, code: str) -> Diagnostic:
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


def helps(made: Plan, code: str) -> str:
    return "\n".join(only(made, code).help)


@pytest.mark.parametrize(
    ("name", "text", "code", "verdict", "words"),
    [
        ("amd-navi-10", NAVI, "W265", "yes", ("device_specific > ", "never let amdgpu", "no-reset")),
        ("amd-instinct-mi300x", INSTINCT, "W265", "yes", ("virtual function",)),
        ("amd-apu", APU, "W265", "yes", ("`rom:`", "disables the device")),
        ("hpe-keeps-memory", NIC, "E215", "no", ("conrep -l",)),
        ("external-gpu", EGPU, "E317", "no", ("0000:2c:00.0/remove", "rescan", "hpmmioprefsize=", "hpmemsize=")),
        ("xen-dom0", ON_XEN, "E223", "no", ("without Xen", "xl pci-assignable-add", "qvm-pci")),
        ("xen-dom0", ON_XEN, "E401", "no", ("without Xen",)),
    ],
)
def test_what_is_said_of_it(name: str, text: str, code: str, verdict: str, words: tuple[str, ...]):
    made = plan(text, case(name))
    assert made.summary.can_run == verdict
    assert all(word in helps(made, code) for word in words)


def test_navi_with_the_reset_of_its_maker_has_no_warning():
    chosen = with_function(case("amd-navi-10"), "0000:0d:00.0", reset=("device_specific",))
    assert "W265" not in codes(plan(NAVI, chosen))


def test_an_instinct_that_is_a_virtual_function_has_no_warning():
    virtual = with_function(case("amd-instinct-mi300x"), "0000:65:00.0", id="1002:74b5")
    assert "W265" not in codes(plan(INSTINCT, virtual))


def test_an_apu_without_a_rom_wants_a_file():
    bare = with_function(case("amd-apu"), "0000:c5:00.0", rom="none")
    assert "rom: ./vbios.rom" in helps(plan(APU, bare), "W266")
    assert "W266" not in codes(plan(APU, case("amd-apu")))


# ---- memory that the firmware keeps ----


def test_conrep_is_hpes():
    facts = case("hpe-keeps-memory")
    dell = replace(facts, firmware=replace(facts.firmware, vendor="Dell Inc."))
    assert "conrep" not in helps(plan(NIC, dell), "E215")


@pytest.mark.parametrize(("class_code", "old"), [("030000", True), ("0c0330", True), ("020000", False)])
def test_before_5_3_graphics_and_usb_are_let_go(class_code: str, old: bool):
    facts = with_function(case("hpe-keeps-memory"), "0000:04:00.0", class_code=class_code, interfaces=())
    assert ("E215" not in codes(plan(NIC, replace(facts, kernel="5.2.0-1-amd64")))) == old
    assert "E215" in codes(plan(NIC, replace(facts, kernel="5.3.0-1-amd64")))


# ---- behind a cable ----


def test_a_link_in_a_tunnel_is_not_judged():
    facts = case("external-gpu")
    assert "W264" not in codes(plan(EGPU, facts))
    (gpu,) = (one for one in facts.pci if str(one.address) == "0000:2e:00.0")
    narrow = with_function(facts, "0000:2e:00.0", link=replace(gpu.link, width=1))
    assert helps(plan(EGPU, narrow), "W264") == "check the cable, and the slot in the device's case"
    inside = replace(
        facts,
        pci=tuple(replace(one, id="8086:1901", name=None) if one.parent != gpu.parent else one for one in facts.pci),
    )
    assert "riser" in helps(plan(EGPU, inside), "W264")


def test_a_device_that_linux_calls_removable_is_behind_a_cable():
    facts = case("external-gpu")
    pci = (replace(one, name=None, id="1b21:2463" if one.config.header else one.id) for one in facts.pci)
    unknown = replace(facts, pci=tuple(pci))
    assert "W264" in codes(plan(EGPU, unknown))
    assert "W264" not in codes(plan(EGPU, with_function(unknown, "0000:2e:00.0", removable=True)))


def test_a_bar_below_a_port_that_is_no_hot_plug_port_is_the_firmwares():
    facts = case("external-gpu")
    pci = tuple(replace(one, name=None, id="1b21:2463" if one.config.header else one.id) for one in facts.pci)
    inside = replace(facts, pci=pci)
    assert "Above 4G Decoding" in helps(plan(EGPU, inside), "E317")
    assert "pci=realloc" in helps(plan(EGPU, inside), "E317")
    given = with_linux(inside, cmdline="quiet pci=realloc=on,nocrs")
    assert "pci=realloc" not in helps(plan(EGPU, given), "E317")
    port = with_function(inside, "0000:2d:01.0", config=Config(header=1, port="downstream port", hot_plug=True))
    assert "rescan" in helps(plan(EGPU, port), "E317")


def test_a_port_with_something_in_use_below_it_is_not_removed():
    facts = case("external-gpu")
    used = with_function(facts, "0000:2e:00.1", uses=(Use("process", "pipewire (7) has it open", "pipewire", 7),))
    found = only(plan(EGPU, used), "E317")
    assert found.fix is None
    assert found.help[0].startswith("boot the host with `pci=realloc,hpmmioprefsize=")


def test_two_bars_have_no_address_and_one_has_none():
    facts = case("external-gpu")
    assert "BAR 1 (256 MiB) of 0000:2e:00.0 has no address" in only(plan(EGPU, facts), "E317").message
    (gpu,) = (one for one in facts.pci if str(one.address) == "0000:2e:00.0")
    two = with_function(facts, "0000:2e:00.0", bars=tuple(replace(bar, start=0) for bar in gpu.bars[1:]))
    assert "BAR 3 (32 MiB) of 0000:2e:00.0 have no address" in only(plan(EGPU, two), "E317").message


# ---- graphics in the processor ----


def test_a_part_of_the_processor_is_not_moved_to_another_slot():
    made = plan(IGPU, host("laptop"))
    assert "slot" not in helps(made, "W261")
    assert "W262" in codes(made)


def test_behind_no_iommu_only_a_card_is_put_into_another_slot():
    facts = with_function(case("amd-apu"), "0000:c5:00.0", group=None)
    assert "slot" not in helps(plan(APU, facts), "E208")
    card = with_function(case("amd-navi-10"), "0000:0d:00.0", group=None)
    assert "another slot" in helps(plan(NAVI, card), "E208")


# ---- Xen ----


def test_a_vm_that_xen_emulates_is_a_vm_and_dom0_is_not():
    facts = case("xen-dom0")
    assert "dom0 of Xen" in only(plan(ON_XEN, facts), "E223").message
    guest = replace(facts, firmware=replace(facts.firmware, vendor="Xen", product="HVM domU", hypervisor="xen"))
    assert "this host is a VM itself" in only(plan(ON_XEN, guest), "E223").message
    bare = replace(facts, pci=tuple(replace(one, driver=None) for one in facts.pci))
    bare = with_linux(bare, drivers=())
    assert "this host is a VM itself" in only(plan(ON_XEN, bare), "E223").message
    told = replace(bare, firmware=replace(bare.firmware, hypervisor="xen"))
    assert "dom0 of Xen" in only(plan(ON_XEN, told), "E223").message
    assert any("dom0" in check.fact for check in examine(told, plan(ON_XEN, told).diagnostics) if check.code == "E401")
