"""What is known of a host, frozen: the planner's only view of the machine, and the facts file. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from launcher.values import Hex, Missing, PciAddress

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class KvmFacts:
    """What /dev/kvm answered. `extensions` are KVM_CHECK_EXTENSION results by lower-case name without KVM_CAP_."""

    api_version: int
    extensions: dict[str, int]
    physical_bits: int  # guest physical address width, CPUID 0x80000008 EAX[7:0] of KVM_GET_SUPPORTED_CPUID


@dataclass(frozen=True, slots=True)
class Cpu:
    """One online host CPU."""

    id: int
    node: int
    core: str  # socket:core, equal for hyper-thread siblings


@dataclass(frozen=True, slots=True)
class HugePages:
    """A pool of huge pages of one size (bytes): counts, not bytes."""

    size: int
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Node:
    """A NUMA node: memory in bytes, distances to all nodes in order of their ids."""

    id: int
    memory: int
    free: int
    distances: tuple[int, ...]
    huge_pages: tuple[HugePages, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """/proc/meminfo MemTotal and MemAvailable in bytes; `thp` is the mode chosen in transparent_hugepage/enabled."""

    total: int
    available: int
    thp: str | Missing


@dataclass(frozen=True, slots=True)
class Process:
    """Who will run `up`: identity, effective capabilities (cap_ names), limits (None: unlimited), allowed CPUs."""

    uid: int
    gid: int
    capabilities: tuple[str, ...]
    memlock: int | None
    open_files: int | None
    cpus: tuple[int, ...]
    state_folder: str | None  # where VMs keep their state; None: XDG_RUNTIME_DIR is not set


@dataclass(frozen=True, slots=True)
class Bar:
    """One BAR as sysfs `resource` shows it; `start` 0 with a size: not assigned. `size` in bytes."""

    index: int
    kind: Literal["io", "mem32", "mem64"]
    prefetchable: bool
    start: Hex
    size: int


@dataclass(frozen=True, slots=True)
class PciFunction:
    """One PCI function. `id` and `subsystem` are vendor:device, four hex digits each; `class_code` six."""

    address: PciAddress
    id: str
    subsystem: str | None
    class_code: str
    revision: str | None
    name: str | None
    driver: str | None
    driver_override: str | None
    node: int | None
    group: int | None
    reset: tuple[str, ...] | Missing
    bars: tuple[Bar, ...] | Missing
    serial: str | None = None
    slot: str | None = None  # the physical slot's name
    physical_function: PciAddress | None = None
    virtual_functions: tuple[PciAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class ReservedRegion:
    """One line of reserved_regions; both ends belong to it. `kind` is the kernel's word."""

    start: Hex
    last: Hex
    kind: str


@dataclass(frozen=True, slots=True)
class IommuGroup:
    number: int
    kind: str | Missing
    devices: tuple[PciAddress, ...]
    reserved: tuple[ReservedRegion, ...] | Missing


@dataclass(frozen=True, slots=True)
class Iommu:
    """`kind` is Intel VT-d, AMD-Vi, virtio-iommu or what sysfs calls it; `address_bits` what it translates."""

    kind: str
    address_bits: int | None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Everything the planner may know. Numbers that move by themselves reach a plan only as bounds."""

    format_version: str
    name: str
    kernel: str
    architecture: str
    kvm: KvmFacts | Missing
    cpus: tuple[Cpu, ...]
    nodes: tuple[Node, ...]
    memory: Memory
    process: Process
    iommu: Iommu | None = None
    groups: tuple[IommuGroup, ...] = ()
    pci: tuple[PciFunction, ...] = ()
    note: str = ""  # where a recorded host comes from


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes of the boot file that go to a guest address; the rest of `memory_size` is zero."""

    offset: int
    file_size: int
    guest: Hex
    memory_size: int


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file the spec names: identity and what its signature says.

    `kind`: pvh (ELF with a PVH entry note), elf (without one), bzimage, initrd (cpio or compressed), empty,
    directory, unknown.
    `segments` and `entry` are only there for pvh and bzimage; `initrd_max` is the last address a bzimage allows its
    initial RAM disk.
    """

    path: str
    kind: Literal["pvh", "elf", "bzimage", "initrd", "empty", "directory", "unknown"]
    size: int
    sha256: str
    entry: Hex | None = None
    segments: tuple[Segment, ...] = ()
    problem: str | None = None  # why a file that looks like a kernel cannot be started
    initrd_max: Hex | None = None


@dataclass(frozen=True, slots=True)
class BootFiles:
    """`roms`: the option ROMs that are files, by the alias of their device."""

    kernel: BootFile | Missing
    initrd: BootFile | Missing | None = None
    roms: dict[str, BootFile | Missing] = field(default_factory=dict)


Plain = dict[str, Any]
