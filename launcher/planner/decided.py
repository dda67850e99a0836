"""What has been decided so far, as values: the planner's nouns. Frozen, and without the words that rules find for them.

A PCI device of the spec is a Choice (which function its alias means), brings Companions (what else is in the group),
and is Taken from the host with them. A Taken that the guest gets has a Seat, is a PlannedDevice in the plan, and Passed
in the step that opens it. A mediated device is Mediated in place of all that comes before its Seat.
"""

from __future__ import annotations

from launcher.planner.functions import on_vfio
from launcher.record import record
from launcher.typed import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launcher.host.facts import (
        HostFacts,
        IommuGroup,
        MediatedDevice,
        MediatedParent,
        MediatedType,
        PciFunction,
    )
    from launcher.images.boot_files import BootFiles
    from launcher.machine.board import Board
    from launcher.plan.plan import PlannedDevice
    from launcher.plan.step import Step
    from launcher.plan.steps import RamRange
    from launcher.plan.virtio import Virtio
    from launcher.planner.backend import Backend
    from launcher.planner.places import Locate
    from launcher.planner.virtio import Place
    from launcher.spec.parts import Device, Network, VmSpec
    from launcher.values import HostDevice, Mdev, Moment, PciAddress, Span


@record
class Obstacle:
    """Why an alias means no function; or, if it is `unexpected`, what is to be said of the one it means.

    `functions` came into question; for `in-use` and `twice`, `takers` has who has each of them.
    """

    kind: Literal[
        "absent", "no-virtual", "bridge", "unexpected", "no-match", "many-match", "in-use", "twice", "not-given"
    ]
    functions: tuple[PciFunction, ...] = ()
    takers: tuple[str, ...] = ()


@record
class Choice:
    """One alias of the spec; without a `function`, `obstacle` says why."""

    alias: str
    device: Device
    function: PciFunction | None
    obstacle: Obstacle | None = None


@record
class Companion:
    """What nobody asked for and comes with the device `alias`: a member of its group that a host driver holds, or, if
    it attaches, any other endpoint of its group and its slot.

    `asked`: it would have come with that device, and an alias further down names it.
    """

    alias: str
    function: PciFunction
    becomes: Literal["refuse", "detach", "attach", "asked"]


@record
class Taken:
    """A host function that this VM takes from the host, and what for. `bind: never` means it must be ready."""

    alias: str
    role: Literal["device", "companion", "detached"]
    function: PciFunction
    guest: PciAddress | None = None
    bind: bool = True
    rom: bool | str = True
    network: Network | None = None

    @property
    def passed(self) -> bool:
        return self.role != "detached"

    @property
    def leaves_the_host(self) -> bool:
        """The plan takes it from whatever of the host's has it."""
        return self.bind and not on_vfio(self.function)


@record
class Mediated:
    """One alias of the spec; without a `device` this host has none of that UUID. `guest` is what the spec says.

    `wanted`: parent and type of what is to be made where it is not there, of which the host has `parent` and `kind`.
    `of_type`: any of it would do; without a `device` there is none that nobody has, and `address` is nobody's.
    """

    alias: str
    address: Mdev
    device: MediatedDevice | None
    guest: PciAddress | None
    wanted: tuple[str, str] | None = None
    parent: MediatedParent | None = None
    kind: MediatedType | None = None
    of_type: str | None = None


@record
class Seat:
    """What needs a place in the guest; `guest` is what the spec says. The first of two for one holds.

    What is in one `slot` of the host shares one of the guest's, where each keeps its `function` number if it can.
    """

    alias: str
    host: HostDevice
    guest: PciAddress | None
    slot: str
    function: int = 0


@record
class Passthrough:
    """All that the spec's devices mean on this host. `deciders`: for each group, the alias that brought it in.

    All but `mediated` and `seats` is about PCI functions.
    """

    choices: tuple[Choice, ...]
    companions: tuple[Companion, ...]
    taken: tuple[Taken, ...]
    groups: tuple[IommuGroup, ...]
    seats: tuple[Seat, ...]
    deciders: Mapping[int, Choice]
    mediated: tuple[Mediated, ...] = ()

    @property
    def opened(self) -> tuple[int, ...]:
        """Numbers of the groups that are opened, those with an IOMMU first."""
        made_up = (one.device.group for one in self.mediated if one.device and one.device.group is not None)
        return tuple(dict.fromkeys((*(one.number for one in self.groups), *made_up)))

    @property
    def functions(self) -> tuple[PciFunction, ...]:
        """Those the guest gets, in file order, companions behind their device."""
        return tuple(one.function for one in self.taken if one.passed)


@record
class Reset:
    """`method` is the kernel's word; `hot`: it has none for the function, and VFIO resets the bus. None: no reset.

    `others` are reset with it. `foreign`: those on the bus that are not this VM's, and because of which the kernel
    will not reset it.
    """

    method: str | None = None
    others: tuple[PciFunction, ...] = ()
    foreign: tuple[PciFunction, ...] = ()


@record
class Reserved:
    """Guest addresses that the IOMMU of these groups does not translate as RAM needs it."""

    span: Span
    kind: str
    groups: tuple[int, ...]


@record
class Width:
    """A bound of guest addresses; `what` is a sentence that ends in the number of bits."""

    bits: int
    what: str


@record
class Firmware:
    """What boots the guest in place of a kernel. `template`: variables that it comes with, where the spec keeps none;
    `variables` is how many bytes of flash they have."""

    kind: Literal["bios", "uefi"]
    path: str
    sha256: str
    size: int
    variables: int = 0
    template: str = ""
    template_sha256: str = ""
    layout: str = ""


@record
class Terms:
    """What a plan is asked beside its spec. `where`: the place of each field in its text; `only`: the functions that it
    may touch, by address; None: any. `now`: when it is asked, and `boot_id`: which life of the host that is, where
    recorded facts may be older; None: they are as fresh as they can be.
    """

    where: Locate
    only: tuple[HostDevice, ...] | None = None
    now: Moment | None = None
    boot_id: str | None = None

    def allows(self, address: HostDevice) -> bool:
        return self.only is None or address in self.only

    def allows_part(self, address: Mdev, parent: str) -> bool:
        """A mediated device: by itself, or with what it is made of."""
        return self.allows(address) or parent in map(str, self.only or ())


@record
class Situation:
    """The spec, the host, the guest's board, and what has been decided so far: all that rules and assumptions look at.

    `host_functions` by address; `widths` is all that bounds guest addresses, and `bits` the least of them, None where
    not known; `locked`: bytes that VFIO locks. `backend`: what devices are passed by. `engines`: the steps that bring
    engines to disks, NICs and shares;
    `places`: where each of them is in the guest; `virtio`: those that somebody works on. `firmware`: what is loaded as
    a ROM; None: a kernel boots, or firmware that is started as one, or none was found. `terms`: what else was
    asked.
    """

    spec: VmSpec
    host: HostFacts
    files: BootFiles
    board: Board
    host_functions: Mapping[PciAddress, PciFunction]
    passing: Passthrough
    devices: tuple[PlannedDevice, ...]
    resets: Mapping[PciAddress, Reset]
    ranges: tuple[RamRange, ...]
    reserved: tuple[Reserved, ...]
    widths: tuple[Width, ...]
    bits: int | None
    locked: int
    terms: Terms
    backend: Backend = "type1"
    engines: tuple[Step, ...] = ()
    places: tuple[Place, ...] = ()
    virtio: tuple[Virtio, ...] = ()
    firmware: Firmware | None = None

    @property
    def passes_pci(self) -> bool:
        """One device at least is no mediated one."""
        return bool(self.passing.choices)

    def chosen(self) -> Iterator[tuple[Choice, PciFunction]]:
        """The spec's devices that are there, in file order."""
        for choice in self.passing.choices:
            if choice.function:
                yield choice, choice.function

    def choice_of(self, one: Taken) -> Choice:
        """The device of the spec that it is, or that it came with."""
        return next(choice for choice in self.passing.choices if choice.alias == one.alias)

    def members(self, group: IommuGroup) -> Iterator[PciFunction]:
        """The PCI functions of a group, by address."""
        return (self.host_functions[address] for address in sorted(group.devices) if address in self.host_functions)
