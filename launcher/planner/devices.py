"""(devices of the spec, host) -> which functions the guest gets, where, and the steps that take them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from launcher.errors import Diagnostic
from launcher.plan.plan import PlannedDevice, Source
from launcher.plan.steps import BindDriver, StaysBound, Step
from launcher.planner.bars import Places, planned_bars
from launcher.planner.choose import VFIO_DRIVERS, Choice, choose
from launcher.planner.groups import check_groups, companions_of, groups_of, is_bridge
from launcher.planner.places import field
from launcher.planner.slots import Seat, guest_addresses
from launcher.values import Missing, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, IommuGroup, PciFunction
    from launcher.planner.places import Locate
    from launcher.spec.model import VmSpec
    from launcher.values import PciAddress

Role = Literal["device", "companion", "detached"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A host function that this VM takes from the host, and what for. `bind: never` means it must be ready."""

    alias: str
    role: Role
    function: PciFunction
    wish: PciAddress | None = None
    bind: bool = True

    @property
    def passed(self) -> bool:
        return self.role != "detached"


@dataclass(frozen=True, slots=True)
class Passthrough:
    """All that the spec's devices mean on this host."""

    choices: tuple[Choice, ...]
    taken: tuple[Taken, ...]
    groups: tuple[IommuGroup, ...]
    problems: tuple[Diagnostic, ...]

    @property
    def functions(self) -> tuple[PciFunction, ...]:
        """Those the guest gets, in file order, companions behind their device."""
        return tuple(one.function for one in self.taken if one.passed)


def pass_devices(spec: VmSpec, host: HostFacts) -> Passthrough:
    choices = choose(spec.devices, host)
    companions = companions_of(choices, host)
    taken: list[Taken] = []
    for choice in choices:
        if choice.function:
            device = choice.device
            taken.append(Taken(choice.alias, "device", choice.function, device.guest, device.bind == "auto"))
        for one in companions:
            if one.alias == choice.alias and one.fate != "refuse":
                attach = one.fate == "attach" and not is_bridge(one.function)
                taken.append(Taken(one.alias, "companion" if attach else "detached", one.function))
    problems = (*(one.problem for one in choices if one.problem), *check_groups(choices, companions, host))
    return Passthrough(choices, tuple(taken), groups_of(choices, host), problems)


def binding_steps(taken: tuple[Taken, ...]) -> tuple[Step, ...]:
    """In file order. A bridge is only taken from its driver: vfio-pci takes no bridges."""
    return tuple(step for one in taken if (step := _binding(one)))


def _binding(one: Taken) -> Step | None:
    function = one.function
    if function.driver in VFIO_DRIVERS:
        return StaysBound(function.address, str(function.driver))
    if not one.bind:
        return None
    driver = None if is_bridge(function) else "vfio-pci"
    return BindDriver(function.address, function.driver, driver, function.driver_override)


def planned_devices(passing: Passthrough, places: Places, locate: Locate) -> tuple[PlannedDevice, ...]:
    guests = guest_addresses(_seats(passing))
    return tuple(_planned(one, guests.get(one.function.address), places, locate) for one in passing.taken)


def _seats(passing: Passthrough) -> tuple[Seat, ...]:
    return tuple(Seat(one.function, one.wish) for one in passing.taken if one.passed)


def _planned(one: Taken, guest: PciAddress | None, places: Places, locate: Locate) -> PlannedDevice:
    function, where = one.function, locate(f"devices.{one.alias}.pci")
    return PlannedDevice(
        alias=one.alias,
        role=one.role,
        host=function.address,
        id=function.id,
        name=function.name,
        class_code=function.class_code,
        group=function.group,
        node=function.node,
        reset=_reset(function),
        driver=function.driver,
        guest=guest,
        bars=planned_bars(function, places) if one.passed else (),
        source=Source(where.file, where.line, where.column) if where else None,
    )


def _reset(function: PciFunction) -> str | None:
    """The method the kernel tries first."""
    return function.reset[0] if isinstance(function.reset, tuple) and function.reset else None


def check_devices(spec: VmSpec, passing: Passthrough, devices: tuple[PlannedDevice, ...]) -> Iterator[Diagnostic]:
    """What is wrong with single devices once they are chosen; groups and choices have their own rules."""
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
    passed = [one for one in devices if one.role != "detached"]
    seen: dict[PciAddress, PlannedDevice] = {}
    for one in passed:
        where = field(f"devices.{one.alias}.guest")
        if one.guest is None:
            fact = f"{one.alias}: the guest has no slot left for {one.host}; it has 16, 00:10.0 to 00:1f.0"
            yield Diagnostic("E211", fact, where, help=("pass fewer devices to one VM",))
            continue
        first = seen.setdefault(one.guest, one)
        if first is not one:
            both = f"{first.host} ({first.alias}) and {one.host}"
            fact = f"{one.alias}: {both} would both be {one.guest.guest} in the guest"
            yield Diagnostic("E213", fact, where, help=("give one of them another `guest` slot",))
    heads = {one.device for one in seen if one.function == 0}
    for guest, one in seen.items():
        if guest.device not in heads:
            fact = f"{one.alias}: the guest finds nothing at {guest.guest} without a function 0 in that slot"
            yield Diagnostic("E213", fact, field(f"devices.{one.alias}.guest"), help=(f"write `{guest.guest[:-1]}0`",))
            heads |= {guest.device}


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
        help_ = ("accept that: `allow: [no-reset]`",)
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
