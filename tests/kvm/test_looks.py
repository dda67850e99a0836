"""A vCPU is asked whether it sleeps, by another thread than its own: what it does meanwhile, and what ends that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import NamedTuple

import pytest

from launcher.kernel.api import Event, Trap, Vcpu
from launcher.kernel.real import RealKernel
from launcher.machine.x86.layout import LAYOUT
from tests.conftest import PATIENCE, comes_true

pytestmark = pytest.mark.kvm

CODE = 0x1000
HALTS = bytes.fromhex("fa f4 ebfd")  # 1: cli; hlt; jmp 1b
WRITES = bytes.fromhex("fa e680 ebfc")  # 1: out 0x80, al; jmp 1b
ENDS = bytes.fromhex("b0fe e664 f4")  # a reset by the keyboard controller


class Running(NamedTuple):
    vcpu: Vcpu
    thread: Thread
    events: list[Event]


@contextmanager
def running(program: bytes) -> Iterator[Running]:
    with ExitStack() as handles:
        kernel = RealKernel()
        kvm = kernel.open_kvm()
        handles.callback(kvm.close)
        memory = kernel.take_memory(2 << 20, 0, None)
        handles.callback(memory.close)
        memory.write(CODE, program)
        vm = kvm.create_vm()
        handles.callback(vm.close)
        vm.set_tss_address(LAYOUT.tss)
        vm.set_memory_region(0, 0, memory, 0, 0x10000)
        vm.create_interrupt_controllers()
        machine = vm.create_machine(4, 9)
        handles.callback(machine.close)
        machine.set_ports((Trap(0x64, 1, "keyboard"),))
        vcpu = vm.create_vcpu(0, machine)
        handles.callback(vcpu.close)
        vcpu.set_sregs({"cs": {"base": 0, "selector": 0}})
        vcpu.set_regs({"rip": CODE, "rflags": 2})
        events: list[Event] = []
        thread = Thread(target=lambda: events.append(vcpu.run()))
        thread.start()
        handles.callback(thread.join)
        handles.callback(vcpu.kick)
        yield Running(vcpu, thread, events)


def test_one_that_sleeps_is_kept_out_of_the_guest_until_the_look_is_over() -> None:
    with running(HALTS) as one:
        assert comes_true(one.vcpu.asleep)
        exits = one.vcpu.exits
        assert all(one.vcpu.still_asleep() for _ in range(1000))
        assert one.vcpu.exits == exits
        one.vcpu.look_over()
        assert not one.vcpu.still_asleep()
        assert comes_true(one.vcpu.asleep)
        assert one.vcpu.exits > exits


def test_a_second_look_while_the_first_goes_on_finds_the_same() -> None:
    with running(HALTS) as one:
        assert comes_true(one.vcpu.asleep)
        assert comes_true(one.vcpu.asleep)


def test_a_kick_ends_a_look() -> None:
    with running(HALTS) as one:
        assert comes_true(one.vcpu.asleep)
        one.vcpu.kick()
        one.thread.join(PATIENCE)
        assert [event.kind for event in one.events] == ["kicked"]
        assert not one.vcpu.asleep()
        assert not one.vcpu.still_asleep()


def test_one_that_runs_goes_on_after_each_look() -> None:
    with running(WRITES) as one:
        assert not any(one.vcpu.asleep() or one.vcpu.still_asleep() for _ in range(100))
        exits = one.vcpu.exits
        assert comes_true(lambda: one.vcpu.exits > exits)
        assert not one.events


def test_one_whose_thread_has_ended_is_awake() -> None:
    with running(ENDS) as one:
        one.thread.join(PATIENCE)
        assert [event.kind for event in one.events] == ["reset"]
        assert not one.vcpu.asleep()
