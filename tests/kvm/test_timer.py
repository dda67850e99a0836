"""The i8254 of a VM: whether the guest has it tick, and that its late ticks are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread

import pytest

from launcher.kernel.api import Vcpu, Vm
from launcher.kernel.real import RealKernel
from launcher.machine.x86.layout import LAYOUT
from tests.conftest import comes_true

pytestmark = pytest.mark.kvm

CODE = 0x1000
COMMAND, HALTS = "b0{:02x}e643", "faf4"  # out 0x43, al; cli; hlt
ONE_SHOT, RATE, SQUARE, SQUARE_TOO = 0x30, 0x34, 0x36, 0x3E


@pytest.fixture
def vm() -> Iterator[Vm]:
    with ExitStack() as handles:
        kernel = RealKernel()
        kvm = kernel.open_kvm()
        handles.callback(kvm.close)
        vm = kvm.create_vm()
        handles.callback(vm.close)
        vm.set_tss_address(LAYOUT.tss)
        vm.create_interrupt_controllers()
        vm.create_timer()
        yield vm


def run(vm: Vm, program: bytes) -> None:
    with ExitStack() as handles:
        memory = RealKernel().take_memory(2 << 20, 0, None)
        handles.callback(memory.close)
        memory.write(CODE, program)
        vm.set_memory_region(0, 0, memory, 0, 0x10000)
        machine = vm.create_machine(4, 9)
        handles.callback(machine.close)
        vcpu = vm.create_vcpu(0, machine)
        handles.callback(vcpu.close)
        vcpu.set_sregs({"cs": {"base": 0, "selector": 0}})
        vcpu.set_regs({"rip": CODE, "rflags": 2})
        _until_it_halts(vcpu)


def _until_it_halts(vcpu: Vcpu) -> None:
    thread = Thread(target=vcpu.run)
    thread.start()
    try:
        assert comes_true(vcpu.asleep)
    finally:
        vcpu.kick()
        thread.join()


def test_one_that_nobody_has_set_may_still_be_set(vm: Vm) -> None:
    assert not vm.timer_stands()


@pytest.mark.parametrize(("mode", "stands"), [(ONE_SHOT, True), (RATE, False), (SQUARE, False), (SQUARE_TOO, False)])
def test_what_the_guest_has_set_says_whether_it_stands(vm: Vm, mode: int, stands: bool) -> None:
    run(vm, bytes.fromhex(COMMAND.format(mode) + HALTS))
    assert vm.timer_stands() is stands


def test_late_ticks_are_dropped_as_often_as_one_likes(vm: Vm) -> None:
    vm.drop_late_ticks()
    vm.drop_late_ticks()
