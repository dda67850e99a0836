"""The plan's virtio functions in; on the guest's bus, each with its engine, out.

Engines stay when the guest reboots: a confined runner could open none, and nobody has to tell them of the same memory
again.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.runner.devices.interrupts import Interrupts, Pin
from launcher.executor.runner.devices.notes import Notes, cause
from launcher.executor.runner.devices.placing import AddressMap, Bar, Placing
from launcher.executor.runner.devices.service import Kicks, VirtioService
from launcher.executor.runner.devices.serving import Engine, UserEngine, VhostNet, VhostVsock
from launcher.executor.runner.devices.virtio import BAR, VirtioDevice
from launcher.executor.runner.live import Built, EngineGone, Engines, Live, Ram
from launcher.kernel.api import Eventfd, MemoryPart, Vhost, VhostUser
from launcher.kernel.vhost_user import MOST_REGIONS
from launcher.machine.function import PassedFunction
from launcher.machine.policy import Shape
from launcher.machine.virtio import BAR_SIZE, offerable, pieces
from launcher.machine.virtio_config import VirtioConfig
from launcher.plan.steps import BarPlace
from launcher.plan.virtio import AddVirtio, Virtio
from launcher.typed import TypeVar

Opened = TypeVar("Opened", Vhost, VhostUser)


def add_virtio(step: AddVirtio, live: Live) -> None:
    memory = live.the(Ram).parts()
    engines = live.find(Engines)
    if engines is None:
        engines = Engines()
        live.make(engines)
    for one in step.functions:
        if one.alias not in engines.by_alias:
            engines.by_alias[one.alias] = _open(one, memory, live)
    for one in step.functions:
        _add(one, engines.by_alias[one.alias], memory, live)


def _open(one: Virtio, memory: tuple[MemoryPart, ...], live: Live) -> Engine:
    try:
        return _OPEN[one.engine](one, memory, live)
    except ConnectionResetError as error:
        raise EngineGone(one.alias, cause(error)) from error
    except OSError as error:
        raise StepFailed(Diagnostic("E570", f"{one.alias}: {cause(error)}", help=_HELP[one.engine])) from error


def _vhost_net(one: Virtio, memory: tuple[MemoryPart, ...], live: Live) -> Engine:
    return VhostNet(one, _kept(live.kernel.open_vhost("net"), live), live.kernel.tap(one.alias), memory)


def _vhost_vsock(one: Virtio, memory: tuple[MemoryPart, ...], live: Live) -> Engine:
    return VhostVsock(one, _kept(live.kernel.open_vhost("vsock"), live), memory)


def _vhost_user(one: Virtio, memory: tuple[MemoryPart, ...], live: Live) -> Engine:
    if len(memory) > MOST_REGIONS:  # or its driver would find that out, in a guest that runs
        fact = f"guest memory is in {len(memory)} pieces, and an engine takes {MOST_REGIONS}: have fewer banks"
        raise OSError(errno.E2BIG, fact, "SET_MEM_TABLE")
    return UserEngine(one, _kept(live.kernel.vhost_user(one.alias), live), memory, lambda: live.ends)


def _kept(opened: Opened, live: Live) -> Opened:
    """For all lives."""
    live.undo.push(live.step, opened.close, stays=True)
    return opened


_OPEN: dict[str, Callable[[Virtio, tuple[MemoryPart, ...], Live], Engine]] = {
    "vhost-net": _vhost_net,
    "vhost-vsock": _vhost_vsock,
    "vhost-user": _vhost_user,
}
_HELP = {
    "vhost-net": ("`vmlaunch doctor` says what /dev/vhost-net needs",),
    "vhost-vsock": (
        "`vmlaunch doctor` says what /dev/vhost-vsock needs",
        "`vsock: true` takes a context id that is free",
    ),
    "vhost-user": ("the report has the engine's last words",),
}


def _add(one: Virtio, engine: Engine, memory: tuple[MemoryPart, ...], live: Live) -> None:
    built, notes = live.the(Built), Notes()
    devfn = one.guest.device * 8 + one.guest.function
    registers = built.machine.add_virtio(devfn, offerable(one.kind, engine.features), engine.queues, engine.config)
    config = VirtioConfig(one.kind, registers.vectors)
    planned = BarPlace(BAR, "mem32", False, BAR_SIZE, one.bar, "trap")
    shape = Shape(config.image(), (planned,), 0, multifunction=False, intx=False)
    function = PassedFunction(shape, partial(built.machine.add_msix, devfn))
    bar = Bar(BAR, "memory", BAR_SIZE, -1, 0, pieces(registers.vectors), planned=planned)
    placing = Placing(devfn, {BAR: bar}, live.the(AddressMap), notes.say)
    kicks = Kicks(built.vm, [_eventfd(live) for _ in range(engine.queues)])
    service = VirtioService(config, registers, engine, kicks, memory, notes.say)
    device = VirtioDevice(one, function, placing, service, notes)
    live.on_undo(device.quiet)
    device.begin(Interrupts(service, built.vm, built.routes, live.kernel.eventfd, Pin(), notes.say_about))
    if isinstance(engine, UserEngine):
        device.alarms["gone"] = engine.session
    built.bus.add(device)
    live.on_undo(partial(built.bus.remove, device))
    if isinstance(engine, UserEngine):  # or its keeper would see it go in a VM that has not ended
        live.on_undo(live.let_out)


def _eventfd(live: Live) -> Eventfd:
    made = live.kernel.eventfd()
    live.on_undo(made.close)
    return made
