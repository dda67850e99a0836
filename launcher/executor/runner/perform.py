"""A Step in, its deed done, its undo pushed: one function for each kind of step. OSError when the kernel refuses.

RunVcpus, the last, is in vcpus.
"""

from __future__ import annotations

from collections.abc import Callable

from launcher.executor.runner.devices.bus import Bus
from launcher.executor.runner.devices.placing import AddressMap, Memslots
from launcher.executor.runner.devices.routes import Routes
from launcher.executor.runner.devices.traps import Traps
from launcher.executor.runner.live import Built, Described, Live, Loaded, Ram, Started
from launcher.executor.runner.opening import open_devices
from launcher.executor.runner.reading import read_file
from launcher.executor.runner.spaces import map_dma, open_groups, open_iommufd
from launcher.kernel.api import Kvm, Trap
from launcher.machine.board import Layout
from launcher.machine.pci import HOST_BRIDGE
from launcher.machine.start import Boot
from launcher.plan.firmware import LoadFirmware
from launcher.plan.step import Step
from launcher.plan.steps import (
    CreateVm,
    DescribeMachine,
    GiveMemory,
    LoadInitrd,
    LoadKernel,
    MapDma,
    OpenDevices,
    OpenGroups,
    OpenIommufd,
    TakeMemory,
)
from launcher.plan.virtio import AddVirtio
from launcher.typed import Any
from launcher.values import Span


def take_memory(step: TakeMemory, live: Live) -> None:
    late = not step.populate
    memory = live.kernel.take_memory(step.size, step.page_size, step.node, shared=step.shared, late=late)
    live.on_undo_late(memory.close)
    live.banks[step.bank] = memory
    if step.populate:
        memory.populate(len(live.cpus), lambda done: live.progress(done, step.size))


def create_vm(_: CreateVm, live: Live) -> None:
    """KVM wants its chips before the vCPUs, which get their local APICs then (Documentation/virt/kvm/api.rst,
    KVM_CREATE_IRQCHIP), and the addresses of its own pages before the first vCPU (KVM_SET_IDENTITY_MAP_ADDR)."""
    kvm, board, layout = live.kvm or _open_kvm(live), live.board, live.board.layout
    vm = kvm.create_vm()
    live.on_undo_late(vm.close)
    vm.set_tss_address(layout.tss)
    vm.set_identity_map_address(layout.identity_map)
    vm.create_interrupt_controllers()
    vm.create_timer()
    machine = vm.create_machine(board.serial_gsi, board.power_gsi)
    live.on_undo(machine.close)
    machine.attach(live.console)
    routes = Routes(vm, board, kvm.check_extension("irq_routing"))
    routes.commit()
    ports = tuple(Trap(span.start, span.size, device) for span, device in board.ports)
    bus = Bus(machine, Traps(machine, ports, (Trap(layout.ecam.start, layout.ecam.size, "ecam"),)))
    machine.set_function(HOST_BRIDGE, board.host_bridge)
    live.make(Built(kvm, vm, machine, bus, routes))


def _open_kvm(live: Live) -> Kvm:
    """Once for all lives: a confined runner can open nothing."""
    kvm = live.kvm = live.kernel.open_kvm()
    live.on_undo_late(kvm.close, stays=True)
    return kvm


def give_memory(step: GiveMemory, live: Live) -> None:
    built = live.the(Built)
    for slot, one in enumerate(step.ranges):
        built.vm.set_memory_region(slot, one.guest, live.banks[one.bank], one.offset, one.size)
    live.make(Ram(live.banks, step.ranges))
    live.make(_address_map(built, step, live.board.layout))
    live.on_undo(lambda: None)  # memslots go with the VM


def _address_map(built: Built, step: GiveMemory, layout: Layout) -> AddressMap:
    """BARs have the memslots behind RAM's, which has one for each range."""
    ram = tuple(Span(one.guest, one.size) for one in step.ranges)
    slots = Memslots(len(ram), built.kvm.check_extension("nr_memslots"))
    return AddressMap(built.vm, built.bus.traps, ram, layout, slots)


def load_kernel(step: LoadKernel, live: Live) -> None:
    image, ram = read_file(step.path, step.sha256, live), live.the(Ram)
    for part in step.parts:
        ram.write(part.guest, image[part.offset : part.offset + part.file_size])
        if live.past is not None:  # memory of an earlier life; before the first one it is zero
            ram.clear(part.guest + part.file_size, part.memory_size - part.file_size)
    how = live.board.starts[step.protocol]
    live.make(Loaded(step, how, bytes(image[step.head : step.head + how.HEAD_SIZE])))


def load_initrd(step: LoadInitrd, live: Live) -> None:
    image = read_file(step.path, step.sha256, live)
    live.the(Ram).write(step.guest, image[step.offset : step.offset + step.size])
    live.initrd = Span(step.guest, step.size)


def describe_machine(step: DescribeMachine, live: Live) -> None:
    """Firmware tables, and what the boot protocol wants to find; processors speak for themselves when they run."""
    if live.find(Started):
        from launcher.executor.runner import firmware

        firmware.describe(step, live)
        return
    ram, kernel = live.the(Ram), live.the(Loaded)
    tables = live.board.tables(step.processors, step.window)
    entries = live.board.memory_map(ram.ranges, step.reserved)
    boot = Boot(kernel.head, entries, kernel.step.cmdline, live.initrd, tables[0].guest)
    for patch in (*tables, *live.board.identity(step.name, step.uuid), *kernel.start.patches(boot)):
        ram.write(patch.guest, patch.data)
    live.make(Described(step, live.board.vcpu_ids(step.processors)))


def add_virtio(step: AddVirtio, live: Live) -> None:
    from launcher.executor.runner import adding  # few VMs have any

    adding.add_virtio(step, live)


def load_firmware(step: LoadFirmware, live: Live) -> None:
    from launcher.executor.runner import firmware  # most guests' kernels start by themselves

    firmware.load_firmware(step, live)


PERFORM: dict[type[Step], Callable[[Any, Live], None]] = {
    TakeMemory: take_memory,
    OpenGroups: open_groups,
    OpenIommufd: open_iommufd,
    MapDma: map_dma,
    CreateVm: create_vm,
    GiveMemory: give_memory,
    OpenDevices: open_devices,
    AddVirtio: add_virtio,
    LoadKernel: load_kernel,
    LoadInitrd: load_initrd,
    LoadFirmware: load_firmware,
    DescribeMachine: describe_machine,
}
