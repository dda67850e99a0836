"""What a report says of a device: what its guest did with it, and beside that what had to be done without."""

from __future__ import annotations

import io
from pathlib import Path

from launcher.plan.outcome import DeviceReport, Report
from launcher.record import replace
from launcher.report.report_text import print_report
from tests.unit.executor.runner.test_devices_at_run_time import CARD, DUAL, Vm, config, decode

COMMAND = 4
NO_INTX, MASTER = 0x400, 0x4


def test_a_device_is_told_by_what_its_guest_did_with_it(tmp_path: Path) -> None:
    """Linux toggles the bit for INTx while it looks around (pci_intx_mask_broken in drivers/pci/probe.c)."""
    vm = Vm(tmp_path)
    said = [vm.report().state]
    for write in (config(DUAL, COMMAND, NO_INTX), decode(DUAL), decode(DUAL, MASTER)):
        vm.do(write)
        said.append(vm.report(DUAL).state)
    assert said == ["never touched", "never switched on", "memory on", "switched off"]
    assert (vm.report(DUAL).touched, vm.report(DUAL).used, vm.report(DUAL).decodes) == (True, True, ())
    assert vm.down() == []


def test_a_card_with_ports_says_both(tmp_path: Path) -> None:
    vm = Vm(tmp_path)
    vm.do(decode(CARD, 1))
    assert vm.report(CARD).decodes == ("ports",)
    vm.do(decode(CARD))
    assert vm.report(CARD).decodes == ("ports", "memory")
    assert vm.down() == []


def test_interrupts_of_a_device_that_nobody_used_are_not_told() -> None:
    seen = DeviceReport("nic", "0000:01:00.0", 1, "00:10.0", "intx", 1, (), "never touched; not reset", False, False)
    report = Report("1.0", "vm", "running", 1, None, 1.0, devices=(seen, replace(seen, state="memory on", used=True)))
    stream = io.StringIO()
    print_report(report, stream, colour=False)
    first, second = (line for line in stream.getvalue().splitlines() if line.startswith("  device"))
    assert first.endswith("00:10.0  never touched; not reset")
    assert second.endswith("00:10.0  intx x1, memory on")
