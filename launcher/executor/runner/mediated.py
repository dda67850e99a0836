"""A mediated device that is open, and the room that the plan leaves for it, in; its BARs with their places out.

sysfs knows nothing of them: of what kind a BAR is says its register in the device's configuration space, and how large
it is VFIO's region of that number (Documentation/driver-api/vfio-mediated-device.rst).
"""

from __future__ import annotations

from collections.abc import Iterator

from launcher.executor.runner.devices.traps import Space
from launcher.kernel.api import Device
from launcher.machine.capabilities import word
from launcher.machine.fitting import first_fit
from launcher.machine.pieces import PAGE
from launcher.machine.policy import BARS
from launcher.plan.steps import BarPlace, PassedMdev
from launcher.record import replace
from launcher.typed import Literal
from launcher.values import MIB, Span, align_up

NUMBER = 6  # BARs of a function
LARGE = 64 * MIB  # as planner.bars has it
IO, KIND, KIND_64, PREFETCHABLE = 1, 6, 4, 8  # PCI Local Bus 3.0, 6.2.5.1
Taken = dict[Space, list[Span]]  # by BARs of those before


def bars_of(one: PassedMdev, device: Device, config: bytes, taken: Taken) -> tuple[BarPlace, ...]:
    """The largest first; what finds no place is left to the guest. `taken` is added to."""
    found = sorted(_bars(device, config), key=lambda bar: -bar.size)
    placed = [replace(bar, guest=_place(bar, one, taken)) for bar in found]
    return tuple(sorted(placed, key=lambda bar: bar.index))


def _bars(device: Device, config: bytes) -> Iterator[BarPlace]:
    index = 0
    while index < NUMBER:
        size, register = device.region(index).size, word(config, BARS + 4 * index, 4)
        kind = _kind(register, index)
        if size:
            yield BarPlace(index, kind, bool(kind != "io" and register & PREFETCHABLE), size, None, None)
        index += 2 if kind == "mem64" else 1


def _kind(register: int, index: int) -> Literal["io", "mem32", "mem64"]:
    if register & IO:
        return "io"
    return "mem64" if register & KIND == KIND_64 and index < NUMBER - 1 else "mem32"


def _place(bar: BarPlace, one: PassedMdev, taken: Taken) -> int | None:
    """Of memory at least a page, so that no two BARs share one."""
    space: Space = "port" if bar.kind == "io" else "memory"
    room = bar.size if space == "port" else align_up(bar.size, PAGE)
    windows = (*one.high, *one.low) if bar.size >= LARGE else one.low
    windows = one.ports if space == "port" else windows if bar.kind == "mem64" else one.low
    guest = first_fit(room, (free for window in windows for free in window.minus(taken[space])))
    if guest is not None:
        taken[space].append(Span(guest, room))
    return guest
