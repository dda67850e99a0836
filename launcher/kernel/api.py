"""The Kernel protocol: values in, handles out. The one seam between the executor and the system, and so for tests.

Every method raises OSError with the errno and the name of the call. Close is idempotent and the exact reverse of the
constructor. Addresses and sizes are bytes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from launcher.row import NamedTuple
from launcher.typed import Any, Protocol
from launcher.values import HostDevice, Mdev, PciAddress, Span, VfSettings

Registers = Mapping[str, Any]  # struct kvm_regs or kvm_sregs by field name, nested
CpuidLeaf = tuple[int, int, int, int, int, int, int]  # function, index, flags, eax, ebx, ecx, edx
Progress = Callable[[int], None]  # bytes done so far
# Until a descriptor is readable or hangs up, at most so many seconds; for whom is said to people. True: in time.
Waits = Callable[[int, float, str], bool]
Drivers = Sequence[
    tuple[HostDevice, str | None]
]  # a function and the driver that it is on; a mediated device that was made


class Event(NamedTuple):
    """Why a vCPU came back. `data` holds KVM's words for internal-error, fail-entry, unknown-exit and error (errno).

    read and write want to be answered: `data` is space (SPACES), address, size, value.
    """

    kind: str  # kicked power-off reset shutdown internal-error fail-entry unknown-exit error read write
    data: tuple[int, ...] = ()


SPACES = {1: "port", 2: "memory", 3: "config"}  # enum space; a config address is function << 12 | offset


class Trap(NamedTuple):
    """A range of I/O ports or addresses and who answers: serial, power, keyboard, pulse, timer, pci, ecam, flash,
    table (of MSI-X), registers (of virtio), fw-cfg and file in C. pulse is a keyboard controller that only resets.

    `fd` and `offset` are for file: a region of a device, a ROM; `offset` of others in a BAR is the number of its
    function. pending (of MSI-X) and model (of the machine's own, where firmware boots) come back from Vcpu.run, and so
    do writes to table and registers from which something follows, to fw-cfg by which an item is selected that asks, and
    accesses by pci and ecam that Machine.set_function was told to ask about: their space is `config`.
    """

    start: int
    size: int
    kind: str
    fd: int = -1
    offset: int = 0


class PinRoute(NamedTuple):
    """`chip` is pic-master, pic-slave or ioapic."""

    gsi: int
    chip: str
    pin: int


class MsiRoute(NamedTuple):
    gsi: int
    address: int
    data: int


class DmaLimits(NamedTuple):
    """`ranges` of IOVA that can be mapped (empty: not known), sizes of pages as a bitmap, maps that are left."""

    ranges: tuple[Span, ...]
    page_sizes: int
    available: int | None


class RegionInfo(NamedTuple):
    """`offset` is its place in the device's descriptor. `sparse`: only these parts can be mapped."""

    size: int
    offset: int
    mappable: bool
    sparse: tuple[Span, ...] | None


class IrqInfo(NamedTuple):
    vectors: int  # 0: there are none
    resizable: bool  # vectors can be added while others are on


class FewVectors(OSError):
    """ENOSPC: the host has only `available` vectors left for this function, and gave it none of them."""

    def __init__(self, available: int, wanted: int) -> None:
        super().__init__(errno.ENOSPC, f"the host has {available} of {wanted} vectors", "VFIO_DEVICE_SET_IRQS")
        self.available = available


class OtherNode(OSError):
    """ENODEV: the node that is called as the function's own is another device's; it is closed again."""

    def __init__(self, node: str, its: str, number: str | None) -> None:
        found = f"device {number}" if number else "no device"
        super().__init__(errno.ENODEV, f"it is {found}, and the function's is {its}", node)


class MdevKind(NamedTuple):
    """A device that makes mediated ones, and a type of it, as sysfs calls them."""

    parent: str
    type: str


class VfPlace(NamedTuple):
    """A virtual function: its address, and which of which physical function it is."""

    address: PciAddress
    physical: PciAddress
    number: int


class VfChange(NamedTuple):
    """What its physical function gives it, and is to give it. The same fields are said in both."""

    place: VfPlace
    was: VfSettings
    becomes: VfSettings

    @property
    def undone(self) -> VfChange:
        return VfChange(self.place, self.becomes, self.was)


class GivenUp(NamedTuple):
    """By a keeper, by name: `on`, or why the kernel refuses. `writable`: where it may still write.

    `standby` is the pid of the process that sets virtual functions back, if there is one; `of_standby` as `measures`.
    """

    measures: dict[str, str]
    writable: tuple[str, ...] = ()
    standby: int | None = None
    of_standby: dict[str, str] | None = None


class EngineOrder(NamedTuple):
    """A program that serves disks, shares or a network, and all that it may have.

    `kept` are descriptors that it inherits by their numbers, which its `words` name. It runs as `uid` and `gid`; in a
    name space of its own, where there is one, they are called `inner_uid` and `inner_gid`. `written` and `read` are
    descriptors of what it may open. `seccomp` is whose table of calls it has (kernel/confine.py), or empty: it has a
    filter itself. Landlock does not go with `own_sandbox`. `limits` are of setrlimit(2). `mounts` is one of `kept`, and
    its path: it gets a read-only mount of that in its place.
    """

    aliases: tuple[str, ...]
    program: str
    words: tuple[str, ...]
    kept: tuple[int, ...]
    uid: int
    gid: int
    inner_uid: int
    inner_gid: int
    own_name_space: bool
    written: tuple[int, ...] = ()
    read: tuple[int, ...] = ()
    limits: tuple[tuple[int, int], ...] = ()
    seccomp: str = ""
    capabilities: tuple[int, ...] = ()  # that it keeps, over what is in its name space
    own_sandbox: bool = False
    mounts: tuple[int, str] | None = None
    names: tuple[tuple[int, str], ...] = ()  # of `kept`, what people call them


class Engine(Protocol):
    """See kernel.engine.Engine."""

    pid: int
    pidfd: int
    said: int
    order: EngineOrder
    measures: dict[str, str]
    status: int | None

    @property
    def name(self) -> str: ...
    @property
    def is_gone(self) -> bool: ...
    def begin(self, waits: Waits) -> None: ...
    def listen(self) -> bytes: ...
    def end(self, waits: Waits) -> None: ...
    def reap(self) -> int: ...


class Eventfd(Protocol):
    fd: int

    def fire(self) -> None: ...
    def take(self) -> bool: ...
    def close(self) -> None: ...


class HostMemory(Protocol):
    """Memory of this process. `file` is that of shared memory; None: private and anonymous."""

    size: int
    file: int | None

    @property
    def address(self) -> int: ...
    def populate(self, threads: int, progress: Progress) -> None: ...
    def write(self, offset: int, data: bytes | memoryview) -> None: ...
    def read(self, offset: int, size: int) -> bytes: ...
    def close(self) -> None: ...


class MemoryPart(NamedTuple):
    """Guest RAM: `size` bytes at `guest` are at `address` in this process, and at `offset` in `file`."""

    guest: int
    size: int
    address: int
    file: int | None
    offset: int


class MsixEntries(Protocol):
    """See kernel.msix.MsixEntries."""

    def read(self, offset: int, size: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...


class FwCfgItems(Protocol):
    """See kernel.fw_cfg.FwCfgItems."""

    def put(self, key: int, content: bytes, *, asks: bool = False) -> None: ...
    def read(self, offset: int, size: int) -> int: ...
    def write(self, offset: int, data: bytes) -> None: ...


class VirtioRegisters(Protocol):
    """See kernel.virtio.VirtioRegisters."""

    offered: int
    queues: int

    @property
    def vectors(self) -> int: ...
    @property
    def features(self) -> int: ...
    @property
    def config_vector(self) -> int: ...
    def vector(self, queue: int) -> int: ...
    def rings(self) -> Iterable[tuple[int, int, int, int, int]]: ...
    def read(self, offset: int, size: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> str: ...
    def reset(self) -> None: ...
    def fail(self) -> None: ...


class Machine(Protocol):
    """The devices that C serves."""

    def set_ports(self, traps: Sequence[Trap]) -> None: ...
    def set_memory(self, traps: Sequence[Trap]) -> None: ...
    def set_function(self, function: int, image: bytes, asks_read: bytes = ..., asks_write: bytes = ...) -> None: ...
    def change_function(self, function: int, offset: int, data: bytes) -> None: ...
    def add_msix(self, function: int, vectors: int) -> MsixEntries: ...
    def add_virtio(self, function: int, offered: int, queues: int, config: bytes) -> VirtioRegisters: ...
    def add_fw_cfg(self, memory: Sequence[MemoryPart]) -> FwCfgItems: ...
    def set_flash(self, slot: int, guest: int, memory: Any, file: int) -> None: ...
    def attach(self, console: Any) -> None: ...
    def input_arrived(self) -> None: ...
    def press_power(self) -> bool: ...
    def counts(self) -> dict[str, int]: ...
    def unanswered(self) -> dict[tuple[int, int], int]: ...
    def close(self) -> None: ...


class Vcpu(Protocol):
    @property
    def exits(self) -> int: ...
    def set_cpuid(self, leaves: Sequence[CpuidLeaf]) -> None: ...
    def set_sregs(self, changes: Registers) -> None: ...
    def set_regs(self, changes: Registers) -> None: ...
    def set_msrs(self, msrs: Mapping[int, int]) -> None: ...
    def set_local_interrupts(self) -> None: ...
    def registers(self) -> dict[str, int]: ...
    def run(self) -> Event: ...
    def reply(self, value: int) -> None: ...
    def kick(self) -> None: ...
    def asleep(self) -> bool: ...
    def still_asleep(self) -> bool: ...
    def look_over(self) -> None: ...
    def close(self) -> None: ...


class Vm(Protocol):
    def set_tss_address(self, guest: int) -> None: ...
    def set_identity_map_address(self, guest: int) -> None: ...
    def create_interrupt_controllers(self) -> None: ...
    def create_timer(self) -> None: ...
    def timer_stands(self) -> bool: ...
    def drop_late_ticks(self) -> None: ...
    def set_memory_region(
        self, slot: int, guest: int, memory: Any, offset: int, size: int, *, readonly: bool = False
    ) -> None: ...
    def delete_memory_region(self, slot: int) -> None: ...
    def set_gsi_routing(self, routes: Sequence[PinRoute | MsiRoute]) -> None: ...
    def assign_irqfd(self, event: Any, gsi: int, resample: Any = None) -> None: ...
    def deassign_irqfd(self, event: Any, gsi: int) -> None: ...
    def assign_ioeventfd(self, event: Any, guest: int) -> None: ...
    def deassign_ioeventfd(self, event: Any, guest: int) -> None: ...
    def create_vfio(self) -> KvmVfio: ...
    def create_machine(self, serial_gsi: int, power_gsi: int) -> Machine: ...
    def create_vcpu(self, number: int, machine: Any) -> Vcpu: ...
    def close(self) -> None: ...


class Kvm(Protocol):
    def check_extension(self, name: str) -> int: ...
    def api_version(self) -> int: ...
    def supported_cpuid(self) -> list[CpuidLeaf]: ...
    def brand(self) -> tuple[CpuidLeaf, ...]: ...
    def create_vm(self) -> Vm: ...
    def close(self) -> None: ...


class VfioFile(Protocol):
    """What KVM is told of, as proof that VFIO is in use: a group's descriptor, or a device's."""

    fd: int


class KvmVfio(Protocol):
    def add_file(self, file: VfioFile) -> None: ...
    def remove_file(self, file: VfioFile) -> None: ...
    def close(self) -> None: ...


class AddressSpace(Protocol):
    """Which IOVA is which memory, for all functions in it: a container of type1, an IOAS of iommufd."""

    def limits(self) -> DmaLimits: ...

    def map_dma(self, iova: int, memory: Any, offset: int, size: int) -> None:
        """Pins the memory. ENOMEM: RLIMIT_MEMLOCK; EINVAL: reserved, too wide, unaligned; EEXIST: mapped already."""

    def map_bar(self, iova: int, mapping: Any) -> None:
        """Memory of another function, so that they reach each other (peer to peer). EOPNOTSUPP: not by this way."""

    def unmap_dma(self, iova: int, size: int) -> None:
        """The whole of what was mapped there."""


class AddressSpaces(Protocol):
    """What of a host's IOMMU is ours: groups, the address spaces they are in, and the functions in the groups.

    A group is the IOMMU's unit of isolation, whatever descriptors its functions are opened by: it is opened, joins
    and leaves as a whole, and a reset of a bus wants the groups of all who are on it. Its numbers are also the names of
    locks (vms/groups.py) and, with type1 alone, of files. Calls are undone in reverse: leave, release.

    `keeps_devices`: a function that is closed stays open for the guest's next life, as its driver left it.
    """

    @property
    def keeps_devices(self) -> bool: ...

    def open_group(self, group: int) -> None:
        """All before any joins. EBUSY: somebody has it; ENOENT: no member is bound to a VFIO driver."""

    def close_group(self, group: int) -> None: ...

    def viable(self, group: int) -> bool:
        """False: a driver of the host has a part of it."""

    def join(self, group: int) -> AddressSpace:
        """The first space that the group fits, or a new one. EPERM: no interrupt remapping."""

    def leave(self, group: int) -> None:
        """EBUSY while a function of it is open. A space ends with its last group."""

    def files(self) -> Sequence[VfioFile]:
        """For KVM to know of, before any function is opened."""

    def open_device(self, group: int, address: HostDevice) -> Device:
        """Reset, if it resets itself. ENODEV: not in this group, or not bound to a VFIO driver; EACCES: a VF whose PF
        wants a token."""

    def close_device(self, device: Device) -> None:
        """It may be opened again, in the guest's next life."""

    def reset_bus(self, device: Device) -> set[PciAddress]:
        """Whom it reset: all that share the device's bus, or nobody where some are not ours. ENODEV: it has none."""


class BarMapping(Protocol):
    size: int

    def close(self) -> None: ...


class Device(Protocol):
    """See kernel.vfio.Device."""

    fd: int
    address: HostDevice

    def resets_itself(self) -> bool: ...
    def reset(self) -> None: ...
    def hot_reset_set(self) -> tuple[tuple[int, PciAddress], ...]: ...
    def hot_reset(self, groups: Sequence[Any]) -> None: ...
    def region(self, index: int) -> RegionInfo: ...
    def irq(self, name: str) -> IrqInfo: ...
    def set_irq_events(self, name: str, start: int, events: Sequence[int]) -> None: ...
    def switch_off_irqs(self, name: str) -> None: ...
    def mask_intx(self) -> None: ...
    def unmask_intx(self) -> None: ...
    def unmask_intx_on(self, event: int) -> None: ...
    def read_config(self, offset: int, size: int) -> bytes: ...
    def write_config(self, offset: int, data: bytes) -> None: ...
    def read(self, at: int, size: int) -> bytes: ...
    def write(self, at: int, data: bytes) -> None: ...
    def map(self, at: int, size: int) -> BarMapping: ...
    def share(self, mapping: Any, index: int, offset: int) -> None: ...
    def close(self) -> None: ...


def address_in(memory: Sequence[MemoryPart], area: Span) -> int:
    """OSError EFAULT: it is not, as a whole, in one piece of the guest's RAM."""
    for part in memory:
        if Span(part.guest, part.size).covers(area):
            return part.address + area.start - part.guest
    raise OSError(errno.EFAULT, f"the guest's ring at {area} is not in one piece of its RAM", "virtio")


class RingPlace(NamedTuple):
    """A queue for an engine: where its areas are in this process."""

    number: int
    size: int
    descriptors: int
    driver: int
    device: int


class Vhost(Protocol):
    """See kernel.vhost.Vhost."""

    def set_owner(self) -> None: ...
    def features(self) -> int: ...
    def set_features(self, features: int) -> None: ...
    def set_memory(self, parts: Sequence[MemoryPart]) -> None: ...
    def set_ring(self, ring: RingPlace) -> None: ...
    def set_kick(self, index: int, event: int) -> None: ...
    def set_call(self, index: int, event: int) -> None: ...
    def set_backend(self, index: int, tap: int) -> None: ...
    def set_cid(self, cid: int) -> None: ...
    def set_running(self, *, running: bool) -> None: ...
    def close(self) -> None: ...


class Tap(Protocol):
    """See kernel.vhost.Tap."""

    fd: int

    def set_offloads(self, *, checksum: bool, tso4: bool, tso6: bool, ecn: bool) -> None: ...


class VhostUser(Protocol):
    """See kernel.vhost_user.VhostUser."""

    fd: int

    def begin(self, wanted: int) -> int: ...
    def queues(self) -> int: ...
    def config(self, size: int) -> bytes: ...
    def set_features(self, features: int) -> None: ...
    def set_memory(self, parts: Sequence[MemoryPart]) -> None: ...
    def set_ring(self, ring: RingPlace) -> None: ...
    def set_kick(self, index: int, event: int) -> None: ...
    def set_call(self, index: int, event: int) -> None: ...
    def enable(self, index: int) -> None: ...
    def unanswered(self, ring: RingPlace) -> int: ...
    def stop(self, index: int) -> None: ...
    def take(self) -> bool: ...
    def close(self) -> None: ...


class PciDrivers(Protocol):
    """See kernel.sysfs.PciDrivers."""

    def driver(self, address: PciAddress) -> str | None: ...
    def override(self, address: PciAddress) -> str | None: ...
    def group(self, address: HostDevice) -> int | None: ...
    def node(self, address: HostDevice) -> str | None: ...
    def of_group(self, group: int) -> dict[str, str | None]: ...
    def set_override(self, address: PciAddress, driver: str | None) -> None: ...
    def unbind(self, address: PciAddress) -> None: ...
    def probe(self, address: PciAddress) -> None: ...
    def mdev(self, address: Mdev) -> MdevKind | None: ...
    def make_mdev(self, kind: MdevKind, address: Mdev) -> None: ...
    def remove_mdev(self, address: Mdev) -> None: ...


class VirtualFunctions(Protocol):
    """See kernel.virtual_functions.VirtualFunctions."""

    def settings(self, place: VfPlace) -> VfSettings: ...
    def change(self, change: VfChange) -> tuple[str, ...]: ...


class Kernel(Protocol):
    """`handed` are descriptors that it was given and has not used yet. `waits`: what it does while a driver waits.

    `ends`, by alias: sockets to engines and taps, which the keeper opens and the runner uses. `engines` are those that
    this process has started; `folder` is a descriptor of the VM's, for their sockets.
    """

    waits: Waits
    ends: dict[str, int]
    engines: list[Engine]
    folder: int

    @property
    def drivers(self) -> PciDrivers: ...
    @property
    def virtual_functions(self) -> VirtualFunctions: ...
    @property
    def handed(self) -> tuple[int, ...]: ...
    def load_modules(self, names: Sequence[str]) -> None: ...
    def prepare_engine(self, order: EngineOrder) -> Engine: ...
    def make_tap(self, name: str, bridge: str, mtu: int) -> int: ...
    def open_tap(self, name: str) -> int: ...
    def close_ends(self) -> None: ...
    def keep_handed(self, paths: Collection[str]) -> tuple[str, ...]: ...
    def address_spaces(self) -> AddressSpaces: ...
    def iommufd(self, members: Mapping[int, Sequence[HostDevice]], *, by_process: bool) -> AddressSpaces: ...
    def eventfd(self) -> Eventfd: ...
    def open_kvm(self) -> Kvm: ...
    def take_memory(
        self, size: int, page_size: int, node: int | None, *, shared: bool = False, late: bool = False
    ) -> HostMemory: ...
    def open_vhost(self, kind: str) -> Vhost: ...
    def tap(self, alias: str) -> Tap: ...
    def vhost_user(self, alias: str) -> VhostUser: ...
    def keep_variables(self, file: int) -> None: ...
    def variables(self) -> int: ...
    def run_on(self, host_cpus: Collection[int]) -> None: ...
    def take_user(self) -> None: ...
    def confine(self, *, virtio: bool = False) -> dict[str, str]: ...
    def confine_vcpu(self, *, devices: bool, virtio: bool = False) -> None: ...
    def give_up(
        self, folder: str, drivers: Drivers, changes: Sequence[VfChange], runner: int, pidfd: int
    ) -> GivenUp: ...
