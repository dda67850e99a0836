"""Firmware on the fake kernel: each life is as after a reset; each call refused once, and nothing stays open."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from launcher.kernel.api import Event
from launcher.plan.firmware import LoadFirmware
from launcher.plan.plan import Plan
from launcher.plan.steps import LoadInitrd, LoadKernel
from launcher.record import replace
from launcher.values import GIB
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.runner.test_runner import Run, plan_of

CODE, VARIABLES = bytes(range(256)) * 64, b"v" * 8192


def firmware_of(folder: Path) -> Plan:
    code, template, plan = folder / "code.fd", folder / "variables.fd", plan_of(folder)
    code.write_bytes(CODE)
    template.write_bytes(VARIABLES)
    digest, start = hashlib.sha256(CODE).hexdigest(), 4 * GIB - len(CODE)
    load = LoadFirmware("uefi", str(code), digest, len(CODE), start, len(VARIABLES), str(template), ())
    steps = (load if isinstance(step, LoadKernel) else step for step in plan.steps if not isinstance(step, LoadInitrd))
    return replace(plan, steps=tuple(steps))


def test_a_guest_with_firmware_starts_as_after_a_reset_in_each_life(tmp_path: Path) -> None:
    run = Run(firmware_of(tmp_path), FakeKernel(events=(Event("reset"),)), reboot=True)
    assert run.all_of("end")[0]["how"] == "power-off"
    assert not {"KVM_SET_SREGS", "KVM_SET_REGS", "KVM_SET_LAPIC"} & set(run.kernel.calls)
    assert run.kernel.calls.count("machine_set_flash") == 2
    assert run.kernel.calls.count("mmap") == 4  # two banks, the code, the variables
    assert run.kernel.left() == []
    assert run.fds_after == run.fds_before


def test_whichever_call_fails_nothing_stays_open(tmp_path: Path) -> None:
    plan = firmware_of(tmp_path)
    kernel = Run(plan, FakeKernel()).kernel
    for k, name in enumerate(kernel.calls[: kernel.running], 1):
        run = Run(plan, FakeKernel(fail_at=k, error=errno.ENOMEM))
        assert run.kernel.left() == [], name
        assert run.fds_after == run.fds_before, name
        assert name in run.problem["message"] or os.strerror(errno.ENOMEM) in run.problem["message"], name


@pytest.mark.parametrize("size", [len(CODE) - 4096, len(CODE) + 4096])
def test_a_plan_that_has_another_place_for_its_firmware_is_not_run(tmp_path: Path, size: int) -> None:
    """It would reach over the end of 4 GiB, or leave the reset vector bare."""
    made = firmware_of(tmp_path)
    forged = (
        replace(step, size=size, guest=4 * GIB - size) if isinstance(step, LoadFirmware) else step
        for step in made.steps
    )
    run = Run(replace(made, steps=tuple(forged)), FakeKernel())
    assert run.problem["code"] == "E509"
    assert f"has {len(CODE)} bytes" in run.problem["message"]
    assert run.kernel.left() == []


@pytest.mark.parametrize("name", ["code.fd", "variables.fd"])
def test_a_file_that_changed_since_the_plan_is_not_run(tmp_path: Path, name: str) -> None:
    plan = firmware_of(tmp_path)
    (tmp_path / name).write_bytes(b"another")
    run = Run(plan, FakeKernel())
    assert run.problem["code"] == "E509"
    assert run.kernel.vms == 1
    assert run.kernel.left() == []
