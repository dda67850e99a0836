"""BARs of less than a page, as a running guest reaches them: byte for byte, two of them in one of its pages."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from launcher.executor.runner.devices.traps import Key, Traps
from launcher.kernel.api import Event, Trap
from launcher.kernel.real import RealKernel
from launcher.machine.pieces import pieces
from launcher.machine.reachable import reachable
from launcher.machine.x86.layout import LAYOUT
from launcher.values import Span

pytestmark = pytest.mark.kvm

RAM, CODE = Span(0, 0x10000), 0x1000
FIRST, SECOND = Span(0xD0000, 256), Span(0xD0100, 256)
# 16-bit code that ends with a reset by the keyboard controller.
PROGRAM = bytes.fromhex(
    "b800d0 8ed8"  # mov ax, 0xd000; mov ds, ax
    "c60610005a"  # mov byte [0x10], 0x5a: in the first
    "a02000 a23001"  # mov al, [0x20]; mov [0x130], al: from the first to the second
    "a1ff00 a34001"  # mov ax, [0xff]; mov [0x140], ax: half in each is in neither
    "b0fe e664 f4"
)


@pytest.fixture
def files() -> Iterator[tuple[int, int]]:
    """What answers for the first, from 0x1000 on, and for the second."""
    made = os.memfd_create("first"), os.memfd_create("second")
    os.truncate(made[0], 0x2000)
    os.truncate(made[1], 0x1000)
    yield made
    for one in made:
        os.close(one)


def trap(span: Span, file: int, offset: int) -> tuple[Trap, ...]:
    """The whole of a BAR for which the kernel would map a page."""
    (piece,) = pieces(span.size, [Span(0, 4096)], None, None)
    assert piece.served == "trap"
    return (Trap(span.start, piece.span.size, "file", file, offset),)


def run(small: list[tuple[Trap, ...]]) -> Event:
    kernel = RealKernel()
    kvm = kernel.open_kvm()
    vm, memory = kvm.create_vm(), kernel.take_memory(2 << 20, 0, None)
    vm.set_tss_address(LAYOUT.tss)
    vm.set_memory_region(0, RAM.start, memory, 0, RAM.size)
    memory.write(CODE, PROGRAM)
    machine = vm.create_machine(4, 9)
    traps = Traps(machine, (Trap(0x64, 1, "keyboard"),), ())
    for n, one in enumerate(small):
        span = Span(one[0].start, one[0].size)
        assert traps.free("memory", span)
        traps.show("memory", Key(n, 1), span, one)
        assert not traps.free("memory", Span(one[0].start + 255, 1))
    vcpu = vm.create_vcpu(0, machine)
    try:
        vcpu.set_sregs({"cs": {"base": 0, "selector": 0}})
        vcpu.set_regs({"rip": CODE, "rflags": 2})
        return vcpu.run()
    finally:
        for handle in (vcpu, machine, vm, memory, kvm):
            handle.close()


def test_two_bars_of_256_bytes_share_a_page_of_the_guest(files: tuple[int, int]) -> None:
    assert reachable(FIRST, "memory", [RAM], LAYOUT)
    assert reachable(SECOND, "memory", [RAM], LAYOUT)
    os.pwrite(files[0], b"\x77", 0x1020)
    assert run([trap(FIRST, files[0], 0x1000), trap(SECOND, files[1], 0)]).kind == "reset"
    assert os.pread(files[0], 1, 0x1010) == b"\x5a"
    assert os.pread(files[1], 1, 0x30) == b"\x77"
    assert os.pread(files[1], 2, 0x40) == b"\xff\xff"


def test_a_bar_that_is_not_there_takes_nothing_of_its_neighbour(files: tuple[int, int]) -> None:
    assert run([trap(SECOND, files[1], 0)]).kind == "reset"
    assert os.pread(files[1], 0x41, 0)[0x30:0x31] == b"\xff"
    assert os.pread(files[1], 0x30, 0) == bytes(0x30)
