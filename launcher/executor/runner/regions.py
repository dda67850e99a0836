"""A BAR or ROM as planned in; the device's region for it, mapped as far as the kernel maps it, out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.runner.devices.placing import Bar
from launcher.executor.runner.devices.traps import Space
from launcher.executor.runner.live import Live
from launcher.executor.runner.reading import open_regular, size_of
from launcher.kernel.api import BarMapping, Device, RegionInfo
from launcher.kernel.sealed import seal
from launcher.kernel.whole import write_whole
from launcher.machine.function import ROM, PassedFunction
from launcher.machine.msix import tables_in
from launcher.machine.pieces import pieces, pieces_of_bar
from launcher.plan.steps import BarPlace, Passed, PassedMdev
from launcher.values import Span


def bar_of(planned: BarPlace, one: Passed | PassedMdev, device: Device, function: PassedFunction, live: Live) -> Bar:
    """Its pieces are those of the plan where the kernel maps all that it may."""
    region = device.region(planned.index)
    if region.size < planned.size:  # what is behind it belongs to another region
        fact = f"{one.alias}: BAR {planned.index} of {one.address} has {region.size} of {planned.size} bytes"
        raise StepFailed(Diagnostic("E523", fact, help=("see `dmesg | grep vfio`",)))
    tables = tables_in(planned.index, function.msix_spans() or ())
    space: Space = "port" if planned.kind == "io" else "memory"
    maps: dict[Span, BarMapping] = {}
    for piece in pieces_of_bar(planned.kind, planned.size, tables, _mappable(region)):
        if piece.served == "mmap" and (mapping := _map(device, region.offset + piece.span.start, piece.span.size)):
            live.on_undo(mapping.close)
            maps[piece.span] = mapping
    # What the kernel did not map is trapped.
    parts = pieces_of_bar(planned.kind, planned.size, tables, maps)
    return Bar(planned.index, space, planned.size, device.fd, region.offset, parts, maps, planned)


def _map(device: Device, at: int, size: int) -> BarMapping | None:
    with suppress(OSError):
        return device.map(at, size)
    return None


def share(bars: Iterable[Bar], device: Device) -> None:
    """Other devices may reach what is mapped of them, as far as the kernel allows it."""
    for bar in bars:
        for piece, mapping in bar.maps.items():
            device.share(mapping, bar.index, piece.start)


def _mappable(region: RegionInfo) -> tuple[Span, ...]:
    if not region.mappable or not region.size:
        return ()
    return (Span(0, region.size),) if region.sparse is None else region.sparse


def rom_of(one: Passed | PassedMdev, device: Device, live: Live) -> Bar | None:
    """The function's own is read by VFIO when the guest reads it; a file is kept in memory."""
    if one.rom is True:
        region = device.region(ROM)
        parts = pieces(region.size, (), None, None) if region.size else ()
        return Bar(ROM, "memory", region.size, device.fd, region.offset, parts) if parts else None
    if one.rom is False:
        return None
    file = live.once(f"rom-{one.alias}", partial(_keep_rom, one.rom))
    size = size_of(file)
    return Bar(ROM, "memory", size, file, 0, pieces(size, (), None, None))


def _keep_rom(path: str) -> int:
    with os.fdopen(open_regular(path), "rb") as given:
        image = given.read()
    file = os.memfd_create(os.path.basename(path), os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    write_whole(file, image.ljust(max(1 << (len(image) - 1).bit_length(), 2048), b"\xff"), 0, path)
    seal(file)
    return file
