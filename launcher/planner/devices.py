"""(devices of the spec, host) -> which functions the guest gets, where, and the steps that take them. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from launcher.host.class_names import class_name
from launcher.host.facts import Config
from launcher.plan.plan import PlannedDevice, Source
from launcher.plan.step import Step
from launcher.plan.steps import BarPlace, BindDriver, Passed, StaysBound
from launcher.planner.bars import planned_bars
from launcher.planner.choose import choose
from launcher.planner.decided import Passthrough, Seat, Taken, Terms
from launcher.planner.functions import is_bridge, on_vfio
from launcher.planner.groups import companions_of, deciders_of, groups_of
from launcher.planner.slots import guest_addresses
from launcher.planner.waiting import waiting
from launcher.values import PATIENCE, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launcher.host.facts import HostFacts, PciFunction
    from launcher.images.boot_files import BootFiles
    from launcher.planner.bars import BarAddresses
    from launcher.planner.decided import Choice, Companion, Reset
    from launcher.planner.places import Locate
    from launcher.spec.parts import VmSpec
    from launcher.values import PciAddress


def pass_devices(spec: VmSpec, host: HostFacts, terms: Terms) -> Passthrough:
    choices = choose(spec.devices, host, terms)
    companions = companions_of(choices, host)
    taken: list[Taken] = []
    seats: list[Seat] = []
    for choice in choices:
        own = [one for one in companions if one.alias == choice.alias]
        took = [*_device(choice), *(_companion(one) for one in own if one.becomes in ("attach", "detach"))]
        taken += took
        seats += [Seat(one.alias, one.function, one.guest) for one in took if one.passed]
        # Naming a companion further down must not move the devices between.
        seats += [Seat(one.alias, one.function, None) for one in own if one.becomes == "asked"]
    deciders = deciders_of(choices, host)
    return Passthrough(choices, companions, tuple(taken), groups_of(deciders, host), tuple(seats), deciders)


def _device(choice: Choice) -> Iterator[Taken]:
    if choice.function:
        device = choice.device
        bind = device.bind == "auto"
        yield Taken(choice.alias, "device", choice.function, device.guest, bind, device.rom, device.network)


def _companion(one: Companion) -> Taken:
    attach = one.becomes == "attach" and not is_bridge(one.function)
    return Taken(one.alias, "companion" if attach else "detached", one.function)


def binding_steps(taken: tuple[Taken, ...]) -> tuple[Step, ...]:
    """In file order. A bridge is only taken from its driver: vfio-pci takes no bridges."""
    return tuple(step for one in taken if (step := _binding(one)))


def _binding(one: Taken) -> Step | None:
    function = one.function
    if on_vfio(function):
        return StaysBound(function.address, str(function.driver))
    if not one.bind:
        return None
    driver = None if is_bridge(function) else "vfio-pci"
    waits = PATIENCE if waiting(function) else None
    return BindDriver(function.address, function.driver, driver, function.driver_override, waits)


def planned_devices(
    passing: Passthrough, files: BootFiles, places: BarAddresses, resets: Mapping[PciAddress, Reset], locate: Locate
) -> tuple[PlannedDevice, ...]:
    guests = guest_addresses(passing.seats)
    return tuple(
        _planned(one, files, guests.get(one.function.address), places, resets[one.function.address], locate)
        for one in passing.taken
    )


def _planned(
    one: Taken, files: BootFiles, guest: PciAddress | None, places: BarAddresses, reset: Reset, locate: Locate
) -> PlannedDevice:
    function, where = one.function, locate(f"devices.{one.alias}.pci")
    return PlannedDevice(
        alias=one.alias,
        role=one.role,
        host=function.address,
        id=function.id,
        name=function.name or class_name(function.class_code),
        class_code=function.class_code,
        group=function.group,
        node=function.node,
        reset=reset.method,
        driver=function.driver,
        guest=guest,
        bars=planned_bars(function, places) if one.passed else (),
        rom=files.roms[one.alias].path if isinstance(one.rom, str) else one.rom,
        source=Source(where.file, where.line, where.column) if where else None,
        resets=tuple(other.address for other in reset.others),
    )


def passed_functions(passing: Passthrough, devices: tuple[PlannedDevice, ...]) -> tuple[Passed, ...]:
    """Those with a place in the guest, as the executor needs them."""
    functions, names = {one.address: one for one in passing.functions}, _names(devices)
    return tuple(
        Passed(
            names[one.host], one.host, one.group, one.guest, _bar_places(functions[one.host], one), one.rom, one.reset
        )
        for one in devices
        if one.guest is not None and one.group is not None
    )


def _names(devices: tuple[PlannedDevice, ...]) -> dict[PciAddress, str]:
    """Of what the guest gets, by host address: an alias stands for one function, and its companions are numbered."""
    found: dict[PciAddress, str] = {}
    numbers: Counter[str] = Counter()
    for one in devices:
        if one.guest is not None:
            number = numbers[one.alias] = numbers[one.alias] + (one.role == "companion")
            found[one.host] = f"{one.alias}+{number}" if one.role == "companion" else one.alias
    return found


def _bar_places(function: PciFunction, device: PlannedDevice) -> tuple[BarPlace, ...]:
    bars = () if isinstance(function.bars, Missing) else function.bars
    planned = {bar.index: bar for bar in device.bars}
    known = isinstance(function.config, Config)  # where its MSI-X tables are
    return tuple(
        BarPlace(
            bar.index,
            bar.kind,
            bar.prefetchable,
            bar.size,
            planned[bar.index].guest,
            planned[bar.index].serve if known else None,
        )
        for bar in bars
    )
