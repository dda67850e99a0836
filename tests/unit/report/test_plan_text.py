"""The plan for people: what is on which line."""

from __future__ import annotations

import re

import pytest

from launcher.images.boot_files import BootFiles
from launcher.plan.plan import MemoryLine
from launcher.plan.steps import OpenDevices, Passed
from launcher.record import replace
from launcher.report.diagnostics import as_text
from launcher.report.plan_text import memory_row, plan_text
from launcher.values import PciAddress
from tests.planning import EXAMPLE, KERNEL, SMALL, absent, host, plan


def full():
    return plan(EXAMPLE.read_text(), host("gpu07"))


def small():
    return plan(SMALL, host("cloud-vm"), BootFiles(KERNEL))


def test_the_first_line_says_what_it_is_and_where():
    first = plan_text(full(), "").splitlines()[0]
    assert first.startswith("trainer  8 vCPUs, 64 GiB, 5 devices and 1 companion  ")
    assert first.endswith("gpu07 · Linux 6.12.9 · AMD-Vi · VFIO type1")
    assert len(first) == 100


def test_a_machine_without_devices_has_no_table_of_them():
    assert "Devices" not in plan_text(small(), "")
    assert "IOMMU" not in plan_text(small(), "")


def test_each_step_has_its_mark_and_what_down_does():
    lines = plan_text(full(), "").splitlines()
    assert any(
        re.fullmatch(r" +3 ~ 0000:c1:00\.0  nvidia        -> vfio-pci, may wait .* +nvidia", line) for line in lines
    )
    assert any(re.fullmatch(r" +7 = 0000:e1:00\.0  vfio-pci, stays +stays", line) for line in lines)
    assert any(re.fullmatch(r" +11 \+ open groups 14 31 33 45 77 .*closed", line) for line in lines)


def test_what_would_stop_the_plan_is_marked_among_the_steps():
    made = plan(SMALL, host("no-kvm"), BootFiles(absent("/vms/bzImage")))
    text = plan_text(made, "(the diagnostics)")
    assert re.search(r"^ +! stopped by E410, E401; no step loads a kernel or firmware yet$", text, re.MULTILINE)
    assert "is not there" not in text
    assert text.endswith("(the diagnostics)\n\nCannot run: 2 blockers, 0 warnings.")


def test_the_last_line_says_what_changes_and_whether_it_can_run():
    assert plan_text(full(), "").split("\n\n")[-1].split("\n") == [
        "Can run: 5 host drivers change and come back on down; 1 virtual function is set, and put back on",
        "down; 64 GiB locked; 0 blockers, 1 warning.",
    ]


def test_warnings_that_block_are_named_in_the_last_line():
    crowded = plan(SMALL.replace("cpus: 2", "cpus: 3"), host("cloud-vm"), BootFiles(KERNEL))
    assert plan_text(crowded, "").splitlines()[-1] == "Can run: 0 blockers, 1 warning."
    last = plan_text(crowded, "", strict=True).splitlines()[-1]
    assert last == "Cannot run: 1 warning, and --strict makes them block."
    assert plan_text(small(), "", strict=True).splitlines()[-1] == "Can run: 0 blockers, 0 warnings."


def test_a_command_line_is_quoted_and_cannot_steer_the_terminal():
    text = SMALL.replace("./bzImage", './bzImage, cmdline: "a; \\e[31mb"')
    shown = plan_text(plan(text, host("cloud-vm"), BootFiles(KERNEL)), "")
    assert 'load /vms/bzImage with "a; \ufffd[31mb"' in shown


@pytest.mark.parametrize("width", [60, 72, 80, 99])
def test_a_narrow_terminal_gets_lines_that_fit_and_have_no_trailing_blanks(width: int):
    made = full()
    found = as_text(made.diagnostics, {"vm.yaml": EXAMPLE.read_text()}, width=width)
    lines = plan_text(made, found, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]
    assert ("       on down: freed" in lines) == (width < 76)


def test_a_plan_that_is_not_certain_says_so():
    made = small()
    unsure = replace(made, summary=replace(made.summary, can_run="unknown"))
    assert plan_text(unsure, "").splitlines()[-1].startswith("May be able to run: ")


def test_a_long_command_line_is_wrapped_and_whole():
    made = plan(
        SMALL.replace("./bzImage", "./bzImage, cmdline: " + "word=1 " * 40), host("cloud-vm"), BootFiles(KERNEL)
    )
    text = plan_text(made, "")
    assert text.count("word=1") == 40
    assert max(map(len, text.splitlines())) <= 100


def test_colour_adds_nothing_but_escapes():
    plain, coloured = plan_text(full(), "", colour=False), plan_text(full(), "", colour=True)
    assert coloured != plain
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == plain


def test_a_device_that_is_not_there_is_in_the_table_all_the_same():
    devices = "devices: {disk: 0000:77:00.0, any: {match: {class: nvme}}, port: 0000:02:00.0}\n"
    lines = plan_text(plan(SMALL + devices, host("gpu07"), BootFiles(KERNEL)), "").splitlines()
    assert "  disk   0000:77:00.0  not found" in lines
    assert "  any    class nvme  several match" in lines


def test_a_plan_without_any_of_its_devices_names_them():
    made = plan(SMALL + "devices: {disk: 0000:77:00.0}\n", host("gpu07"), BootFiles(KERNEL))
    assert "Devices\n  disk   0000:77:00.0  not found\n" in plan_text(made, "")


@pytest.mark.parametrize(
    ("resets", "said"),
    [
        (["flr"], "open and reset 1 device, give it to the guest"),
        ([None], "open 1 device, which cannot be reset, give it to the guest"),
        ([None, None], "open 2 devices, which cannot be reset, give them to the guest"),
        (["flr", None, "bus"], "open 3 devices, reset 2 of them, give them to the guest"),
    ],
)
def test_a_step_that_opens_devices_says_which_are_reset(resets: list[str | None], said: str):
    where = PciAddress(0, 0, 16, 0)
    devices = tuple(Passed("a", where, 1, where, (), True, reset) for reset in resets)
    assert OpenDevices(devices).describe() == said


def test_what_the_firmware_keeps_is_not_said_to_be_the_iommus():
    direct = MemoryLine("reserved", 0x1000, 0x1000, why="direct", groups=(1,))
    assert memory_row(direct, {1}, {})[2] == "kept by the firmware for group 1"
    assert memory_row(replace(direct, why="reserved"), {1}, {})[2] == "reserved by the IOMMU for every group of this VM"
    assert memory_row(replace(direct, why="reserved"), {1, 2}, {})[2] == "reserved by the IOMMU for group 1"
