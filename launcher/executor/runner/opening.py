"""The plan's functions in; devices opened, reset and on the guest's bus, in the order VFIO wants, out.

Each undo stands on the line after its deed, so that the teardown is the exact reverse, and no call of it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from errno import EAGAIN, ENODEV
from functools import partial

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.runner.closing import Closing, ToldKvm
from launcher.executor.runner.connecting import connect
from launcher.executor.runner.devices.dma import DmaMaps
from launcher.executor.runner.devices.notes import Notes
from launcher.executor.runner.devices.passed import PassedDevice
from launcher.executor.runner.devices.placing import AddressMap, Placing
from launcher.executor.runner.leaving import leave_as_found
from launcher.executor.runner.live import Built, Live
from launcher.executor.runner.mediated import Taken, bars_of
from launcher.executor.runner.regions import bar_of, rom_of, share
from launcher.executor.runner.resets import reset
from launcher.executor.runner.spaces import OpenedGroups
from launcher.kernel.api import AddressSpaces, Device
from launcher.machine.capabilities import HEADER
from launcher.machine.function import ROM, PassedFunction
from launcher.machine.pci import CONFIG_SIZE, CONVENTIONAL_CONFIG
from launcher.machine.policy import INTERRUPT_PIN, Shape
from launcher.plan.steps import OpenDevices, Passed, PassedMdev
from launcher.record import replace

# What the kernel says of a device that it is taking from its driver. VFIO_DEVICE_RESET does not wait until it has.
TAKEN = {ENODEV: "has taken", EAGAIN: "is taking"}


def open_devices(step: OpenDevices, live: Live) -> None:
    """All descriptors before any reset of a bus, and resets before what the guest will see."""
    spaces = live.the(OpenedGroups).spaces
    closing = Closing(spaces, _tell_kvm(spaces, live), live)
    for one in step.devices:
        live.on_undo(partial(closing.wait, one))
    live.on_undo(closing.meanwhile)
    opened: dict[Passed | PassedMdev, Device] = {}
    for one in step.devices:
        opened[one] = _open(one, spaces, live)
        live.on_undo(partial(closing.close, one, opened[one]))
    unreset = reset(tuple(opened.values()), spaces)
    several = {one.guest.device for one in step.devices if one.guest.function}
    peers = live.the(OpenedGroups).maps if len(opened) > 1 else ()
    made = []
    taken: Taken = {"port": [], "memory": []}
    for one, device in opened.items():
        shape = _shape(one, device, one.guest.device in several, taken, live)
        passed = _prepare(one, device, shape, peers, live)
        made.append(passed)
        if device in unreset:
            passed.notes.say("not reset")
    live.on_undo(partial(closing.silence, made))
    live.on_undo(partial(_reset_again, [device for device in opened.values() if device not in unreset], spaces))
    for passed in made:
        connect(passed, live)


def _open(one: Passed | PassedMdev, spaces: AddressSpaces, live: Live) -> Device:
    try:
        return spaces.open_device(_group(one, live), one.address)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        fact = f"{one.alias}: the host {TAKEN[error.errno]} {one.address} back: {error.strerror} ({error.filename})"
        raise StepFailed(Diagnostic("E524", fact, help=("plan again",))) from error


def _group(one: Passed | PassedMdev, live: Live) -> int:
    if one.group is not None:
        return one.group
    assert isinstance(one, PassedMdev)
    return live.the(OpenedGroups).made[one.address]


def _tell_kvm(spaces: AddressSpaces, live: Live) -> ToldKvm:
    told = ToldKvm(live.the(Built).vm.create_vfio(), ExitStack())
    live.on_undo_late(told.vfio.close)
    live.on_undo_late(live.let_out)
    live.on_undo(told.files.close)
    for file in spaces.files():
        told.vfio.add_file(file)
        told.files.callback(told.vfio.remove_file, file)
    return told


def _shape(one: Passed | PassedMdev, device: Device, several: bool, taken: Taken, live: Live) -> Shape:
    """All that is asked of the device before it is the guest's."""
    config = _config(one, device)
    if live.the(OpenedGroups).spaces.keeps_devices:
        live.on_undo(partial(leave_as_found, device, config))
    return Shape(
        config=config,
        bars=one.bars if isinstance(one, Passed) else bars_of(one, device, config, taken),
        rom=0,
        multifunction=several,
        intx=device.irq("intx").vectors > 0,
        line=live.board.intx_line(one.guest.device, max(config[INTERRUPT_PIN], 1)),
        mediated=isinstance(one, PassedMdev),
    )


def _prepare(
    one: Passed | PassedMdev, device: Device, shape: Shape, peers: Sequence[DmaMaps], live: Live
) -> PassedDevice:
    """Its BARs as far as the kernel maps them, and nowhere yet."""
    devfn, rom = one.guest.device * 8 + one.guest.function, rom_of(one, device, live)
    shape = replace(shape, rom=rom.size if rom else 0)
    function = PassedFunction(shape, partial(live.the(Built).machine.add_msix, devfn))
    found = {bar.index: bar_of(bar, one, device, function, live) for bar in shape.bars}
    if peers:
        share(found.values(), device)
    if rom:
        found[ROM] = rom
    notes = Notes()
    placing = Placing(devfn, found, live.the(AddressMap), notes.say, peers)
    return PassedDevice(one, device, function, placing, notes)


def _config(one: Passed | PassedMdev, device: Device) -> bytes:
    """Without an extended part that says nothing. The driver of a mediated device may have less than all of it."""
    config = device.read_config(0, CONFIG_SIZE)
    least = CONVENTIONAL_CONFIG if isinstance(one, Passed) else HEADER
    if len(config) < least or config[:4] == b"\xff" * 4:
        fact = f"{one.alias}: {one.address} does not answer"
        raise StepFailed(Diagnostic("E523", fact, help=("see `dmesg | grep vfio`",)))
    config = config.ljust(CONVENTIONAL_CONFIG, b"\0")
    return config[:CONVENTIONAL_CONFIG] if _says_nothing(config[CONVENTIONAL_CONFIG:]) else config


def _says_nothing(extended: bytes) -> bool:
    return not any(extended) or extended[:4] == b"\xff" * 4


def _reset_again(devices: list[Device], spaces: AddressSpaces) -> None:
    """While all are open; those that could not be reset on the way in are not asked again."""
    reset(devices, spaces)
