"""Specs that boot by firmware in, the steps that load it out: where it is, its variables, what it tries first."""

from __future__ import annotations

import pytest

from launcher.api.comparing import check_same
from launcher.errors import Refused
from launcher.host.facts import HostFacts
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.firmware import LoadFirmware, OpenVariables
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import DescribeMachine, LoadKernel
from launcher.plan.virtio import AddVirtio
from launcher.plan.whole import check_whole
from launcher.planner.assumptions import failed_assumptions
from launcher.record import replace
from launcher.values import GIB, MIB, Missing, PciAddress, Span
from tests.catalogue.firmware import (
    BOOTABLE,
    CODE_4M,
    FILE,
    HOLE,
    HOST,
    KEPT,
    LAYOUT,
    NEW,
    OVMF,
    PVH,
    SEABIOS,
    UEFI,
    VARS_4M,
    files,
    installed,
    kept,
    rom,
)
from tests.planning import codes, plan
from tests.served import with_disks

TWO = f"""{UEFI.replace("{root: ./root.img}", "{root: {path: ./root.img, boot-order: 7}, data: ./data.img}")}
devices: {{drive: {{pci: '0000:02:00.0', boot-order: 2}}}}
"""


def step(made: Plan, kind: type[Step]) -> Step:
    (found,) = [one for one in made.steps if type(one) is kind]
    return found


def made(text: str, on: HostFacts | None = None, **given: object) -> Plan:
    found = plan(text, on or HOST(), files(**given))  # type: ignore[arg-type]
    assert [one for one in found.diagnostics if one.severity == "error"] == []
    check_whole(found)
    return found


def test_the_rom_ends_at_4_gib_and_its_variables_are_right_below_it() -> None:
    loaded = step(made(UEFI), LoadFirmware)
    assert loaded == LoadFirmware(
        "uefi", OVMF.path, OVMF.sha256, CODE_4M, 4 * GIB - CODE_4M, VARS_4M, OVMF.template, ()
    )
    bios = step(made(UEFI.replace("uefi", "bios")), LoadFirmware)
    assert bios == LoadFirmware("bios", SEABIOS.path, SEABIOS.sha256, 256 << 10, 4 * GIB - (256 << 10), 0, "", ())
    lines = [one for one in made(UEFI).memory if one.why == "firmware and its variables"]
    assert [(one.start, one.size) for one in lines] == [(0xFFC00000, 4 * MIB)]


def test_variables_that_are_kept_are_opened_by_a_step_of_their_own() -> None:
    for variables, identity in ((NEW, ""), (kept(), "1:7")):
        found = made(KEPT, variables=variables)
        opened = step(found, OpenVariables)
        assert opened == OpenVariables("/vms/vm.fd", identity, OVMF.template, OVMF.template_sha256, VARS_4M)
        loaded = step(found, LoadFirmware)
        assert isinstance(loaded, LoadFirmware)
        assert (loaded.variables, loaded.template) == (VARS_4M, "")


def test_a_file_of_the_spec_is_a_rom_or_starts_as_a_kernel_does() -> None:
    assert isinstance(step(made(FILE, firmware=rom()), LoadFirmware), LoadFirmware)
    whole = step(made(FILE, firmware=rom(size=4 * MIB, layout=LAYOUT)), LoadFirmware)
    assert isinstance(whole, LoadFirmware)
    assert (whole.guest, whole.variables) == (0xFFC00000, 0)
    kernel = step(made(FILE, firmware=PVH), LoadKernel)
    assert isinstance(kernel, LoadKernel)
    assert (kernel.protocol, kernel.path, kernel.cmdline) == ("pvh", "/vms/OVMF.fd", "")


def test_disks_begin_at_the_second_slot_and_are_tried_in_their_order() -> None:
    given = replace(files(), disks=with_disks(root=BOOTABLE, data=replace(BOOTABLE, identity="1:9")).disks)
    found = plan(TWO, HOST(), given)
    added, loaded = step(found, AddVirtio), step(found, LoadFirmware)
    assert isinstance(added, AddVirtio)
    assert isinstance(loaded, LoadFirmware)
    assert [one.guest.guest for one in added.functions] == ["00:02.0", "00:03.0"]
    assert [one.guest for one in loaded.order] == ["00:10.0", "00:02.0"]
    check_whole(found)


def test_the_window_for_large_bars_is_where_the_firmware_will_have_it() -> None:
    """OVMF takes a power of two behind RAM, aligned to its size."""
    text = UEFI.replace("memory: 1GiB", "memory: 5GiB") + "devices: {gpu: {pci: '0000:c1:00.0', companions: attach}}\n"
    described = step(plan(text, HOST(), files()), DescribeMachine)
    assert isinstance(described, DescribeMachine)
    assert described.window is not None
    assert described.window.size.bit_count() == 1
    assert described.window == Span(max(described.window.size, 8 * GIB), described.window.size)


def test_a_saved_plan_rests_on_the_firmware_and_its_variables() -> None:
    saved = plan_from_json(plan_to_json(made(KEPT, variables=kept())))
    assert failed_assumptions(saved, HOST(), files(None, kept())) == ()
    newer = installed(replace(OVMF, sha256="00" * 32), SEABIOS)()
    assert [one.fact for one in failed_assumptions(saved, newer, files(None, kept()))] == [
        f"boot_firmware[{OVMF.path}].sha256"
    ]
    for other in (NEW, kept(identity="1:8"), kept(layout="")):
        assert failed_assumptions(saved, HOST(), files(None, other))
    own = made(FILE, firmware=rom())
    (failed,) = failed_assumptions(own, HOST(), files(replace(rom(), sha256="00" * 32)))
    assert "/vms/OVMF.fd" in str(failed)


def test_variables_that_a_vm_has_made_are_no_difference_while_it_is_up() -> None:
    running, again = made(KEPT, variables=NEW), made(KEPT, variables=kept())
    check_same(running, again)
    other = made(KEPT.replace("vm.fd", "b.fd"), variables=replace(NEW, path="/vms/b.fd"))
    with pytest.raises(Refused) as refused:
        check_same(running, other)
    assert refused.value.diagnostics[0].code == "E507"


@pytest.mark.parametrize(
    "change",
    [
        {"guest": 4 * GIB - CODE_4M - 4096},
        {"size": 0, "guest": 4 * GIB},
        {"variables": VARS_4M + 4096},
        {"variables": 5 * MIB},
        {"template": ""},
        {"order": (PciAddress(0, 0, 9, 0),)},
    ],
)
def test_a_firmware_that_was_edited_does_not_fit_its_plan(change: dict[str, object]) -> None:
    found = made(UEFI)
    steps = tuple(replace(one, **change) if isinstance(one, LoadFirmware) else one for one in found.steps)
    with pytest.raises(Refused):
        check_whole(replace(found, steps=steps))


@pytest.mark.parametrize(("text", "taken"), [(UEFI, 3), (UEFI.replace("uefi", "bios"), 2)], ids=["uefi", "bios"])
def test_code_and_variables_take_memslots(text: str, taken: int) -> None:
    found = made(text)
    facts = HOST()
    assert not isinstance(facts.kvm, Missing)
    for most, refused in ((taken, False), (taken - 1, True)):
        kvm = replace(facts.kvm, extensions=facts.kvm.extensions | {"nr_memslots": most})
        few = replace(facts, kvm=kvm)
        assert ("E320" in codes(plan(text, few, files()))) is refused
        assert bool(failed_assumptions(found, few, files())) is refused


@pytest.mark.parametrize("memory", ["16MiB", HOLE])
def test_seabios_reads_the_whole_memory_map_and_needs_little(memory: str) -> None:
    text = UEFI.replace("uefi", "bios").replace("1GiB", memory)
    assert codes(plan(text, HOST(), files())) == []


def test_a_plan_starts_one_thing() -> None:
    found = made(UEFI)
    kernel = LoadKernel("pvh", "/k", "00" * 32, 0x100000, (), "")
    place = next(n for n, one in enumerate(found.steps) if isinstance(one, LoadFirmware))
    for steps in (
        (*found.steps[:place], kernel, *found.steps[place:]),
        (*found.steps[:place], *found.steps[place + 1 :]),
    ):
        with pytest.raises(Refused):
            check_whole(replace(found, steps=steps))


def test_rules_about_a_kernel_say_nothing_of_a_guest_without_one() -> None:
    assert codes(made(UEFI)) == []
