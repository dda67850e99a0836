"""vCPUs, each on a thread: created, started, stopped; and Python's share of the run loop, what C does not serve."""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable
from errno import EFAULT
from functools import partial
from time import sleep

from launcher.executor.runner.devices.bus import Bus
from launcher.executor.runner.live import Built, Described, Engines, Live, Loaded, Started
from launcher.kernel.api import CpuidLeaf, Event, Vcpu
from launcher.kernel.threads import Running, start
from launcher.machine.board import Processor
from launcher.plan.steps import RunVcpus
from launcher.row import NamedTuple

Told = Callable[[int, Event | Exception], None]  # vCPU index, why it came back

MOST_FAULTS, A_MOMENT = 10_000, 0.001  # of KVM_RUN on one vCPU without an exit between, and seconds between two


class Offered(NamedTuple):
    """What KVM offers every vCPU: to ask it takes as long as to make one."""

    leaves: list[CpuidLeaf]
    brand: tuple[CpuidLeaf, ...]
    deadline: bool


def run_vcpus(step: RunVcpus, live: Live, told: Told) -> None:
    """Create them all, put the first one at the kernel's entry, start their threads. Any return of any is told."""
    kvm = live.the(Built).kvm
    offered = Offered(kvm.supported_cpuid(), kvm.brand(), bool(kvm.check_extension("tsc_deadline_timer")))
    for index in range(step.count):
        _create_vcpu(index, offered, live)
    confined = SimpleQueue[OSError | None]()
    if kernel := live.find(Loaded):
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


def _create_vcpu(index: int, offered: Offered, live: Live) -> None:
    built, told = live.the(Built), live.the(Described)
    vcpu = built.vm.create_vcpu(told.ids[index], built.machine)
    live.on_undo(vcpu.close)
    live.vcpus.append(vcpu)
    processor = Processor(told.step.processors, index, told.step.nested, offered.deadline, offered.brand)
    vcpu.set_cpuid(live.board.cpuid(offered.leaves, processor))
    if live.find(Started):  # firmware sets up the rest
        vcpu.set_msrs(live.board.platform().FIRST_MSRS)
        return
    vcpu.set_msrs(live.board.first_msrs)
    vcpu.set_local_interrupts()


def _run(index: int, live: Live, told: Told, confined: SimpleQueue[OSError | None]) -> None:
    """On a thread of its own, which is shut in more than the others, until something happens that is not an access."""
    bus = live.the(Built).bus
    try:
        live.kernel.confine_vcpu(devices=bus.asks, virtio=bool(live.find(Engines)))
    except OSError as error:
        confined.put(error)
        return
    confined.put(None)
    try:
        told(index, _serve_until_event(live.vcpus[index], bus))
    except Exception as error:  # the outermost function of the thread: the main thread raises it
        told(index, error)


def _serve_until_event(vcpu: Vcpu, bus: Bus) -> Event:
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
