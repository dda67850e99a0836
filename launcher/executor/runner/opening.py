"""The plan's functions in; devices opened, reset and given to the guest, in the order VFIO wants, out.

Each undo stands on the line after its deed, so that the teardown is the exact reverse, and no call of it fails.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.runner.devices.interrupts import Interrupts
from launcher.executor.runner.devices.passed import PassedDevice
from launcher.executor.runner.devices.placing import AddressMap, Bar
from launcher.executor.runner.devices.routes import Routes
from launcher.executor.runner.devices.traps import Space
from launcher.executor.runner.live import Built, Live, Ram
from launcher.executor.runner.reading import open_regular, size_of
from launcher.executor.runner.resets import reset
from launcher.executor.runner.spaces import Claimed
from launcher.kernel.api import AddressSpaces, BarMapping, Device, RegionInfo
from launcher.kernel.whole import write_whole
from launcher.machine.acpi import intx_gsi
from launcher.machine.function import ROM, PassedFunction
from launcher.machine.pci import CONFIG_SIZE, CONVENTIONAL_CONFIG
from launcher.machine.pieces import pieces
from launcher.machine.policy import INTERRUPT_PIN, Shape
from launcher.plan.steps import BarPlace, OpenDevices, Passed
from launcher.values import Span

ALARMS = ("request", "error")


def open_devices(step: OpenDevices, live: Live) -> None:
    """All descriptors before any reset of a bus, and resets before what the guest will see."""
    (kvm, vm, _, bus), (spaces, maps) = live.the(Built), live.the(Claimed)
    known = vm.create_vfio()
    live.on_undo(known.close)
    for file in spaces.files():
        known.add_file(file)
        live.on_undo(partial(known.remove_file, file))
    opened: dict[Passed, Device] = {}
    for one in step.devices:
        opened[one] = spaces.open_device(one.group, one.address)
        live.on_undo(opened[one].close)
    unreset = reset(tuple(opened.values()), spaces)
    ram = tuple(Span(one.guest, one.size) for one in live.the(Ram).ranges)
    # Those behind RAM's, which has one for each range; the lowest is taken first.
    slots = list(reversed(range(len(ram), kvm.check_extension("nr_memslots"))))
    where = AddressMap(vm, bus.traps, ram, slots, maps if len(step.devices) > 1 else ())
    several = {one.guest.device for one in step.devices if one.guest.function}
    made = []
    for one, device in opened.items():
        passed = _prepare(one, device, one.guest.device in several, where, live)
        made.append(passed)
        if device in unreset:
            passed.notes.say("not reset")
    live.on_undo(partial(_reset_again, [device for device in opened.values() if device not in unreset], spaces))
    routes = Routes(vm, kvm.check_extension("irq_routing"))
    for passed in made:
        _connect(passed, routes, live)


def _prepare(one: Passed, device: Device, several: bool, where: AddressMap, live: Live) -> PassedDevice:
    """All that is asked of the device before it is the guest's."""
    config = device.read_config(0, CONFIG_SIZE)
    if len(config) < CONVENTIONAL_CONFIG or config[:4] == b"\xff" * 4:
        raise _failed("E523", f"{one.alias}: {one.address} does not answer", "see `dmesg | grep vfio`")
    rom = _rom(one, device, live)
    shape = Shape(
        config=config[:CONVENTIONAL_CONFIG] if _says_nothing(config[CONVENTIONAL_CONFIG:]) else config,
        bars=one.bars,
        rom=rom.size if rom else 0,
        multifunction=several,
        intx=device.irq("intx").vectors > 0,
    )
    function = PassedFunction(shape)
    found = {bar.index: _bar(bar, one, device, function, live) for bar in one.bars}
    if rom:
        found[ROM] = rom
    return PassedDevice(one, device, function, found, where)


def _says_nothing(extended: bytes) -> bool:
    return not any(extended) or extended[:4] == b"\xff" * 4


def _bar(planned: BarPlace, one: Passed, device: Device, function: PassedFunction, live: Live) -> Bar:
    region = device.region(planned.index)
    if region.size < planned.size:  # what is behind it belongs to another region
        fact = f"{one.alias}: BAR {planned.index} of {one.address} has {region.size} of {planned.size} bytes"
        raise _failed("E523", fact, "see `dmesg | grep vfio`")
    tables = [span if bar == planned.index else None for bar, span in function.msix_spans() or ()]
    table, pending = tables if tables else (None, None)
    space: Space = "port" if planned.kind == "io" else "memory"
    maps: dict[Span, BarMapping] = {}
    for piece in pieces(planned.size, _mappable(region) if space == "memory" else (), table, pending):
        if piece.served == "mmap" and (mapping := _map(device, region.offset + piece.span.start, piece.span.size)):
            live.on_undo(mapping.close)
            maps[piece.span] = mapping
    # What the kernel did not map is trapped.
    parts = pieces(planned.size, maps, table, pending)
    return Bar(planned.index, space, planned.size, device.fd, region.offset, parts, maps, planned)


def _map(device: Device, at: int, size: int) -> BarMapping | None:
    with suppress(OSError):
        return device.map(at, size)
    return None


def _mappable(region: RegionInfo) -> tuple[Span, ...]:
    if not region.mappable or not region.size:
        return ()
    return (Span(0, region.size),) if region.sparse is None else region.sparse


def _rom(one: Passed, device: Device, live: Live) -> Bar | None:
    """The function's own is read by VFIO when the guest reads it; a file is kept in memory."""
    if one.rom is True:
        region = device.region(ROM)
        parts = pieces(region.size, (), None, None) if region.size else ()
        return Bar(ROM, "memory", region.size, device.fd, region.offset, parts) if parts else None
    if one.rom is False:
        return None
    file = live.once(f"rom-{one.alias}", partial(_keep_rom, Path(one.rom)))
    size = size_of(file)
    return Bar(ROM, "memory", size, file, 0, pieces(size, (), None, None))


def _keep_rom(path: Path) -> int:
    with os.fdopen(open_regular(str(path)), "rb") as given:
        image = given.read()
    file = os.memfd_create(path.name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    write_whole(file, image.ljust(max(1 << (len(image) - 1).bit_length(), 2048), b"\xff"), 0, str(path))
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return file


def _connect(passed: PassedDevice, routes: Routes, live: Live) -> None:
    built = live.the(Built)
    pin = passed.read_config(INTERRUPT_PIN, 1)[0]
    gsi = intx_gsi(passed.step.guest.device, max(pin, 1))
    live.on_undo(passed.quiet)
    passed.begin(Interrupts(passed.device, built.vm, routes, live.kernel.eventfd, gsi, passed.notes.say_about))
    for name in ALARMS:
        _watch(passed, name, live)
    built.machine.ask_function(passed.slot)
    built.bus.add(passed)
    live.on_undo(partial(built.bus.remove, passed))


def _watch(passed: PassedDevice, name: str, live: Live) -> None:
    if not passed.device.irq(name).vectors:
        return
    event = live.kernel.eventfd()
    live.on_undo(event.close)
    passed.device.set_irq_events(name, 0, (event.fd,))
    live.on_undo(partial(passed.device.switch_off_irqs, name))
    passed.alarms[name] = event


def _reset_again(devices: list[Device], spaces: AddressSpaces) -> None:
    """While all are open; those that could not be reset on the way in are not asked again."""
    reset(devices, spaces)


def _failed(code: str, message: str, *help_: str) -> StepFailed:
    return StepFailed(Diagnostic(code, message, help=help_))
