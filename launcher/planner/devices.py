"""(devices of the spec, host) -> which functions the guest gets, where, and the steps that take them. Pure."""

from __future__ import annotations

from collections import Counter

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
from launcher.typed import TYPE_CHECKING
from launcher.values import PATIENCE, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launcher.host.facts import HostFacts, PciFunction
    from launcher.images.boot_files import BootFiles
    from launcher.planner.bars import BarAddresses
    from launcher.planner.decided import Choice, Companion, Mediated, Reset
    from launcher.planner.places import Locate
    from launcher.spec.parts import VmSpec
    from launcher.values import HostDevice, PciAddress


def pass_devices(spec: VmSpec, host: HostFacts, terms: Terms) -> Passthrough:
    choices = choose({alias: one for alias, one in spec.devices.items() if one.mdev is None}, host, terms)
    companions = companions_of(choices, host)
    taken: list[Taken] = []
    seats: dict[str, list[Seat]] = {alias: [] for alias in spec.devices}
    for choice in choices:
        own = [one for one in companions if one.alias == choice.alias]
        took = [*_device(choice), *(_companion(one) for one in own if one.becomes in ("attach", "detach"))]
        taken += took
        seats[choice.alias] += [_seat(one.alias, one.function, one.guest) for one in took if one.passed]
        # Naming a companion further down must not move the devices between.
        seats[choice.alias] += [_seat(one.alias, one.function, None) for one in own if one.becomes == "asked"]
    mediated = _mediated(spec, host, terms)
    for each in mediated:
        if each.device or each.wanted:
            seats[each.alias] = [Seat(each.alias, each.address, each.guest, str(each.address))]
    deciders, in_order = deciders_of(choices, host), tuple(seat for some in seats.values() for seat in some)
    return Passthrough(choices, companions, tuple(taken), groups_of(deciders, host), in_order, deciders, mediated)


def _seat(alias: str, one: PciFunction, guest: PciAddress | None) -> Seat:
    """Virtual functions are devices of their own, whatever slot their number falls into."""
    slot = one.address.slot if one.physical_function is None else str(one.address)
    return Seat(alias, one.address, guest, slot, one.address.function)


def _mediated(spec: VmSpec, host: HostFacts, terms: Terms) -> tuple[Mediated, ...]:
    """What knows of them is not imported for a VM without."""
    if all(one.mdev is None for one in spec.devices.values()):
        return ()
    from launcher.planner.mediated import mediated_of

    return mediated_of(spec, host, terms)


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
    """In the order of the file."""
    guests = guest_addresses(passing.seats)
    functions = tuple(
        _planned(one, files, guests.get(one.function.address), places, resets[one.function.address], locate)
        for one in passing.taken
    )
    if not passing.mediated:
        return functions
    from launcher.planner.mediated import planned_mediated

    order = {seat.alias: n for n, seat in enumerate(passing.seats)}
    found = (*functions, *planned_mediated(passing.mediated, guests, locate))
    return tuple(sorted(found, key=lambda one: order.get(one.alias, len(order))))


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
    names = _names(devices)
    by_host = {one.host: one for one in devices}
    found = ((function, by_host[function.address]) for function in passing.functions)
    return tuple(
        Passed(
            alias=names[one.host],
            address=function.address,
            group=one.group,
            guest=one.guest,
            bars=_bar_places(function, one),
            rom=one.rom,
            reset=one.reset,
            parent=function.parent,
        )
        for function, one in found
        if one.guest is not None and one.group is not None
    )


def _names(devices: tuple[PlannedDevice, ...]) -> dict[HostDevice, str]:
    """Of what the guest gets, by host address: an alias stands for one function, and its companions are numbered."""
    found: dict[HostDevice, str] = {}
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
