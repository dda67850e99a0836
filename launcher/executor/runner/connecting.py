"""A prepared device in; on the guest's bus, its interrupts tied to the guest and its alarms to the runner, out."""

from __future__ import annotations

from functools import partial

from launcher.executor.runner.devices.interrupts import ByHand, Interrupts, Pin
from launcher.executor.runner.devices.passed import PassedDevice
from launcher.executor.runner.live import Built, Live
from launcher.kernel.api import Eventfd
from launcher.machine.policy import INTERRUPT_PIN
from launcher.plan.steps import PassedMdev

ALARMS = ("request", "error")


def connect(passed: PassedDevice, live: Live) -> None:
    """Undone in reverse: the function leaves the bus, its alarms end, then its interrupts and BARs do."""
    built = live.the(Built)
    pin = passed.read_config(INTERRUPT_PIN, 1)[0]
    gsi = live.board.intx_gsi(passed.step.guest.device, max(pin, 1))
    ends = _end_of_interrupt(passed, live)
    live.on_undo(passed.quiet)
    make, note = live.kernel.eventfd, passed.notes.say_about
    passed.begin(Interrupts(passed.device, built.vm, built.routes, make, Pin(gsi, ends), note))
    for name in ALARMS:
        _watch(passed, name, live)
    built.bus.add(passed)
    live.on_undo(partial(built.bus.remove, passed))


def _end_of_interrupt(passed: PassedDevice, live: Live) -> Eventfd | None:
    """For who may not be able to wait for it; None: it is vfio-pci, or like it."""
    if not isinstance(passed.step, PassedMdev) or not passed.device.irq("intx").vectors:
        return None
    ends = live.kernel.eventfd()
    live.on_undo(ends.close)
    passed.alarms["line"] = ByHand(ends, passed.device)
    return ends


def _watch(passed: PassedDevice, name: str, live: Live) -> None:
    if not passed.device.irq(name).vectors:
        return
    event = live.kernel.eventfd()
    live.on_undo(event.close)
    passed.device.set_irq_events(name, 0, (event.fd,))
    live.on_undo(partial(passed.device.switch_off_irqs, name))
    passed.alarms[name] = event
