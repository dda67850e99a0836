"""(devices, as chosen and placed) -> what is wrong with the choice, the guest addresses and `bind: never`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.functions import VFIO_DRIVERS
from launcher.planner.places import field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import PciFunction
    from launcher.plan.plan import PlannedDevice
    from launcher.planner.choose import Choice
    from launcher.planner.devices import Passthrough
    from launcher.values import PciAddress


def check_devices(passing: Passthrough, devices: tuple[PlannedDevice, ...]) -> Iterator[Diagnostic]:
    yield from passing.problems
    yield from _check_guests(devices)
    for choice in passing.choices:
        if choice.function:
            yield from _check_bound(choice, choice.function)


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


def _check_bound(choice: Choice, function: PciFunction) -> Iterator[Diagnostic]:
    alias = choice.alias
    if choice.device.bind == "never" and function.driver not in VFIO_DRIVERS:
        fact = f"{alias}: {function.address} is on {function.driver or 'no driver'}, and `bind: never` leaves it there"
        help_ = ("bind it to vfio-pci, or write `bind: auto`",)
        yield Diagnostic("E214", fact, field(f"devices.{alias}.bind"), help=help_)
