"""KVM in the fake kernel: chips before vCPUs, memslots that do not overlap, eventfds that are tied to one GSI."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from launcher.kernel.api import SPACES, CpuidLeaf, Event, MemoryPart, MsiRoute, PinRoute, Registers, Trap
from launcher.kernel.fw_cfg import FwCfgItems
from launcher.kernel.msix import MsixEntries
from launcher.kernel.virtio import VirtioRegisters
from launcher.native import lib
from launcher.values import KIB, Span
from tests.fakes.handle import Handle, Mappable, refuse
from tests.fakes.iommufd import FakeCdev

if TYPE_CHECKING:
    from tests.fakes.kernel import FakeEventfd, FakeKernel
from tests.fakes.vfio import FakeGroup

MOST_GSIS, MOST_VCPUS = 4096, 64
SET_MEMORY, IRQFD, SET_ATTRIBUTE = "KVM_SET_USER_MEMORY_REGION", "KVM_IRQFD", "KVM_SET_DEVICE_ATTR"


SERVED = {
    "table": (lib.msix_read, lib.msix_write, "msix"),
    "registers": (lib.virtio_read, lib.virtio_write, "virtio"),
}


class FakeKvm(Handle):
    late = True

    def api_version(self) -> int:
        return 12

    def check_extension(self, name: str) -> int:
        most = {"nr_memslots": self.kernel.memslots, "irq_routing": self.kernel.most_routes}
        return most.get(name, 1)

    def supported_cpuid(self) -> list[CpuidLeaf]:
        self.kernel.call("KVM_GET_SUPPORTED_CPUID")
        return [(1, 0, 0, 0, 0, 0, 0)]

    def brand(self) -> tuple[CpuidLeaf, ...]:
        return ()

    def create_vm(self) -> FakeVm:
        self.kernel.call("KVM_CREATE_VM")
        return FakeVm(self.kernel)


class FakeVm(Handle):
    late = True

    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__(kernel)
        kernel.vms += 1
        self.has_chips = self.has_vfio = False
        self.slots: dict[int, tuple[Span, Mappable]] = {}

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

    def timer_stands(self) -> bool:
        self.kernel.call("KVM_GET_PIT2")
        return self.kernel.timer_stands

    def drop_late_ticks(self) -> None:
        self.kernel.call("KVM_REINJECT_CONTROL")

    def set_memory_region(
        self, slot: int, guest: int, memory: Mappable, offset: int, size: int, *, readonly: bool = False
    ) -> None:
        if not 0 < size <= memory.size - offset or offset < 0:
            raise ValueError(f"{size:#x} bytes at {offset:#x} are not inside {memory.size:#x}")
        self.kernel.call(SET_MEMORY)
        if slot >= self.kernel.memslots or slot in self.slots or guest % (4 * KIB) or size % (4 * KIB):
            refuse(errno.EINVAL, SET_MEMORY)
        span = Span(guest, size)
        if any(span.overlaps(other) for other, _ in self.slots.values()):
            refuse(errno.EEXIST, SET_MEMORY)
        self.slots[slot] = span, memory
        memory.slots += 1

    def delete_memory_region(self, slot: int) -> None:
        self.kernel.call(SET_MEMORY)
        if slot not in self.slots:
            refuse(errno.EINVAL, SET_MEMORY)
        _, memory = self.slots.pop(slot)
        memory.slots -= 1

    def set_gsi_routing(self, routes: Sequence[PinRoute | MsiRoute]) -> None:
        self.kernel.call("KVM_SET_GSI_ROUTING")
        if len(routes) > self.kernel.most_routes or any(route.gsi >= MOST_GSIS for route in routes):
            refuse(errno.EINVAL, "KVM_SET_GSI_ROUTING")
        self.kernel.routes = {route.gsi: route for route in routes}

    def assign_irqfd(self, event: FakeEventfd, gsi: int, resample: FakeEventfd | None = None) -> None:
        """What fired before is delivered now."""
        self.kernel.call(IRQFD)
        if event.fd in self.kernel.irqfds:
            refuse(errno.EBUSY, IRQFD)
        if not self.has_chips or not {event, resample} <= {None, *self.kernel.eventfds}:
            refuse(errno.EBADF if self.has_chips else errno.EINVAL, IRQFD)
        self.kernel.irqfds[event.fd] = gsi
        if event.take():
            self.kernel.delivered.append(gsi)

    def deassign_irqfd(self, event: FakeEventfd, gsi: int) -> None:
        """No error where there is none."""
        self.kernel.call(IRQFD)
        if self.kernel.irqfds.get(event.fd) == gsi:
            del self.kernel.irqfds[event.fd]

    def assign_ioeventfd(self, event: FakeEventfd, guest: int) -> None:
        self.kernel.call("KVM_IOEVENTFD")
        if guest in self.kernel.ioeventfds:
            refuse(errno.EEXIST, "KVM_IOEVENTFD")
        self.kernel.ioeventfds[guest] = event.fd

    def deassign_ioeventfd(self, event: FakeEventfd, guest: int) -> None:
        self.kernel.call("KVM_IOEVENTFD")
        if self.kernel.ioeventfds.get(guest) != event.fd:
            refuse(errno.ENOENT, "KVM_IOEVENTFD")
        del self.kernel.ioeventfds[guest]

    def create_vfio(self) -> FakeKvmVfio:
        self.kernel.call("KVM_CREATE_DEVICE")
        if self.has_vfio:
            refuse(errno.EBUSY, "KVM_CREATE_DEVICE")
        self.has_vfio = True
        return FakeKvmVfio(self.kernel, self)

    def create_machine(self, serial_gsi: int, power_gsi: int) -> FakeMachine:
        return FakeMachine(self.kernel)

    def create_vcpu(self, number: int, machine: FakeMachine) -> FakeVcpu:
        assert self.has_chips
        self.kernel.call("KVM_CREATE_VCPU")
        if number >= MOST_VCPUS:
            refuse(errno.EINVAL, "KVM_CREATE_VCPU")
        return FakeVcpu(self.kernel, number, machine)

    def close(self) -> None:
        """Its memslots go with it."""
        if not self.closed:
            for _, memory in self.slots.values():
                memory.slots -= 1
            self.slots.clear()
        super().close()


class FakeKvmVfio(Handle):
    late = True

    def __init__(self, kernel: FakeKernel, vm: FakeVm) -> None:
        super().__init__(kernel)
        self._vm = vm
        self._groups: list[FakeGroup] = []

    def add_file(self, group: FakeGroup) -> None:
        self.kernel.call(SET_ATTRIBUTE)
        if group in self._groups:
            refuse(errno.EEXIST, SET_ATTRIBUTE)
        self._groups.append(group)
        group.known_to_kvm = True

    def remove_file(self, group: FakeGroup) -> None:
        self.kernel.call(SET_ATTRIBUTE)
        if group not in self._groups:
            refuse(errno.ENOENT, SET_ATTRIBUTE)
        self._groups.remove(group)
        self._forget(group)

    def close(self) -> None:
        self.idle = not self._groups
        for group in self._groups:
            self._forget(group)
        self._groups.clear()
        self._vm.has_vfio = False
        super().close()

    @staticmethod
    def _forget(file: FakeGroup | FakeCdev) -> None:
        """It may have been the last to hold it."""
        file.known_to_kvm = False
        if isinstance(file, FakeCdev):
            file.let_go()


class FakeMachine(Handle):
    """Traps that do not overlap."""

    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__(kernel)
        self.functions: dict[int, bytearray] = {}
        self.msix: dict[int, MsixEntries] = {}
        self.virtio: dict[int, VirtioRegisters] = {}

    listens = False
    ports: Sequence[Trap] = ()
    memory: Sequence[Trap] = ()

    def set_ports(self, traps: Sequence[Trap]) -> None:
        self.ports = self._checked(traps)

    def set_memory(self, traps: Sequence[Trap]) -> None:
        self.memory = self._checked(traps)

    def _checked(self, traps: Sequence[Trap]) -> Sequence[Trap]:
        self.kernel.call("machine_set_traps")
        spans = [Span(one.start, one.size) for one in sorted(traps)]
        if any(one.overlaps(other) for one, other in pairwise(spans)):
            refuse(errno.EINVAL, "machine_set_traps")
        return tuple(traps)

    def set_function(
        self, function: int, image: bytes, asks_read: bytes = bytes(4096), asks_write: bytes = bytes(4096)
    ) -> None:
        assert {len(image), len(asks_read), len(asks_write)} == {4096}
        assert 0 <= function < 256
        self.functions[function] = bytearray(image)

    def change_function(self, function: int, offset: int, data: bytes) -> None:
        assert offset + len(data) <= len(self.functions[function])
        self.functions[function][offset : offset + len(data)] = data

    def add_msix(self, function: int, vectors: int) -> MsixEntries:
        self.msix[function] = MsixEntries(vectors)
        return self.msix[function]

    def add_virtio(self, function: int, offered: int, queues: int, config: bytes) -> VirtioRegisters:
        self.virtio[function] = VirtioRegisters(offered, queues, config)
        return self.virtio[function]

    def add_fw_cfg(self, memory: Sequence[MemoryPart]) -> FwCfgItems:
        return FwCfgItems(())

    def serves(self, event: Event) -> bool:
        """An access that does not leave C, for it is C that serves it here, too."""
        if event.kind not in ("read", "write") or SPACES[event.data[0]] != "memory":
            return False
        _, address, size, *value = event.data
        for trap in self.memory:
            if trap.kind in SERVED and trap.start <= address and address + size <= trap.start + trap.size:
                reads, writes, found = SERVED[trap.kind]
                pointer, offset = getattr(self, found)[trap.offset].pointer, address - trap.start
                if event.kind == "write":
                    return not writes(pointer, offset, size, value[0], False)
                self.kernel.replies.append(reads(pointer, offset, size))
                return True
        return False

    def set_flash(self, slot: int, guest: int, memory: Mappable, file: int) -> None:
        self.kernel.call("machine_set_flash")

    def attach(self, console: Any) -> None:
        self.console = console

    def input_arrived(self) -> None:
        pass

    def press_power(self) -> bool:
        return self.listens

    def unanswered(self) -> dict[tuple[int, int], int]:
        return {}

    def counts(self) -> dict[str, int]:
        return dict.fromkeys(("unclaimed_reads", "unclaimed_writes", "serial_written", "serial_read"), 0)


class FakeVcpu(Handle):
    """Returns the kernel's events, the last one for ever; without any it runs until it is kicked."""

    def __init__(self, kernel: FakeKernel, index: int, machine: FakeMachine) -> None:
        super().__init__(kernel)
        self._machine = machine
        events = kernel.events if kernel.vms == 1 else kernel.after_reset
        mine = events[index] if index < len(events) else ()
        self._events = [mine] if isinstance(mine, Event) else list(mine)
        self.exits = 0
        self._kick, self._kicked = os.pipe()
        self._looked_at = False

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
        self.kernel.running = self.kernel.running or len(self.kernel.calls)
        self.exits += 1
        while len(self._events) > 1 and self._machine.serves(self._events[0]):
            self._events.pop(0)
        if not self._events:
            os.read(self._kick, 1)
            return Event("kicked")
        event = self._events.pop(0) if len(self._events) > 1 else self._events[0]
        if event.kind not in ("read", "write"):
            self.kernel.ending = len(self.kernel.calls)
        return event

    def reply(self, value: int) -> None:
        self.kernel.replies.append(value)

    def kick(self) -> None:
        os.write(self._kicked, b"!")

    def asleep(self) -> bool:
        self._looked_at = self.kernel.asleep
        return self.kernel.asleep

    def still_asleep(self) -> bool:
        assert self._looked_at
        return not self.kernel.woken

    def look_over(self) -> None:
        self._looked_at = False

    def close(self) -> None:
        if self._looked_at:
            self.kernel.untidy.append("a vCPU is closed that is kept out of the guest")
        super().close()
        os.close(self._kick)
        os.close(self._kicked)
