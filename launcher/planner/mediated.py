"""(mediated devices of the spec, host) -> which they are or become, and the room that is left for their BARs. Pure.

Nothing is bound for one: its driver has made it, or makes it when the VM starts, and keeps it. Its IOMMU group is its
own, made up by VFIO, and has no IOMMU behind it: what the driver lets the guest reach it pins itself, when it is used.
What BARs it has shows when it is open (executor/runner/mediated.py): the plan leaves room for them behind all others.
"""

from __future__ import annotations

from launcher.plan.plan import PlannedDevice, Source
from launcher.plan.steps import MakeMdev, PassedMdev
from launcher.planner.bars import spans_of_bars
from launcher.planner.choose import owned_groups
from launcher.planner.decided import Mediated
from launcher.planner.memory import span_of
from launcher.planner.virtio import BAR
from launcher.record import record
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, Span, align_up, own_mdev

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.host.facts import HostFacts, MediatedDevice
    from launcher.machine.board import Layout
    from launcher.planner.decided import Situation, Terms
    from launcher.planner.places import Locate
    from launcher.spec.parts import Vgpu, VmSpec
    from launcher.values import HostDevice, PciAddress

API = "vfio-pci"  # what VFIO has to make of it, so that a guest finds a PCI function
HIGH = 64 * GIB  # for BARs that are large


def mediated_of(spec: VmSpec, host: HostFacts, terms: Terms) -> tuple[Mediated, ...]:
    """In the order of the file. One that is named, or would be made, is no other alias's."""
    wanted = {alias: one.mdev for alias, one in spec.devices.items() if one.mdev}
    named = {one.uuid or own_mdev(spec.name, alias) for alias, one in wanted.items() if one.uuid or one.parent}
    free = [one for one in _free(host, terms) if one.address not in named] if len(named) < len(wanted) else []
    return tuple(
        _mediated(alias, one, spec.devices[alias].guest, spec.name, host, free) for alias, one in wanted.items()
    )


def _free(host: HostFacts, terms: Terms) -> Iterator[MediatedDevice]:
    """A PCI function to VFIO, which the plan may touch, and which no VM has open."""
    owned = owned_groups(host)
    for one in host.mediated:
        usable = one.api in (API, None) and one.driver is not None and one.group is not None
        if usable and one.group not in owned and terms.allows_part(one.address, one.parent):
            yield one


def _mediated(
    alias: str, named: Vgpu, guest: PciAddress | None, vm: str, host: HostFacts, free: list[MediatedDevice]
) -> Mediated:
    if named.uuid is None and named.parent is None:
        chosen = next((one for one in free if one.type == named.type), None)
        if chosen is not None:
            free.remove(chosen)
        return Mediated(alias, chosen.address if chosen else own_mdev(vm, alias), chosen, guest, of_type=named.type)
    address = named.uuid or own_mdev(vm, alias)
    found = next((one for one in host.mediated if one.address == address), None)
    if named.parent is None or named.type is None:
        return Mediated(alias, address, found, guest)
    parent = next((one for one in host.mediated_parents if one.name == named.parent), None)
    kind = next((one for one in parent.types if one.name == named.type), None) if parent else None
    return Mediated(alias, address, found, guest, (named.parent, named.type), parent, kind)


def is_ready(one: Mediated) -> bool:
    """VFIO would open it as a PCI function."""
    found = one.device
    if found is None or is_another(one):
        return False
    return found.api in (API, None) and found.driver is not None and found.group is not None


def is_another(one: Mediated) -> bool:
    """What has its UUID is not what is to be made."""
    return one.device is not None and one.wanted not in (None, (one.device.parent, one.device.type))


def is_made(one: Mediated) -> bool:
    """By the plan. How many more there can be its rule says: the parent's types may share what it has."""
    return one.device is None and one.kind is not None and one.kind.api in (API, None)


def making_steps(it: Situation) -> Iterator[MakeMdev]:
    for one in it.passing.mediated:
        if is_made(one) and one.wanted is not None:
            yield MakeMdev(one.address, *one.wanted)


def planned_mediated(
    mediated: Iterable[Mediated], guests: dict[HostDevice, PciAddress], locate: Locate
) -> Iterator[PlannedDevice]:
    """`id` is its type: what it is to the guest says its driver."""
    for one in mediated:
        found = one.device
        if found is not None or is_made(one):
            where, kind = locate(f"devices.{one.alias}.mdev"), one.kind
            named = (found.type, found.name) if found else (kind.name, kind.label) if kind else ("", None)
            yield PlannedDevice(
                alias=one.alias,
                role="device",
                host=one.address,
                id=named[0],
                name=named[1],
                class_code="",
                group=found.group if found else None,
                node=found.node if found else one.parent.node if one.parent else None,
                reset=None,
                driver=found.driver if found else None,
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
    ready = {one.alias: one for one in it.passing.mediated if is_ready(one) or is_made(one)}
    room = room_of(it) if ready else Room()
    for one in devices:
        if (found := ready.get(one.alias)) and one.guest is not None:
            yield PassedMdev(one.alias, found.address, one.group, one.guest, room.ports, room.low, room.high)


def window_with(window: Span | None, room: Room) -> Span | None:
    """The guest's window for 64-bit BARs, with their room in it."""
    if not room.high:
        return window
    start = min(span.start for span in (*room.high, *([window] if window else [])))
    return Span(start, max(span.end for span in (*room.high, *([window] if window else []))) - start)
