"""The plan's groups and functions in, VFIO's descriptors out: container, DMA, devices, in the order VFIO wants.

Each undo stands on the line after its deed, so that the teardown is the exact reverse, and no call of it fails.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.runner.devices.interrupts import Interrupts
from launcher.executor.runner.devices.passed import Bar, PassedDevice, Place
from launcher.executor.runner.devices.routes import Routes
from launcher.executor.runner.devices.traps import Space
from launcher.executor.runner.dma import DmaSpace
from launcher.executor.runner.live import Live
from launcher.executor.runner.reading import open_regular, size_of
from launcher.executor.runner.resets import reset
from launcher.kernel.api import BarMapping, Container, Device, Group, RegionInfo
from launcher.kernel.whole import write_whole
from launcher.machine.function import ROM, PassedFunction
from launcher.machine.pci import CONFIG_SIZE, CONVENTIONAL_CONFIG
from launcher.machine.pieces import pieces
from launcher.machine.policy import INTERRUPT_PIN, Shape
from launcher.plan.steps import BarPlace, MapDma, OpenDevices, OpenGroups, Passed
from launcher.values import Span

ALARMS = ("request", "error")


def open_groups(step: OpenGroups, live: Live) -> None:
    """All groups before any container: a second descriptor of one would be EBUSY."""
    for number in step.groups:
        group = live.groups[number] = live.kernel.open_group(number)
        live.on_undo(group.close)
        if not group.viable():
            raise _failed("E521", f"IOMMU group {number} is not usable: the host holds a part of it", "plan again")
    for group in live.groups.values():
        _join(group, live)


def _join(group: Group, live: Live) -> None:
    """EINVAL: this group does not fit what is there, and gets a container of its own."""
    for space in live.containers:
        try:
            group.set_container(space.container)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            continue
        live.on_undo(group.unset_container)
        space.groups.append(group.number)
        return
    container = live.kernel.open_container()
    live.on_undo(container.close)
    group.set_container(container)
    live.on_undo(group.unset_container)
    container.set_iommu()
    space = DmaSpace(container)
    space.groups.append(group.number)
    live.containers.append(space)


def map_dma(step: MapDma, live: Live) -> None:
    """Each byte of RAM once for each container."""
    for space in live.containers:
        _check_limits(step, space.container)
        for one in step.ranges:
            space.map_ram(one, live.banks[one.bank])
            live.on_undo(partial(space.unmap, Span(one.guest, one.size)))


def _check_limits(step: MapDma, container: Container) -> None:
    """By name, before any map."""
    ranges = container.limits().ranges
    for one in step.ranges:
        span = Span(one.guest, one.size)
        if ranges and not any(free.covers(span) for free in ranges):
            raise _failed("E522", f"the IOMMU does not translate all of {span}, where guest RAM is", "plan again")


def open_devices(step: OpenDevices, live: Live) -> None:
    """All descriptors before any reset of a bus, and resets before what the guest will see."""
    assert live.kvm is not None
    assert live.vm is not None
    assert live.bus is not None
    known = live.vm.create_vfio()
    live.on_undo(known.close)
    for group in live.groups.values():
        known.add_group(group)
        live.on_undo(partial(known.remove_group, group))
    opened: dict[Passed, Device] = {}
    for one in step.devices:
        opened[one] = live.groups[one.group].open_device(one.address)
        live.on_undo(opened[one].close)
    unreset = reset(tuple(opened.values()), live.groups)
    ram = tuple(Span(one.guest, one.size) for one in live.ranges)
    # Those behind RAM's, which has one for each range; the lowest is taken first.
    slots = list(reversed(range(len(ram), live.kvm.check_extension("nr_memslots"))))
    place = Place(live.vm, live.bus.traps, live.containers, ram, live.board.layout, slots, len(step.devices))
    several = {one.guest.device for one in step.devices if one.guest.function}
    made = []
    for one, device in opened.items():
        passed = _prepare(one, device, one.guest.device in several, place, live)
        made.append(passed)
        if device in unreset:
            passed.note("not reset")
    live.on_undo(partial(_reset_again, [device for device in opened.values() if device not in unreset], live))
    routes = Routes(live.vm, live.board, live.kvm.check_extension("irq_routing"))
    for passed in made:
        _connect(passed, routes, live)


def _prepare(one: Passed, device: Device, several: bool, place: Place, live: Live) -> PassedDevice:
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
    return PassedDevice(one, device, function, found, place)


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
    assert live.vm is not None
    assert live.bus is not None
    assert live.machine is not None
    pin = passed.read_config(INTERRUPT_PIN, 1)[0]
    gsi = live.board.intx_gsi(passed.step.guest.device, max(pin, 1))
    live.on_undo(passed.quiet)
    passed.begin(Interrupts(passed.device, live.vm, routes, live.kernel.eventfd, gsi, passed.note_about))
    for name in ALARMS:
        _watch(passed, name, live)
    live.machine.ask_function(passed.slot)
    live.bus.add(passed)
    live.on_undo(partial(live.bus.remove, passed))


def _watch(passed: PassedDevice, name: str, live: Live) -> None:
    if not passed.device.irq(name).vectors:
        return
    event = live.kernel.eventfd()
    live.on_undo(event.close)
    passed.device.set_irq_events(name, 0, (event.fd,))
    live.on_undo(partial(passed.device.switch_off_irqs, name))
    passed.alarms[name] = event


def _reset_again(devices: list[Device], live: Live) -> None:
    """While all are open; those that could not be reset on the way in are not asked again."""
    reset(devices, live.groups)


def _failed(code: str, message: str, *help_: str) -> StepFailed:
    return StepFailed(Diagnostic(code, message, help=help_))
