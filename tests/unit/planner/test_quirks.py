"""Devices of which more is known than they say: what a plan warns of, and of which of their relatives it does not."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.codes import all_explanations, explanation
from launcher.codes.quirks import QUIRKS
from launcher.host.facts import Config, HostFacts
from launcher.plan.plan import Plan
from launcher.record import replace
from launcher.values import Missing, PciAddress
from tests.catalogue.conditions import DISK, GPU, ON_GPU
from tests.catalogue.row import ONE, with_function, with_linux
from tests.planning import codes, host, plan

UNREAD = Missing("absent", f"/sys/bus/pci/devices/{DISK}/reset_method")
DRIVE = {"class_code": "010802", "bars": (), "driver": "nvme"}


def card(identity: str, kernel: str = "6.1.0-18-amd64", **fields: Any) -> HostFacts:
    """The disk of the server is this device instead."""
    given = {"class_code": "030000", "driver": "amdgpu", "reset": ("bus",), "rom": "bar", **fields}
    facts = with_function(host("gpu07"), DISK, id=identity, name=None, serial=None, **given)
    return replace(facts, kernel=kernel)


def drive(identity: str, **fields: Any) -> HostFacts:
    return card(identity, **{**DRIVE, "reset": ("flr", "bus"), **fields})


def only(made: Plan, code: str):
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


# ---- W265 ----


@pytest.mark.parametrize(
    ("identity", "fields", "warns"),
    [
        ("1002:731f", {}, True),
        ("1002:731f", {"reset": ("device_specific", "bus")}, False),
        ("1002:731f", {"class_code": "040300"}, False),
        ("1002:7320", {}, False),
        ("1002:73bf", {}, False),  # Navi 21 resets
        ("1002:73ff", {}, True),  # Navi 23, of which there are reports
        ("1002:73ef", {}, True),
        ("1002:73df", {}, False),  # Navi 22
        ("1002:738c", {"class_code": "038000"}, True),  # MI100
        ("1002:738c", {"class_code": "120000"}, True),
        ("1002:738d", {"class_code": "120000"}, False),
        ("1002:7340", {}, True),
        ("1002:7362", {}, True),
        ("1002:67df", {}, True),
        ("1002:699f", {}, True),
        ("1002:687f", {}, True),
        ("1002:66af", {}, True),
        ("1002:66b0", {}, False),
        ("1002:67b1", {}, True),
        ("1002:67b2", {}, False),  # no card has it
        ("1002:67bf", {}, False),
        ("1002:67d4", {}, True),
        ("1002:69a0", {}, False),  # Vega 12
        ("1cc1:8201", {**DRIVE, "reset": ("flr", "bus")}, False),
        ("10de:731f", {}, False),
        ("1002:15bf", {"reset": ("pm",)}, True),
        ("1002:15bf", {"reset": ("flr", "pm")}, False),
        ("1002:74a1", {"class_code": "120000", "reset": ("flr", "bus")}, True),
        ("1002:75a3", {"class_code": "120000", "reset": ("bus",)}, True),
        ("1002:74b5", {"class_code": "120000", "reset": ("flr",)}, False),  # a virtual function of the MI300X
        ("144d:a804", {**DRIVE, "reset": ("flr",)}, True),
        ("144d:a804", {**DRIVE, "reset": ("device_specific", "flr", "bus")}, False),
        ("144d:a808", {**DRIVE, "reset": ("flr",)}, False),
        ("8086:0953", {**DRIVE, "reset": ("flr", "bus")}, True),
        ("8086:f1a6", {**DRIVE, "reset": ("flr", "bus")}, True),
        ("8086:f1a6", {**DRIVE, "reset": ("bus",)}, False),
    ],
)
def test_a_reset_that_is_not_survived(identity: str, fields: dict[str, Any], warns: bool):
    assert ("W265" in codes(plan(ONE, card(identity, **fields)))) == warns


def test_it_is_said_once_for_a_device_and_accepted_by_the_word_for_resets():
    weak = card("1002:15bf", reset=("pm",), config=Config(port="endpoint", msi=1))
    assert codes(plan(ONE, weak)) == ["W265"]
    assert codes(plan(ONE.replace(DISK, f"{{pci: {DISK}, allow: [no-reset]}}"), weak)) == []


@pytest.mark.parametrize(
    ("linux", "fix"),
    [
        ({"modules": ("vendor_reset",)}, "echo device_specific > "),
        ({"modules": (), "loadable": ("vendor_reset",)}, "modprobe vendor-reset; echo device_specific > "),
        ({"modules": (), "loadable": ()}, "modprobe vendor-reset; echo device_specific > "),
    ],
)
def test_vendor_reset_is_loaded_and_chosen(linux: dict[str, Any], fix: str):
    found = only(plan(ONE, with_linux(card("1002:731f"), **linux)), "W265")
    assert found.fix == f"{fix}/sys/bus/pci/devices/{DISK}/reset_method" or linux["modules"]
    assert found.fix.startswith(fix)
    assert ("build the module" in found.help[0]) == (linux.get("loadable") == ())
    assert "never let amdgpu have the card" in found.help[1]
    on_vfio = with_linux(card("1002:731f", driver="vfio-pci"), **linux)
    assert len(only(plan(ONE, on_vfio), "W265").help) == 2


@pytest.mark.parametrize(
    ("identity", "listed"),
    [("1002:67df", True), ("1002:67d4", False), ("1002:731f", True), ("1002:7311", False), ("1002:73e3", False)],
)
def test_vendor_reset_is_advised_as_a_fix_for_what_its_list_has(identity: str, listed: bool):
    found = only(plan(ONE, card(identity)), "W265")
    assert (found.fix is not None) == listed
    assert any("added to its src/device-db.h" in line for line in found.help) != listed


def test_what_only_a_later_list_has_says_so():
    found = only(plan(ONE, card("1002:73ff")), "W265")
    assert found.fix is not None
    assert (
        found.help[1] == "it has to be a vendor-reset with 1002:73ff in its src/device-db.h: older ones do not know it"
    )


@pytest.mark.parametrize(("identity", "named"), [("1002:15bf", True), ("1002:15d8", False)])
def test_an_apu_is_helped_by_its_video_bios_first(identity: str, named: bool):
    found = only(plan(ONE, card(identity, reset=("pm",))), "W265")
    assert found.fix is None
    assert found.help[0].startswith("try its video BIOS in a file")
    assert ("vendor-reset" in found.help[1]) == named


def test_a_module_that_does_not_know_the_card_is_no_help_before_5_15_either():
    old = card("1002:67d4", "5.10.0-30-amd64", reset=UNREAD, config=Config(port="endpoint", msi=1))
    assert "W265" in codes(plan(ONE, with_linux(old, modules=("vendor_reset",))))


def test_before_5_15_vendor_reset_is_asked_by_itself():
    old = card("1002:731f", "5.10.0-30-amd64", reset=UNREAD, config=Config(port="endpoint", msi=1))
    assert only(plan(ONE, with_linux(old, modules=())), "W265").fix == "modprobe vendor-reset"
    assert "W265" not in codes(plan(ONE, with_linux(old, modules=("vendor_reset",))))


def test_a_kernel_that_has_a_reset_of_its_own_for_a_drive_is_not_warned_of():
    flr = Config(port="endpoint", flr=True, msi=1)
    assert "W265" not in codes(plan(ONE, drive("144d:a804", kernel="5.4.0-1", reset=UNREAD, config=flr)))
    old = only(plan(ONE, drive("144d:a804", kernel="4.19.0-1", reset=UNREAD, config=flr)), "W265")
    assert "boot a newer kernel" in old.help[0]
    chosen = only(plan(ONE, drive("144d:a804")), "W265")
    assert chosen.fix == f"echo default > /sys/bus/pci/devices/{DISK}/reset_method"
    assert only(plan(ONE, drive("144d:a802")), "W265").fix.startswith("echo bus > ")


def test_a_companion_that_the_guest_gets_is_looked_at_and_one_that_nobody_gets_is_not():
    audio = "0000:c1:00.1"
    facts = with_function(host("gpu07"), GPU, id="1002:731f", class_code="030000", reset=("bus",))
    text = ON_GPU.replace(GPU, audio)
    assert "W265" in codes(plan(text, facts))
    assert "W265" not in codes(plan(text.replace("attach", "detach"), facts))


# ---- W266 ----


@pytest.mark.parametrize(
    ("identity", "fields", "portable", "warns"),
    [
        ("1002:1636", {"rom": "none"}, False, True),
        ("1002:1636", {"rom": "bar"}, False, False),
        ("1002:731f", {"rom": "none"}, False, False),
        ("10de:1f11", {"rom": "none", "class_code": "030200"}, True, True),
        ("10de:1f11", {"rom": "none", "class_code": "030200"}, False, False),
        ("8086:56a0", {"rom": "none"}, True, False),
    ],
)
def test_a_video_bios_that_is_a_part_of_the_firmware(identity: str, fields: dict[str, Any], portable, warns: bool):
    facts = card(identity, **fields)
    facts = replace(facts, firmware=replace(facts.firmware, portable=portable))
    assert ("W266" in codes(plan(ONE, facts))) == warns
    assert "W266" not in codes(plan(ONE.replace(DISK, f"{{pci: {DISK}, rom: false}}"), facts))


def test_an_apu_that_is_newer_than_the_table_is_known_by_its_slot():
    facts = card("1002:1fff", rom="none", reset=("pm",))
    assert not {"W265", "W266"} & set(codes(plan(ONE, facts)))
    disk = next(one for one in facts.pci if str(one.address) == DISK)
    other = replace(disk, address=PciAddress.parse("0000:02:00.2"), id="1022:15c7", class_code="108000", group=99)
    found = codes(plan(ONE, replace(facts, pci=tuple(sorted((*facts.pci, other), key=lambda one: one.address)))))
    assert {"W265", "W266"} <= set(found)


# ---- the table ----


def test_every_entry_is_complete_and_explained():
    for quirk in QUIRKS:
        assert all((quirk.what, quirk.seen, quirk.help, quirk.source))
        found = explanation(quirk.code)
        assert found is not None
        assert any(quirk.what in line and quirk.source in line for line in found.known)
    assert {one.code for one in all_explanations() if one.known} == {quirk.code for quirk in QUIRKS}


def test_ids_are_as_facts_have_them():
    for identity in (one for quirk in QUIRKS for one in quirk.ids):
        vendor, _, devices = identity.partition(":")
        first, _, last = devices.partition("-")
        assert all(
            len(word) == 4 and word == word.lower() and int(word, 16) >= 0 for word in (vendor, first, last) if word
        )
        assert not last or first < last
