"""(devices of the spec, host) -> which functions the guest gets, where, and the steps that take them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from launcher.plan.plan import PlannedDevice, Source
from launcher.plan.steps import BarPlace, BindDriver, Passed, StaysBound, Step
from launcher.planner.bars import Places, planned_bars
from launcher.planner.choose import Choice, choose
from launcher.planner.functions import VFIO_DRIVERS, is_bridge
from launcher.planner.groups import check_groups, companions_of, groups_of
from launcher.planner.slots import Seat, guest_addresses
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.errors import Diagnostic
    from launcher.host.facts import BootFiles, HostFacts, IommuGroup, PciFunction
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
    rom: bool | str = True

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
            bind = device.bind == "auto"
            taken.append(Taken(choice.alias, "device", choice.function, device.guest, bind, device.rom))
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


def planned_devices(
    passing: Passthrough, files: BootFiles, places: Places, locate: Locate
) -> tuple[PlannedDevice, ...]:
    guests = guest_addresses(_seats(passing))
    return tuple(_planned(one, files, guests.get(one.function.address), places, locate) for one in passing.taken)


def _seats(passing: Passthrough) -> tuple[Seat, ...]:
    return tuple(Seat(one.function, one.wish) for one in passing.taken if one.passed)


def _planned(one: Taken, files: BootFiles, guest: PciAddress | None, places: Places, locate: Locate) -> PlannedDevice:
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
        rom=files.roms[one.alias].path if isinstance(one.rom, str) else one.rom,
        source=Source(where.file, where.line, where.column) if where else None,
    )


def _reset(function: PciFunction) -> str | None:
    """The method the kernel tries first."""
    return function.reset[0] if isinstance(function.reset, tuple) and function.reset else None


def passed_functions(passing: Passthrough, devices: tuple[PlannedDevice, ...]) -> tuple[Passed, ...]:
    """Those with a place in the guest, as the executor needs them."""
    functions = {one.address: one for one in passing.functions}
    return tuple(
        Passed(one.alias, one.host, one.group, one.guest, _bar_places(functions[one.host], one), one.rom)
        for one in devices
        if one.guest is not None and one.group is not None
    )


def _bar_places(function: PciFunction, device: PlannedDevice) -> tuple[BarPlace, ...]:
    bars = () if isinstance(function.bars, Missing) else function.bars
    guests = {bar.index: bar.guest for bar in device.bars}
    return tuple(BarPlace(bar.index, bar.kind, bar.prefetchable, bar.size, guests[bar.index]) for bar in bars)
