"""(devices, as chosen and placed) -> what is wrong with single ones. Groups and choices have their own rules. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.functions import VFIO_DRIVERS
from launcher.planner.places import field
from launcher.values import Missing, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import PciFunction
    from launcher.plan.plan import PlannedDevice
    from launcher.planner.choose import Choice
    from launcher.planner.devices import Passthrough
    from launcher.spec.model import VmSpec
    from launcher.values import PciAddress


def check_devices(spec: VmSpec, passing: Passthrough, devices: tuple[PlannedDevice, ...]) -> Iterator[Diagnostic]:
    yield from passing.problems
    yield from _check_guests(devices)
    yield from _check_bars(devices)
    for choice in passing.choices:
        if choice.function:
            yield from _check_one(choice, choice.function)
            yield from _check_node(choice, choice.function, spec)
    for group in passing.groups:
        if isinstance(group.reserved, Missing):
            alias = next(one.alias for one in passing.taken if one.function.group == group.number)
            yield _unread(alias, f"the reserved regions of IOMMU group {group.number}", group.reserved)


def _check_guests(devices: tuple[PlannedDevice, ...]) -> Iterator[Diagnostic]:
    seen: dict[PciAddress, PlannedDevice] = {}
    for one in devices:
        where = field(f"devices.{one.alias}.guest")
        if one.guest is None and one.role != "detached":
            fact = f"{one.alias}: the guest has no slot left for {one.host}; it has 16, 00:10.0 to 00:1f.0"
            yield Diagnostic("E211", fact, where, help=("pass fewer devices to one VM",))
        elif one.guest is not None and (first := seen.setdefault(one.guest, one)) is not one:
            both = f"{first.host} ({first.alias}) and {one.host}"
            fact = f"{one.alias}: {both} would both be {one.guest.guest} in the guest"
            yield Diagnostic("E213", fact, where, help=("give one of them another `guest` slot",))
    heads = {guest.device for guest in seen if guest.function == 0}
    headless = {guest.device: (guest, one) for guest, one in seen.items() if guest.device not in heads}
    for guest, one in headless.values():
        fact = f"{one.alias}: the guest finds nothing at {guest.guest} without a function 0 in that slot"
        yield Diagnostic("E213", fact, field(f"devices.{one.alias}.guest"), help=(f"write `{guest.guest[:-1]}0`",))


def _check_bars(devices: tuple[PlannedDevice, ...]) -> Iterator[Diagnostic]:
    for one in devices:
        for bar in one.bars:
            if bar.kind != "io" and bar.guest is None:
                fact = f"{one.alias}: BAR {bar.index} of {one.host} ({show_size(bar.size)}) has no place in the guest"
                help_ = ("pass fewer devices with large BARs to one VM",)
                yield Diagnostic("E312", fact, field(f"devices.{one.alias}"), help=help_)


def _check_one(choice: Choice, function: PciFunction) -> Iterator[Diagnostic]:
    alias, where = choice.alias, field(f"devices.{choice.alias}")
    if choice.device.bind == "never" and function.driver not in VFIO_DRIVERS:
        fact = f"{alias}: {function.address} is on {function.driver or 'no driver'}, and `bind: never` leaves it there"
        help_ = ("bind it to vfio-pci, or write `bind: auto`",)
        yield Diagnostic("E214", fact, field(f"devices.{alias}.bind"), help=help_)
    if function.reset == () and "no-reset" not in choice.device.allow:
        fact = f"{alias}: {function.address} cannot be reset, so the next user finds it as the guest leaves it"
        allow = ", ".join((*choice.device.allow, "no-reset"))
        help_ = (f"to accept that, {choice.adding('allow', f'[{allow}]')}",)
        yield Diagnostic("E216", fact, where, help=help_)
    if isinstance(function.reset, Missing):
        yield _unread(alias, f"how {function.address} is reset", function.reset)
    if isinstance(function.bars, Missing):
        yield _unread(alias, f"the BARs of {function.address}", function.bars)


def _check_node(choice: Choice, function: PciFunction, spec: VmSpec) -> Iterator[Diagnostic]:
    nodes = {bank.node for bank in spec.memory}
    if function.node is None or None in nodes or function.node in nodes:
        return
    memory = " and ".join(str(node) for node in sorted(node for node in nodes if node is not None))
    fact = f"{choice.alias} is on node {function.node}, all memory is on node {memory}"
    help_ = ("DMA then crosses the sockets: put the memory or the device on the other node",)
    yield Diagnostic("W214", fact, field(f"devices.{choice.alias}.pci"), help=help_)


def _unread(alias: str, what: str, missing: Missing) -> Diagnostic:
    fact = f"{alias}: {what} could not be read ({missing.missing}: {missing.path})"
    help_ = ("plan as root; `up` looks again before its first change",)
    return Diagnostic("W216", fact, field(f"devices.{alias}"), help=help_)
