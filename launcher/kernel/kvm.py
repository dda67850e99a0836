"""KVM: the VM, the vCPU (Documentation/virt/kvm/api.rst). One class per descriptor, one ioctl per method."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence

from launcher.kernel.api import CpuidLeaf, Event, MsiRoute, PinRoute, Registers, VfioFile
from launcher.kernel.call import check, fields, fill, ioctl
from launcher.kernel.descriptor import Descriptor, Eventfd
from launcher.kernel.machine import Machine
from launcher.kernel.memory import HostMemory
from launcher.kernel.vfio import BarMapping
from launcher.native import ffi, lib
from launcher.typed import Any

EVENTS = {
    lib.EVENT_KICKED: "kicked",
    lib.EVENT_POWER_OFF: "power-off",
    lib.EVENT_RESET: "reset",
    lib.EVENT_SHUTDOWN: "shutdown",
    lib.EVENT_INTERNAL: "internal-error",
    lib.EVENT_FAIL_ENTRY: "fail-entry",
    lib.EVENT_UNKNOWN: "unknown-exit",
    lib.EVENT_ERROR: "error",
    lib.EVENT_READ: "read",
    lib.EVENT_WRITE: "write",
}
CHIPS = {
    "pic-master": lib.KVM_IRQCHIP_PIC_MASTER,
    "pic-slave": lib.KVM_IRQCHIP_PIC_SLAVE,
    "ioapic": lib.KVM_IRQCHIP_IOAPIC,
}
ONE_SHOT = (0, 1, 4, 5)  # modes of a counter of the i8254; the others repeat, and 255 is none
PATIENCE = 200  # milliseconds for a vCPU to come out of the guest, or of a device's register
LVT0, LVT1 = 0x350, 0x360  # local APIC registers (Intel SDM 3A, table 11-1)
DELIVER_NMI, DELIVER_EXTERNAL = 0x400, 0x700


class Vm(Descriptor):
    """A VM's descriptor. `run_size`: bytes of each vCPU's shared page, as KVM_GET_VCPU_MMAP_SIZE says."""

    def __init__(self, fd: int, run_size: int) -> None:
        super().__init__(fd)
        self._run_size = run_size
        self._routing = _Routing()

    def set_tss_address(self, guest: int) -> None:
        """Three pages of the guest that KVM keeps for real mode on Intel; they must be no RAM."""
        ioctl(self.fd, "KVM_SET_TSS_ADDR", guest)

    def set_identity_map_address(self, guest: int) -> None:
        """A page of the guest for KVM's identity map. EINVAL: there is a vCPU already."""
        ioctl(self.fd, "KVM_SET_IDENTITY_MAP_ADDR", ffi.new("uint64_t *", guest))

    def create_interrupt_controllers(self) -> None:
        """PICs and IOAPIC, and a local APIC for each vCPU that is made from now on."""
        ioctl(self.fd, "KVM_CREATE_IRQCHIP")

    def create_timer(self) -> None:
        """The i8254, and a stub of the speaker's port. ENOENT: there are no interrupt controllers yet."""
        ioctl(self.fd, "KVM_CREATE_PIT2", ffi.new("struct kvm_pit_config *", {"flags": lib.KVM_PIT_SPEAKER_DUMMY}))

    def timer_stands(self) -> bool:
        """Whether the guest has set the i8254 so that it interrupts once at most."""
        state = ffi.new("struct kvm_pit_state2 *")
        ioctl(self.fd, "KVM_GET_PIT2", state)
        return state.channels[0].mode in ONE_SHOT

    def drop_late_ticks(self) -> None:
        """Of the i8254, as a machine does. Until then KVM keeps those that the guest is late for, and catches up."""
        ioctl(self.fd, "KVM_REINJECT_CONTROL", ffi.new("struct kvm_reinject_control *", {"pit_reinject": 0}))

    def set_memory_region(
        self,
        slot: int,
        guest: int,
        memory: HostMemory | BarMapping,
        offset: int,
        size: int,
        *,
        readonly: bool = False,
    ) -> None:
        """Show `size` bytes of `memory`, from `offset` on, at `guest`. EEXIST: it overlaps another slot.

        `readonly`: what the guest writes there comes back as an access (KVM_MEM_READONLY)."""
        if not 0 < size <= memory.size - offset or offset < 0:
            raise ValueError(f"{size:#x} bytes at {offset:#x} are not inside {memory.size:#x}")
        region = ffi.new("struct kvm_userspace_memory_region *")
        flags = lib.KVM_MEM_READONLY if readonly else 0
        fill(region, {"slot": slot, "flags": flags, "guest_phys_addr": guest, "memory_size": size})
        region.userspace_addr = int(ffi.cast("uintptr_t", memory.pointer)) + offset
        ioctl(self.fd, "KVM_SET_USER_MEMORY_REGION", region)

    def delete_memory_region(self, slot: int) -> None:
        """The guest has no access when this returns."""
        ioctl(self.fd, "KVM_SET_USER_MEMORY_REGION", ffi.new("struct kvm_userspace_memory_region *", {"slot": slot}))

    def set_gsi_routing(self, routes: Sequence[PinRoute | MsiRoute]) -> None:
        """The whole table; what is not in it has no route any more."""
        ioctl(self.fd, "KVM_SET_GSI_ROUTING", self._routing.of(routes))

    def assign_irqfd(self, event: Eventfd, gsi: int, resample: Eventfd | None = None) -> None:
        """Each fire is an interrupt of `gsi`; one that fired before counts. `resample` fires at the guest's EOI."""
        request = {"fd": event.fd, "gsi": gsi}
        if resample is not None:
            request |= {"flags": lib.KVM_IRQFD_FLAG_RESAMPLE, "resamplefd": resample.fd}
        ioctl(self.fd, "KVM_IRQFD", ffi.new("struct kvm_irqfd *", request))

    def deassign_irqfd(self, event: Eventfd, gsi: int) -> None:
        """No fire is an interrupt of `gsi` any more when this returns. KVM takes a pair that it does not know."""
        request = {"fd": event.fd, "gsi": gsi, "flags": lib.KVM_IRQFD_FLAG_DEASSIGN}
        ioctl(self.fd, "KVM_IRQFD", ffi.new("struct kvm_irqfd *", request))

    def assign_ioeventfd(self, event: Eventfd, guest: int) -> None:
        """A write of the guest to this address, of any width, fires the event and does not leave the kernel."""
        ioctl(self.fd, "KVM_IOEVENTFD", ffi.new("struct kvm_ioeventfd *", {"addr": guest, "fd": event.fd}))

    def deassign_ioeventfd(self, event: Eventfd, guest: int) -> None:
        """ENOENT: it was not assigned."""
        request = {"addr": guest, "fd": event.fd, "flags": lib.KVM_IOEVENTFD_FLAG_DEASSIGN}
        ioctl(self.fd, "KVM_IOEVENTFD", ffi.new("struct kvm_ioeventfd *", request))

    def create_vfio(self) -> KvmVfio:
        """KVM_CREATE_DEVICE, once for a VM. EBUSY: it has one already."""
        device = ffi.new("struct kvm_create_device *", {"type": lib.KVM_DEV_TYPE_VFIO})
        ioctl(self.fd, "KVM_CREATE_DEVICE", device)
        return KvmVfio(device.fd)

    def create_machine(self, serial_gsi: int, power_gsi: int) -> Machine:
        return Machine(self.fd, serial_gsi, power_gsi)

    def create_vcpu(self, number: int, machine: Machine) -> Vcpu:
        """`number` is its APIC id as well."""
        return Vcpu(ioctl(self.fd, "KVM_CREATE_VCPU", number), self._run_size, machine)


class _Routing:
    """The table of routes as KVM takes it. It is kept: a guest changes one route at a time, and most are pins."""

    def __init__(self) -> None:
        self._table: Any = ffi.new("struct kvm_irq_routing *", {"entries": 0})
        self._room = 0
        self._has: list[PinRoute | MsiRoute] = []  # entry by entry

    def of(self, routes: Sequence[PinRoute | MsiRoute]) -> Any:
        if len(routes) > self._room:
            self._room = 2 * len(routes)
            self._table, self._has = ffi.new("struct kvm_irq_routing *", {"entries": self._room}), []
        for number, route in enumerate(routes):
            if self._has[number : number + 1] != [route]:
                self._has[number : number + 1] = [route]
                _fill_route(self._table.entries[number], route)
        self._table.nr = len(routes)
        return self._table


def _fill_route(entry: Any, route: PinRoute | MsiRoute) -> None:
    entry.gsi = route.gsi
    if isinstance(route, MsiRoute):
        entry.type = lib.KVM_IRQ_ROUTING_MSI
        message = {"address_lo": route.address & 0xFFFFFFFF, "address_hi": route.address >> 32}
        fill(entry.u.msi, message | {"data": route.data})
    else:
        entry.type = lib.KVM_IRQ_ROUTING_IRQCHIP
        fill(entry.u.irqchip, {"irqchip": CHIPS[route.chip], "pin": route.pin})


class KvmVfio(Descriptor):
    """KVM's knowledge of VFIO: whether DMA is coherent (Documentation/virt/kvm/devices/vfio.rst).

    Since Linux 6.2 the same two attributes are called FILE_ADD and FILE_DEL, and take a device's descriptor as well.
    """

    def add_file(self, file: VfioFile) -> None:
        self._set(lib.KVM_DEV_VFIO_GROUP_ADD, file)

    def remove_file(self, file: VfioFile) -> None:
        self._set(lib.KVM_DEV_VFIO_GROUP_DEL, file)

    def _set(self, attribute: int, file: VfioFile) -> None:
        descriptor = ffi.new("int32_t *", file.fd)
        request = {"group": lib.KVM_DEV_VFIO_GROUP, "attr": attribute}
        request["addr"] = int(ffi.cast("uintptr_t", descriptor))
        ioctl(self.fd, "KVM_SET_DEVICE_ATTR", ffi.new("struct kvm_device_attr *", request))


class Vcpu(Descriptor):
    """`run` must be called by one thread at a time; `kick` by any."""

    def __init__(self, fd: int, run_size: int, machine: Machine) -> None:
        super().__init__(fd)
        made = ffi.new("struct vcpu **")
        try:
            check(lib.vcpu_create(machine.pointer, fd, run_size, made), "mmap of the vCPU")
        except OSError:
            super().close()
            raise
        self._vcpu: Any = made[0]

    @property
    def exits(self) -> int:
        """Returns from KVM_RUN so far."""
        return int(lib.vcpu_exits(self._vcpu))

    def set_cpuid(self, leaves: Sequence[CpuidLeaf]) -> None:
        table = ffi.new("struct kvm_cpuid2 *", {"entries": len(leaves)})
        table.nent = len(leaves)
        for entry, leaf in zip(table.entries, leaves, strict=True):
            entry.function, entry.index, entry.flags, entry.eax, entry.ebx, entry.ecx, entry.edx = leaf
        ioctl(self.fd, "KVM_SET_CPUID2", table)

    def set_sregs(self, changes: Registers) -> None:
        """Those fields that are named, nested ones by nested mappings; the others stay as KVM_GET_SREGS has them."""
        sregs = ffi.new("struct kvm_sregs *")
        ioctl(self.fd, "KVM_GET_SREGS", sregs)
        fill(sregs, changes)
        ioctl(self.fd, "KVM_SET_SREGS", sregs)

    def set_regs(self, changes: Registers) -> None:
        """Those that are named, as in struct kvm_regs; the others become zero."""
        regs = ffi.new("struct kvm_regs *")
        fill(regs, changes)
        ioctl(self.fd, "KVM_SET_REGS", regs)

    def set_msrs(self, msrs: Mapping[int, int]) -> None:
        """Index -> value. KVM stops at the first that it refuses, which the OSError (EINVAL) names."""
        table = ffi.new("struct kvm_msrs *", {"entries": len(msrs)})
        table.nmsrs = len(msrs)
        for entry, (index, value) in zip(table.entries, msrs.items(), strict=True):
            entry.index, entry.data = index, value
        done = ioctl(self.fd, "KVM_SET_MSRS", table)
        if done < len(msrs):  # KVM stops at the first one it does not take
            raise OSError(errno.EINVAL, f"refused MSR {list(msrs)[done]:#x}", "KVM_SET_MSRS")

    def set_local_interrupts(self) -> None:
        """LINT0 takes the PIC's interrupts, LINT1 is NMI, as firmware leaves them."""
        lapic = ffi.new("struct kvm_lapic_state *")
        ioctl(self.fd, "KVM_GET_LAPIC", lapic)
        registers = ffi.cast("uint8_t *", lapic)
        for offset, mode in ((LVT0, DELIVER_EXTERNAL), (LVT1, DELIVER_NMI)):
            ffi.buffer(registers + offset, 4)[:] = mode.to_bytes(4, "little")
        ioctl(self.fd, "KVM_SET_LAPIC", lapic)

    def registers(self) -> dict[str, int]:
        """General and control registers, flat. Only while no thread is inside `run`."""
        regs, sregs = ffi.new("struct kvm_regs *"), ffi.new("struct kvm_sregs *")
        ioctl(self.fd, "KVM_GET_REGS", regs)
        ioctl(self.fd, "KVM_GET_SREGS", sregs)
        return fields(regs[0]) | {"cs_base": sregs.cs.base} | fields(sregs[0])

    def run(self) -> Event:
        """Until something happens that C cannot answer; the interpreter lock is released meanwhile."""
        kind = lib.vcpu_run(self._vcpu)
        return Event(EVENTS[kind], tuple(lib.vcpu_data(self._vcpu, word) for word in range(4)))

    def reply(self, value: int) -> None:
        """What the guest reads, after the event `read` and before the next `run`."""
        lib.vcpu_reply(self._vcpu, value)

    def kick(self) -> None:
        lib.vcpu_kick(self._vcpu)

    def asleep(self) -> bool:
        """It has executed HLT with interrupts off, or was not started (KVM_GET_MP_STATE): no interrupt wakes it.

        If so, it stays out of the guest until `look_over`.
        """
        return bool(lib.vcpu_asleep(self._vcpu, PATIENCE))

    def still_asleep(self) -> bool:
        """No other vCPU has woken it since, by a start-up IPI or a kick (KVM_HC_KICK_CPU)."""
        return bool(lib.vcpu_still_asleep(self._vcpu))

    def look_over(self) -> None:
        lib.vcpu_look_over(self._vcpu)

    def close(self) -> None:
        if self.fd >= 0:
            lib.vcpu_destroy(self._vcpu)
        super().close()
