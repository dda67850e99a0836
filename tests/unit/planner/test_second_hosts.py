"""Other hardware with the troubles of reported hosts (tests/cases/hosts): the kind is told, its near miss is not."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.host.facts import HostFacts
from launcher.plan.plan import Plan
from launcher.record import replace
from launcher.values import Missing
from tests.catalogue.row import reported, with_function, with_linux
from tests.planning import codes, plan

_START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices:\n"


def on(name: str, device: str, **fields: Any) -> Plan:
    """`fields` are those of the function at 0000:AA:BB.C that the device names first."""
    facts = reported(name)()
    return of(facts if not fields else with_function(facts, device.rsplit(maxsplit=1)[-1], **fields), device)


def of(facts: HostFacts, device: str) -> Plan:
    return plan(f"{_START}  it: {device}\n", facts)


def only(made: Plan, code: str):
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


# ---- a framebuffer that stays ----

ARC, CARD = "arc-framebuffer-of-simplefb", "{pci: 0000:c3:00.0, companions: attach, allow: [in-use]}"


def test_a_framebuffer_of_simplefb_stays_in_the_bar_of_a_card_of_any_maker():
    found = only(on(ARC, CARD), "E318")
    assert "simplefb" in found.message
    assert "echo simple-framebuffer.0 > /sys/bus/platform/drivers/simple-framebuffer/unbind" in found.fix
    assert found.fix.endswith("/remove; echo 1 > /sys/bus/pci/rescan")


def test_a_newer_kernel_takes_it_away_from_a_card_that_is_bound_by_the_plan():
    facts = replace(with_function(reported(ARC)(), "0000:c3:00.0", driver="i915"), kernel="6.12.9-arch1-1")
    assert {"E318", "W318"} & set(codes(of(facts, CARD))) == {"W318"}
    (gpu, _) = reported(ARC)().pci
    free = with_function(reported(ARC)(), "0000:c3:00.0", bars=tuple(replace(one, claimed=()) for one in gpu.bars))
    assert not {"E318", "W318"} & set(codes(of(free, CARD)))


# ---- who in the kernel holds a card ----

L40S, COMPUTE = "l40s-framebuffer-of-nvidia-drm", "{pci: 0000:08:00.0, allow: [in-use]}"


def test_a_compute_card_without_a_screen_is_held_for_a_framebuffer_too():
    found = only(on(L40S, COMPUTE), "E240")
    assert "nvidia_drm.fbdev is on" in found.evidence
    assert found.fix.endswith("modprobe -r nvidia_drm nvidia_modeset")


def test_nvidia_uvm_alone_holds_no_card():
    linux = {"holders": {"nvidia": ("nvidia_uvm",)}, "parameters": {}, "framebuffers": ()}
    assert "E240" not in codes(of(with_linux(reported(L40S)(), **linux), COMPUTE))


# ---- a namespace of the drive ----

DRIVE = "cm7-with-namespaces"


@pytest.mark.parametrize(("device", "refused"), [("vf: 0", False), ("vf: 1", True), ("bind: auto", True)])
def test_a_virtual_function_of_a_drive_owns_the_namespaces_that_it_leads_to(device: str, refused: bool):
    assert ("E230" in codes(on(DRIVE, f"{{pci: 0000:3b:00.0, {device}}}"))) == refused


def test_what_both_lead_to_has_to_be_detached():
    assert "detach-ns" in only(on(DRIVE, "{pci: 0000:3b:00.0, vf: 1}"), "E230").help[0]


# ---- a reset that is not survived ----

ACCELERATORS = "mi100-and-mi210"


def test_an_mi100_does_not_survive_the_reset_of_its_bus_and_an_mi210_does():
    assert "device_specific" in only(on(ACCELERATORS, "0000:65:00.0"), "W265").fix
    assert "W265" not in codes(on(ACCELERATORS, "0000:75:00.0"))
    assert "W265" not in codes(on(ACCELERATORS, "0000:65:00.0", reset=("flr", "bus")))


# ---- a physical function whose virtual functions are in use ----

CONNECTX, PF = "connectx-with-functions-in-use", "0000:3b:00.0"
USERS = ("0000:3b:02.0: ens1f0v0 has the default route", "0000:3b:02.2 is held by qemu-system-x86 (4711)")


def idle() -> HostFacts:
    facts = with_function(reported(CONNECTX)(), "0000:3b:02.0", uses=())
    nodes = tuple(replace(node, holders=()) for node in facts.device_nodes or ())
    groups = tuple(replace(group, kind="identity") for group in facts.groups)
    return replace(facts, device_nodes=nodes, groups=groups)


@pytest.mark.parametrize(("device", "code"), [(PF, "E233"), (f"{{pci: {PF}, vf: 6}}", "E207")])
def test_virtual_functions_that_somebody_uses_are_not_removed_by_a_program(device: str, code: str):
    found = only(on(CONNECTX, device), code)
    assert found.fix is None
    assert found.evidence[-2:] == USERS
    assert found.help[0].startswith("end what uses")
    free = only(of(idle(), device), code)
    assert free.fix
    assert not set(USERS) & set(free.evidence)


def test_one_that_nobody_uses_is_offered_instead_and_picked():
    assert only(on(CONNECTX, PF), "E233").help[1] == "or take one of them instead, as `vf: 1`"
    (device,) = on(CONNECTX, f"{{match: {{pf: {PF}}}, pick: free}}").devices
    assert str(device.host) in ("0000:3b:02.1", "0000:3b:02.3")


def test_its_number_is_that_of_virtfn_and_not_its_place_on_the_bus():
    facts = reported(CONNECTX)()
    (pf,) = (one for one in facts.pci if str(one.address) == PF)
    turned = with_function(facts, PF, virtual_functions=tuple(reversed(pf.virtual_functions)))
    assert only(of(turned, PF), "E233").help[1] == "or take one of them instead, as `vf: 0`"
    less = replace(facts, pci=tuple(one for one in facts.pci if str(one.address) != "0000:3b:02.0"))
    assert only(of(less, PF), "E233").help[1] == "or take one of them instead, as `vf: 1`"


def test_a_group_that_vfio_owns_is_in_use_whoever_has_it():
    facts = reported(CONNECTX)()
    hidden = replace(facts, device_nodes=tuple(replace(node, holders=()) for node in facts.device_nodes or ()))
    assert "0000:3b:02.2: VFIO owns its group, so a VM has it" in only(of(hidden, PF), "E233").evidence


@pytest.mark.parametrize("device", [PF, f"{{pci: {PF}, vf: 6}}"])
def test_a_group_whose_holders_could_not_be_read_may_be_in_use(device: str):
    """As for all but root: the type of a group, for all that sysfs says, stays what it was."""
    facts = idle()
    unread = tuple(replace(node, holders=Missing("denied", "/proc/4711/fd")) for node in facts.device_nodes or ())
    found = only(of(replace(facts, device_nodes=unread), device), "E233" if device == PF else "E207")
    assert found.fix is None
    assert any("0000:3b:02.2 may be a VM's" in line for line in found.evidence)
    assert not any("0000:3b:02.1 may be" in line for line in found.evidence)


def test_a_token_is_not_worth_the_others_virtual_functions():
    on_vfio = with_function(reported(CONNECTX)(), PF, driver="vfio-pci", interfaces=())
    found = only(of(on_vfio, f"{{pci: {PF}, vf: 3}}"), "E236")
    assert (found.fix, found.evidence) == (None, USERS)
    assert only(of(with_function(idle(), PF, driver="vfio-pci", interfaces=()), f"{{pci: {PF}, vf: 3}}"), "E236").fix


# ---- Xen, and memory that the firmware keeps ----


def test_xcp_ng_is_a_dom0_without_a_word_of_qubes():
    made = on("xcp-ng-dom0", "0000:3b:00.0")
    assert {"E223", "E401"} <= set(codes(made))
    assert "dom0 of Xen" in only(made, "E223").message
    guest = replace(reported("xcp-ng-dom0")(), linux=replace(reported("xcp-ng-dom0")().linux, modules=(), drivers=()))
    firmware = replace(guest.firmware, vendor="Xen", product="HVM domU")
    assert "dom0" not in only(of(replace(guest, firmware=firmware), "0000:3b:00.0"), "E223").message


@pytest.mark.parametrize("address", ["0000:04:00.0", "0000:04:00.1"])
def test_hpe_keeps_memory_for_whatever_is_in_the_slot(address: str):
    found = only(on("hpe-gen10-keeps-memory", address), "E215")
    assert any("conrep" in line for line in found.help)
    facts = reported("hpe-gen10-keeps-memory")()
    without = tuple(replace(one, reserved=one.reserved[-1:]) for one in facts.groups)
    assert "E215" not in codes(of(replace(facts, groups=without), address))
