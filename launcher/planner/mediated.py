"""(mediated devices of the spec, host) -> which they are, and the room that is left for their BARs. Pure.

Nothing is bound for one: its driver has made it, and keeps it. Its IOMMU group is its own, made up by VFIO, and has no
IOMMU behind it: what the driver lets the guest reach the driver pins itself, when it is used. What BARs it has shows
when it is open (executor/runner/mediated.py), so that the plan leaves room for them behind all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.plan.plan import PlannedDevice, Source
from launcher.plan.steps import PassedMdev
from launcher.planner.bars import spans_of_bars
from launcher.planner.decided import Mediated
from launcher.planner.memory import span_of
from launcher.planner.virtio import BAR
from launcher.record import record
from launcher.values import GIB, Span, align_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.host.facts import HostFacts
    from launcher.machine.board import Layout
    from launcher.planner.decided import Situation
    from launcher.planner.places import Locate
    from launcher.spec.parts import VmSpec
    from launcher.values import HostDevice, PciAddress

API = "vfio-pci"  # what VFIO has to make of it, so that a guest finds a PCI function
HIGH = 64 * GIB  # for BARs that are large


def mediated_of(spec: VmSpec, host: HostFacts) -> tuple[Mediated, ...]:
    """In the order of the file."""
    there = {one.address: one for one in host.mediated}
    return tuple(
        Mediated(alias, device.mdev, there.get(device.mdev), device.guest)
        for alias, device in spec.devices.items()
        if device.mdev is not None
    )


def is_ready(one: Mediated) -> bool:
    """VFIO would open it as a PCI function."""
    found = one.device
    return found is not None and found.api in (API, None) and found.driver is not None and found.group is not None


def planned_mediated(
    mediated: Iterable[Mediated], guests: dict[HostDevice, PciAddress], locate: Locate
) -> Iterator[PlannedDevice]:
    """`id` is its type: what it is to the guest says its driver."""
    for one in mediated:
        if (found := one.device) is not None:
            where = locate(f"devices.{one.alias}.mdev")
            yield PlannedDevice(
                alias=one.alias,
                role="device",
                host=one.address,
                id=found.type,
                name=found.name,
                class_code="",
                group=found.group,
                node=found.node,
                reset=None,
                driver=found.driver,
                guest=guests.get(one.address),
                bars=(),
                rom=True,
                source=Source(where.file, where.line, where.column) if where else None,
            )


@record
class Room:
    """What nothing else of the guest's takes. `high` is above all that is."""

    ports: tuple[Span, ...] = ()
    low: tuple[Span, ...] = ()
    high: tuple[Span, ...] = ()


def room_of(it: Situation) -> Room:
    layout = it.board.layout
    taken = [*map(span_of, it.ranges), *(one.span for one in it.reserved), *spans_of_bars(it.devices)]
    virtio = [Span(one.bar, BAR) for one in it.virtio]
    ports = [
        Span(bar.guest, bar.size)
        for one in it.devices
        for bar in one.bars
        if bar.guest is not None and bar.kind == "io"
    ]
    high = _high(taken, it.bits, layout)
    return Room(layout.bar_ports.minus(ports), layout.bars_32.minus([*taken, *virtio]), (high,) if high else ())


def _high(taken: Iterable[Span], bits: int | None, layout: Layout) -> Span | None:
    """Behind the last of what is above 4 GiB, as far as addresses go; None: nothing is left there."""
    start = align_up(max([layout.high_ram_start, *(one.end for one in taken)]), HIGH)
    return Span(start, HIGH) if bits is None or start + HIGH <= 1 << bits else None


def passed_mediated(it: Situation, devices: Iterable[PlannedDevice]) -> Iterator[PassedMdev]:
    """Those with a place in the guest."""
    ready = {one.alias: one for one in it.passing.mediated if is_ready(one)}
    room = room_of(it) if ready else Room()
    for one in devices:
        if (found := ready.get(one.alias)) and one.guest is not None and one.group is not None:
            yield PassedMdev(one.alias, found.address, one.group, one.guest, room.ports, room.low, room.high)


def window_with(window: Span | None, room: Room) -> Span | None:
    """The guest's window for 64-bit BARs, with their room in it."""
    if not room.high:
        return window
    start = min(span.start for span in (*room.high, *([window] if window else [])))
    return Span(start, max(span.end for span in (*room.high, *([window] if window else []))) - start)
