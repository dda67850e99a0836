"""A Kernel that does nothing but keep KVM's rules: it counts what is open, and fails the call it is told to fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from launcher.kernel.api import CpuidLeaf, Event, Progress, Registers, Trap


@dataclass
class FakeKernel:
    """`fail_at` is the number of the call (from 1) that fails with `error`; `calls` are the names in order."""

    fail_at: int = 0
    error: int = errno.EIO
    events: Sequence[Event] = (Event("power-off"),)
    calls: list[str] = field(default_factory=list)
    open: list[object] = field(default_factory=list)
    memory_size: int = 1 << 40

    def call(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.fail_at:
            raise OSError(self.error, os.strerror(self.error), name)

    def open_kvm(self) -> FakeKvm:
        self.call("open /dev/kvm")
        return FakeKvm(self)

    def take_memory(self, size: int, page_size: int, node: int | None) -> FakeMemory:
        self.call("mmap")
        if size > self.memory_size:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "mmap")
        return FakeMemory(self, size)

    def pin_thread(self, thread_id: int, host_cpu: int) -> None:
        self.call("sched_setaffinity")


class Handle:
    """Something open: it must be closed once, and after what was opened later."""

    def __init__(self, kernel: FakeKernel) -> None:
        self.kernel = kernel
        kernel.open.append(self)

    def close(self) -> None:
        assert self.kernel.open[-1] is self, "closed out of order, or twice"
        self.kernel.open.pop()


class FakeMemory(Handle):
    def __init__(self, kernel: FakeKernel, size: int) -> None:
        super().__init__(kernel)
        self.size = size
        self.written: dict[int, bytes] = {}

    def populate(self, threads: int, progress: Progress) -> None:
        progress(self.size // 2)
        self.kernel.call("MADV_POPULATE_WRITE")
        progress(self.size)

    def write(self, offset: int, data: bytes) -> None:
        assert offset >= 0
        assert offset + len(data) <= self.size
        self.written[offset] = data


class FakeKvm(Handle):
    def api_version(self) -> int:
        return 12

    def check_extension(self, name: str) -> int:
        return 1

    def supported_cpuid(self) -> list[CpuidLeaf]:
        self.kernel.call("KVM_GET_SUPPORTED_CPUID")
        return [(1, 0, 0, 0, 0, 0, 0)]

    def create_vm(self) -> FakeVm:
        self.kernel.call("KVM_CREATE_VM")
        return FakeVm(self.kernel)


class FakeVm(Handle):
    """Interrupt controllers before vCPUs, memslots that do not overlap."""

    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__(kernel)
        self.has_chips = False
        self.slots: dict[int, range] = {}

    def set_tss_address(self, guest: int) -> None:
        self.kernel.call("KVM_SET_TSS_ADDR")

    def set_identity_map_address(self, guest: int) -> None:
        self.kernel.call("KVM_SET_IDENTITY_MAP_ADDR")

    def create_interrupt_controllers(self) -> None:
        self.kernel.call("KVM_CREATE_IRQCHIP")
        self.has_chips = True

    def create_timer(self) -> None:
        assert self.has_chips
        self.kernel.call("KVM_CREATE_PIT2")

    def set_memory_region(self, slot: int, guest: int, memory: FakeMemory, offset: int, size: int) -> None:
        self.kernel.call("KVM_SET_USER_MEMORY_REGION")
        assert offset + size <= memory.size
        mine = range(guest, guest + size)
        assert all(mine.start >= other.stop or other.start >= mine.stop for other in self.slots.values())
        self.slots[slot] = mine

    def create_machine(self, serial_gsi: int, power_gsi: int) -> FakeMachine:
        return FakeMachine(self.kernel)

    def create_vcpu(self, index: int, machine: FakeMachine) -> FakeVcpu:
        assert self.has_chips
        self.kernel.call("KVM_CREATE_VCPU")
        return FakeVcpu(self.kernel, index)


class FakeMachine(Handle):
    listens = False

    def set_ports(self, traps: Sequence[Trap]) -> None:
        self.ports = traps

    def set_memory(self, traps: Sequence[Trap]) -> None:
        self.memory = traps

    def set_function(self, function: int, image: bytes) -> None:
        assert len(image) == 4096

    def attach(self, console: Any) -> None:
        self.console = console

    def input_arrived(self) -> None:
        pass

    def press_power(self) -> bool:
        return self.listens

    def counts(self) -> dict[str, int]:
        return dict.fromkeys(("unclaimed_reads", "unclaimed_writes", "serial_written", "serial_read"), 0)


class FakeVcpu(Handle):
    """Returns the kernel's next event; without one it runs until it is kicked."""

    def __init__(self, kernel: FakeKernel, index: int) -> None:
        super().__init__(kernel)
        self.index = index
        self.exits = 0
        self._kick, self._kicked = os.pipe()

    def set_cpuid(self, leaves: Sequence[CpuidLeaf]) -> None:
        self.kernel.call("KVM_SET_CPUID2")

    def set_sregs(self, changes: Registers) -> None:
        self.kernel.call("KVM_SET_SREGS")

    def set_regs(self, changes: Registers) -> None:
        self.kernel.call("KVM_SET_REGS")

    def set_msrs(self, msrs: Mapping[int, int]) -> None:
        self.kernel.call("KVM_SET_MSRS")

    def set_local_interrupts(self) -> None:
        self.kernel.call("KVM_SET_LAPIC")

    def registers(self) -> dict[str, int]:
        return {"rip": 0x1234}

    def run(self) -> Event:
        if self.index < len(self.kernel.events):
            return self.kernel.events[self.index]
        os.read(self._kick, 1)
        return Event("kicked")

    def kick(self) -> None:
        os.write(self._kicked, b"!")

    def close(self) -> None:
        super().close()
        os.close(self._kick)
        os.close(self._kicked)
