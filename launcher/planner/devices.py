"""(devices of the spec, host) -> which functions the guest gets, where, and the steps that take them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from launcher.host.facts import Config
from launcher.plan.plan import PlannedDevice, Source
from launcher.plan.steps import BarPlace, BindDriver, Passed, StaysBound, Step
from launcher.planner.bars import Places, planned_bars
from launcher.planner.choose import Choice, choose
from launcher.planner.functions import is_bridge, on_vfio
from launcher.planner.groups import check_groups, companions_of, groups_of
from launcher.planner.slots import Seat, guest_addresses
from launcher.record import record
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launcher.errors import Diagnostic
    from launcher.host.facts import HostFacts, IommuGroup, PciFunction
    from launcher.images.boot_files import BootFiles
    from launcher.planner.groups import Companion
    from launcher.planner.places import Locate
    from launcher.planner.resets import Reset
    from launcher.spec.model import VmSpec
    from launcher.values import PciAddress

Role = Literal["device", "companion", "detached"]


@record
class Taken:
    """A host function that this VM takes from the host, and what for. `bind: never` means it must be ready."""

    alias: str
    role: Role
    function: PciFunction
    wish: PciAddress | None = None
    bind: bool = True
    rom: bool | str = True

    @property
    def passed(self) -> bool:
        return self.role != "detached"

    @property
    def leaves_the_host(self) -> bool:
        """The plan takes it from whatever of the host's has it."""
        return self.bind and not on_vfio(self.function)


@record
class Passthrough:
    """All that the spec's devices mean on this host."""

    choices: tuple[Choice, ...]
    taken: tuple[Taken, ...]
    groups: tuple[IommuGroup, ...]
    problems: tuple[Diagnostic, ...]
    seats: tuple[Seat, ...] = ()

    @property
    def functions(self) -> tuple[PciFunction, ...]:
        """Those the guest gets, in file order, companions behind their device."""
        return tuple(one.function for one in self.taken if one.passed)


def pass_devices(spec: VmSpec, host: HostFacts) -> Passthrough:
    choices = choose(spec.devices, host)
    companions = companions_of(choices, host)
    taken: list[Taken] = []
    seats: list[Seat] = []
    for choice in choices:
        own = [one for one in companions if one.alias == choice.alias]
        took = [*_device(choice), *(_companion(one) for one in own if one.fate in ("attach", "detach"))]
        taken += took
        seats += [Seat(one.alias, one.function, one.wish) for one in took if one.passed]
        # Naming a companion further down must not move the devices between.
        seats += [Seat(one.alias, one.function, None) for one in own if one.fate == "asked"]
    problems = (*(one.problem for one in choices if one.problem), *check_groups(choices, companions, host))
    return Passthrough(choices, tuple(taken), groups_of(choices, host), problems, tuple(seats))


def _device(choice: Choice) -> Iterator[Taken]:
    if choice.function:
        device = choice.device
        yield Taken(choice.alias, "device", choice.function, device.guest, device.bind == "auto", device.rom)


def _companion(one: Companion) -> Taken:
    attach = one.fate == "attach" and not is_bridge(one.function)
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
    return BindDriver(function.address, function.driver, driver, function.driver_override)


def planned_devices(
    passing: Passthrough, files: BootFiles, places: Places, resets: Mapping[PciAddress, Reset], locate: Locate
) -> tuple[PlannedDevice, ...]:
    guests = guest_addresses(passing.seats)
    return tuple(
        _planned(one, files, guests.get(one.function.address), places, resets[one.function.address], locate)
        for one in passing.taken
    )


def _planned(
    one: Taken, files: BootFiles, guest: PciAddress | None, places: Places, reset: Reset, locate: Locate
) -> PlannedDevice:
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
    functions = {one.address: one for one in passing.functions}
    return tuple(
        Passed(one.alias, one.host, one.group, one.guest, _bar_places(functions[one.host], one), one.rom, one.reset)
        for one in devices
        if one.guest is not None and one.group is not None
    )


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
