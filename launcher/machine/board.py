"""What planner and runner need to know of an architecture's machine: a value for each architecture. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from launcher.machine.start import MapEntry, Patch, Start
from launcher.plan.steps import RamRange, Topology
from launcher.record import record
from launcher.row import NamedTuple
from launcher.typed import Literal, Protocol
from launcher.values import PciAddress, Span

CpuidLeaf = tuple[int, int, int, int, int, int, int]  # function, index, flags, eax, ebx, ecx, edx


@record
class Fixed:
    """A part of the hole that is taken, and by what."""

    span: Span
    why: str


@record
class Layout:
    """Where things are in the guest's address spaces. `hole` has no RAM: it belongs to devices, to the machine and to
    KVM, as `hole_parts` says."""

    hole: Span
    hole_parts: tuple[Fixed, ...]
    high_ram_start: int
    bars_32: Span
    bar_ports: Span
    ecam: Span
    identity_map: int
    tss: int
    tables: Span
    kernel_start: int  # boot files may load from here on
    most_vcpus: int
    last_vcpu_id: int  # a topology leaves some out


class Pin(NamedTuple):
    """Which pin of which interrupt controller a GSI is."""

    gsi: int
    chip: Literal["pic-master", "pic-slave", "ioapic"]
    pin: int


class Port(NamedTuple):
    """I/O ports of the machine's own, and which device answers there."""

    span: Span
    device: Literal["serial", "power", "keyboard", "pulse", "timer", "pci"]


class PortModel(Protocol):
    """A device of the machine's own at these ports, which firmware looks for. `trap`: the kind, by which it is asked
    about each access (`model`), or about some."""

    @property
    def ports(self) -> Span: ...
    @property
    def trap(self) -> str: ...
    def read(self, offset: int, size: int) -> int: ...
    def write(self, offset: int, data: bytes) -> None: ...


class FwCfgItems(Protocol):
    """What firmware reads by number. `asks`: who selects it is to be asked about, by a write to the model."""

    def put(self, key: int, content: bytes, *, asks: bool = False) -> None: ...
    def read(self, offset: int, size: int) -> int: ...
    def write(self, offset: int, data: bytes) -> None: ...


@record
class Told:
    """What firmware is told of its machine. `bars`: where those of all functions are now. `now`: UTC as a struct_time.

    `order`: slots and functions to boot from, the first one first. `name` and `uuid`: whose machine it is.
    """

    kind: Literal["bios", "uefi"]
    topology: Topology
    window: Span | None
    ram: tuple[Span, ...]
    reserved: tuple[Span, ...]
    order: tuple[PciAddress, ...]
    bars: Callable[[], tuple[Span, ...]]
    now: Callable[[], Sequence[int]]
    name: str = ""
    uuid: str = ""


class Platform(Protocol):
    """What an architecture's machine has for firmware, over what every guest finds: a module.

    `PORTS` in place of the board's. `FUNCTIONS` by slot << 3 | function. `shadow`: a copy in RAM of the code that
    starts, where it expects one. `models`: what answers to it.
    """

    @property
    def PORTS(self) -> tuple[Port, ...]: ...
    @property
    def FUNCTIONS(self) -> Mapping[int, bytes]: ...
    @property
    def FIRST_MSRS(self) -> Mapping[int, int]: ...
    def shadow(self, kind: str, code: bytes) -> tuple[Patch, ...]: ...
    def models(self, told: Told, items: FwCfgItems) -> tuple[PortModel, ...]: ...


@record
class Processor:
    """One vCPU as its guest is to see it: number `index` of `topology`. `brand` is the host's, three CPUID leaves;
    `deadline`: KVM has a TSC deadline timer."""

    topology: Topology
    index: int
    nested: bool
    deadline: bool
    brand: tuple[CpuidLeaf, ...] = ()


@record
class Board:
    """`tables`: (topology, window for 64-bit BARs) -> the firmware's tables, the RSDP first. `identity`: (the VM's
    name, its UUID) -> those that tell it. `memory_map`: (RAM, what
    the IOMMU reserves) -> what the guest is told. `starts` by the name of the boot protocol. `intx_gsi`: (slot, pin) ->
    GSI; `intx_line`: what firmware writes into the register Interrupt Line for it.
    `platform` is imported for firmware alone.
    `vcpu_ids`: what KVM and the tables call each vCPU. `cpuid`: (KVM's leaves, vCPU) -> the leaves of that vCPU.
    """

    layout: Layout
    ports: tuple[Port, ...]
    serial_gsi: int
    power_gsi: int
    pins: tuple[Pin, ...]
    first_message_gsi: int
    intx_gsi: Callable[[int, int], int]
    intx_line: Callable[[int, int], int]
    host_bridge: bytes
    tables: Callable[[Topology, Span | None], tuple[Patch, ...]]
    identity: Callable[[str, str], tuple[Patch, ...]]
    memory_map: Callable[[tuple[RamRange, ...], tuple[Span, ...]], tuple[MapEntry, ...]]
    starts: Mapping[str, Start]
    vcpu_ids: Callable[[Topology], tuple[int, ...]]
    cpuid: Callable[[list[CpuidLeaf], Processor], list[CpuidLeaf]]
    first_msrs: Mapping[int, int]
    platform: Callable[[], Platform]
