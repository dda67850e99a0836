"""A Step in, its deed done, its undo pushed: one function for each kind of step. OSError when the kernel refuses."""

from __future__ import annotations

from collections.abc import Callable
from errno import EFAULT
from functools import partial
from queue import SimpleQueue
from time import sleep
from typing import Any

from launcher.executor.runner.devices.bus import Bus
from launcher.executor.runner.devices.placing import AddressMap, Memslots
from launcher.executor.runner.devices.routes import Routes
from launcher.executor.runner.devices.traps import Traps
from launcher.executor.runner.live import Built, Described, Live, Loaded, Ram
from launcher.executor.runner.opening import open_devices
from launcher.executor.runner.reading import read_file
from launcher.executor.runner.spaces import map_dma, open_groups
from launcher.kernel.api import Event, Kvm, Trap, Vcpu
from launcher.kernel.threads import Running, start
from launcher.machine.board import Layout, Processor
from launcher.machine.pci import HOST_BRIDGE
from launcher.machine.start import Boot
from launcher.plan.steps import (
    CreateVm,
    DescribeMachine,
    GiveMemory,
    LoadInitrd,
    LoadKernel,
    MapDma,
    OpenDevices,
    OpenGroups,
    RunVcpus,
    Step,
    TakeMemory,
)
from launcher.values import Span

Told = Callable[[int, Event | Exception], None]  # vCPU index, why it came back

MOST_FAULTS, A_MOMENT = 10_000, 0.001  # of KVM_RUN on one vCPU without an exit between, and seconds between two


def take_memory(step: TakeMemory, live: Live) -> None:
    memory = live.kernel.take_memory(step.size, step.page_size, step.node)
    live.on_undo(memory.close)
    live.banks[step.bank] = memory
    if step.populate:
        memory.populate(len(live.cpus), lambda done: live.progress(done, step.size))


def create_vm(_: CreateVm, live: Live) -> None:
    """KVM wants its chips before the vCPUs, which get their local APICs then (Documentation/virt/kvm/api.rst,
    KVM_CREATE_IRQCHIP), and the addresses of its own pages before the first vCPU (KVM_SET_IDENTITY_MAP_ADDR)."""
    kvm, board, layout = live.kvm or _open_kvm(live), live.board, live.board.layout
    vm = kvm.create_vm()
    live.on_undo(vm.close)
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
    bus = Bus(Traps(machine, ports, (Trap(layout.ecam.start, layout.ecam.size, "ecam"),)))
    machine.set_function(HOST_BRIDGE, board.host_bridge)
    live.make(Built(kvm, vm, machine, bus, routes))


def _open_kvm(live: Live) -> Kvm:
    """Once for all lives: a confined runner can open nothing."""
    kvm = live.kvm = live.kernel.open_kvm()
    live.undo.push(live.step, kvm.close, stays=True)
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
    live.make(Loaded(step, how, image[: how.HEAD_SIZE]))


def load_initrd(step: LoadInitrd, live: Live) -> None:
    live.the(Ram).write(step.guest, read_file(step.path, step.sha256, live))
    live.initrd = Span(step.guest, step.size)


def describe_machine(step: DescribeMachine, live: Live) -> None:
    """Firmware tables, and what the boot protocol wants to find; processors speak for themselves when they run."""
    ram, kernel = live.the(Ram), live.the(Loaded)
    tables = live.board.tables(step.processors, step.window)
    entries = live.board.memory_map(ram.ranges, step.reserved)
    boot = Boot(kernel.head, entries, kernel.step.cmdline, live.initrd, tables[0].guest)
    for patch in (*tables, *kernel.start.patches(boot)):
        ram.write(patch.guest, patch.data)
    live.make(Described(step, live.board.vcpu_ids(step.processors)))


def run_vcpus(step: RunVcpus, live: Live, told: Told) -> None:
    """Create them all, put the first one at the kernel's entry, start their threads. Any return of any is told."""
    for index in range(step.count):
        _create_vcpu(index, live)
    kernel, confined = live.the(Loaded), SimpleQueue[OSError | None]()
    live.vcpus[0].set_sregs(kernel.start.first_sregs())
    live.vcpus[0].set_regs(kernel.start.first_regs(kernel.step.entry))
    for index, vcpu in enumerate(live.vcpus):
        if step.pin:  # a thread begins where the one that starts it is
            live.kernel.run_on({step.pin[index]})
        thread = start(partial(_run, index, live, told, confined))
        live.on_undo(partial(_stop, vcpu, thread))
    if step.pin:
        live.kernel.run_on(live.cpus)
    for error in [confined.get() for _ in live.vcpus]:
        if error is not None:
            raise error


def _create_vcpu(index: int, live: Live) -> None:
    built, told = live.the(Built), live.the(Described)
    vcpu = built.vm.create_vcpu(told.ids[index], built.machine)
    live.on_undo(vcpu.close)
    live.vcpus.append(vcpu)
    deadline = bool(built.kvm.check_extension("tsc_deadline_timer"))
    processor = Processor(told.step.processors, index, told.step.nested, deadline, built.kvm.brand())
    vcpu.set_cpuid(live.board.cpuid(built.kvm.supported_cpuid(), processor))
    vcpu.set_msrs(live.board.first_msrs)
    vcpu.set_local_interrupts()


def _run(index: int, live: Live, told: Told, confined: SimpleQueue[OSError | None]) -> None:
    """On a thread of its own, which is shut in more than the others, until something happens that is not an access."""
    bus = live.the(Built).bus
    try:
        live.kernel.confine_vcpu(devices=bool(bus.functions))
    except OSError as error:
        confined.put(error)
        return
    confined.put(None)
    try:
        told(index, _until_event(live.vcpus[index], bus))
    except Exception as error:  # the outermost function of the thread: the main thread raises it
        told(index, error)


def _until_event(vcpu: Vcpu, bus: Bus) -> Event:
    faults, last = 0, 0
    while True:
        event = vcpu.run()
        if event.kind == "read":
            vcpu.reply(bus.read(*event.data[:3]))
        elif event.kind == "write":
            bus.write(*event.data)
        elif event.kind == "error" and event.data[0] == EFAULT and bus.functions and faults < MOST_FAULTS:
            # A BAR that the device does not answer at just now; whoever makes it so takes its memslot away.
            faults, last = faults + 1 if vcpu.exits == last + 1 else 1, vcpu.exits
            bus.faults += 1
            sleep(A_MOMENT)
        else:
            return event


def _stop(vcpu: Vcpu, thread: Running) -> None:
    vcpu.kick()
    thread.join()


PERFORM: dict[type[Step], Callable[[Any, Live], None]] = {
    TakeMemory: take_memory,
    OpenGroups: open_groups,
    MapDma: map_dma,
    CreateVm: create_vm,
    GiveMemory: give_memory,
    OpenDevices: open_devices,
    LoadKernel: load_kernel,
    LoadInitrd: load_initrd,
    DescribeMachine: describe_machine,
}
