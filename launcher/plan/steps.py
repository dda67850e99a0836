"""The sentences of a plan: every Step is frozen data that can describe itself, its doer and its undo. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from launcher.names import is_name
from launcher.plan.firmware import LoadFirmware, OpenVariables
from launcher.plan.seed import StartSeedEngine
from launcher.plan.step import Step
from launcher.plan.virtio import (
    AddVirtio,
    ConnectEngine,
    MakeTap,
    OpenTap,
    StartDiskEngine,
    StartShareEngine,
    StartUserNetwork,
)
from launcher.record import record
from launcher.typed import Literal
from launcher.values import (
    LABELS,
    Hex,
    HostDevice,
    Mdev,
    PciAddress,
    Span,
    VfSettings,
    is_uuid,
    show_setting,
    show_size,
)


@record
class KeepState(Step):
    """Claim the name and keep plan, journal, report, console log and control socket in this folder, mode 0700."""

    op = "keep-state"
    once = True
    by = "keeper"
    undo = "removed"
    folder: str

    def describe(self) -> str:
        return f"keep state in {self.folder}"


@record
class TakeMemory(Step):
    """One bank of host memory. `page_size` 0 asks for transparent huge pages; `populate` touches all before the run.

    `shared`: engines in other processes map it, too, so it is a file in memory and not anonymous.
    """

    op = "take-memory"
    undo = "freed"
    bank: int
    size: int
    page_size: int
    node: int | None
    populate: bool
    shared: bool = False

    @property
    def pages(self) -> str:
        return show_pages(self.page_size)

    def describe(self) -> str:
        pages = self.pages
        count = f"{self.size // self.page_size} x " if self.page_size > 4096 else f"{show_size(self.size)} in "
        place = "" if self.node is None else f" on node {self.node}"
        late = "" if self.populate else ", as the guest touches it"
        shared = ", shared with engines" if self.shared else ""
        return f"take {count}{pages}{place} for bank {self.bank}{late}{shared}"


@record
class CreateVm(Step):
    """The VM with its in-kernel interrupt controllers and timer."""

    op = "create-vm"
    once = True
    undo = "closed"

    def describe(self) -> str:
        return "create the VM with its interrupt controllers"


@record
class RamRange:
    """`size` bytes of guest RAM at `guest`, from `offset` bytes into `bank`."""

    guest: Hex
    size: int
    bank: int
    offset: int


@record
class GiveMemory(Step):
    """Guest RAM: one KVM memslot for each range."""

    op = "give-memory"
    once = True
    undo = "with the VM"
    ranges: tuple[RamRange, ...]

    def describe(self) -> str:
        total = show_size(sum(one.size for one in self.ranges))
        return f"give the guest {total} in {len(self.ranges)} {'range' if len(self.ranges) == 1 else 'ranges'}"


@record
class LoadPart:
    """`file_size` bytes from `offset` of the file go to guest memory at `guest`; zeroes fill up to `memory_size`."""

    offset: int
    file_size: int
    guest: Hex
    memory_size: int


@record
class LoadKernel(Step):
    """The kernel's parts by file offset and guest address. What is loaded has the digest.

    `protocol` says what `entry` expects: pvh, 32-bit protected mode; linux64, 64-bit mode (bzImage). `head`: where in
    the file the kernel begins, of which a unified kernel image has more.
    """

    op = "load-kernel"
    once = True
    protocol: Literal["pvh", "linux64"]
    path: str
    sha256: str
    entry: Hex
    parts: tuple[LoadPart, ...]
    cmdline: str
    head: int = 0

    def describe(self) -> str:
        return f"load {self.path}" + (f' with "{self.cmdline}"' if self.cmdline else "")


@record
class LoadInitrd(Step):
    """`size` bytes of the file from `offset` on."""

    op = "load-initrd"
    path: str
    sha256: str
    size: int
    guest: Hex
    offset: int = 0

    def describe(self) -> str:
        part = "what is in " if self.offset else ""
        return f"load {part}{self.path} as the initial RAM disk"


@record
class Topology:
    """What the vCPUs are to the guest: so many sockets, cores in each, and threads in each core."""

    sockets: int
    cores: int
    threads: int

    def __post_init__(self) -> None:
        if min(self.sockets, self.cores, self.threads) < 1:
            raise ValueError("a topology without a processor")

    @property
    def count(self) -> int:
        return self.sockets * self.cores * self.threads

    def __str__(self) -> str:
        numbers = {"socket": self.sockets, "core": self.cores, "thread": self.threads}
        return " x ".join(f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in numbers.items())


@record
class DescribeMachine(Step):
    """What the guest is told: memory map, command line, ACPI tables, processors.

    `window` is where its 64-bit BARs go; `reserved` must not be used by anybody. Without `topology` the vCPUs are the
    cores of one socket. `nested`: the guest may start guests of its own. `name` is its serial number
    in SMBIOS tables, beside its `uuid`.
    """

    op = "describe-machine"
    once = True
    vcpus: int
    window: Span | None
    reserved: tuple[Span, ...] = ()
    topology: Topology | None = None
    nested: bool = False
    name: str = ""
    uuid: str = ""

    def __post_init__(self) -> None:
        small = self.uuid == self.uuid.lower()
        if (self.name or self.uuid) and not (is_name(self.name) and is_uuid(self.uuid) and small):
            raise ValueError("the guest's name or its UUID is none")
        if self.processors.count != self.vcpus:
            raise ValueError("the topology has another number of vCPUs")

    @property
    def processors(self) -> Topology:
        return self.topology or Topology(1, self.vcpus, 1)

    def describe(self) -> str:
        topology = f", {self.topology}" if self.topology else ""
        nested = ", virtualisation for guests of its own" if self.nested else ""
        return f"describe the machine to the guest: memory map, ACPI tables{topology}{nested}"


@record
class RunVcpus(Step):
    """`pin` is one host CPU for each vCPU, or empty. Before the first of them runs its process gives up what it no
    longer needs: with `confine` required by all measures, or the step fails."""

    op = "run-vcpus"
    once = True
    undo = "stopped"
    count: int
    pin: tuple[int, ...]
    confine: Literal["auto", "required"] = "auto"

    def __post_init__(self) -> None:
        if self.count < 1 or len(self.pin) not in (0, self.count):
            raise ValueError("not a vCPU, or one host CPU, for each")

    def describe(self) -> str:
        vcpus = f"run {self.count} {'vCPU' if self.count == 1 else 'vCPUs'}"
        where = f" on host CPUs {show_ids(self.pin)}" if self.pin else ""
        return vcpus + where + (", confined by all measures or not at all" if self.confine == "required" else "")


@record
class LoadModules(Step):
    """Load kernel modules, and what they need. They stay: others may have come to use them."""

    op = "load-modules"
    by = "keeper"
    mark = "~"
    undo = "stay loaded"
    modules: tuple[str, ...]

    def describe(self) -> str:
        return f"load the kernel {'module' if len(self.modules) == 1 else 'modules'} {' '.join(self.modules)}"


@record
class BindDriver(Step):
    """Give a function to another driver by driver_override, for that address only. No `driver`: only take it away.

    `waits`: the driver before lets go of it when nobody has it open any more; for how many seconds at most `up` does.
    """

    op = "bind-driver"
    by = "keeper"
    mark = "~"
    undo = "driver and driver_override as before"
    address: PciAddress
    before: str | None
    driver: str | None
    override: str | None  # driver_override as it was
    waits: int | None = None

    def describe(self) -> str:
        moves = f"{self.address}  {self.before or 'no driver':13} -> {self.driver or 'no driver'}"
        return moves if self.waits is None else f"{moves}, may wait for users, {self.waits} s at most"

    @property
    def device(self) -> str:
        return str(self.address)

    @property
    def on_down(self) -> str:
        return self.before or "no driver"


@record
class StaysBound(Step):
    """Nothing to do: the function is on a driver for VFIO already, and is not given to another on down."""

    op = "stays-bound"
    by = "keeper"
    mark = "="
    undo = "stays"
    address: PciAddress
    driver: str

    def describe(self) -> str:
        return f"{self.address}  {self.driver}, stays"

    @property
    def device(self) -> str:
        return str(self.address)


@record
class SetVirtualFunction(Step):
    """Tell the physical function what it gives a virtual one. `interface` is for people: whoever does it looks for that
    of `physical`. `before` and `after` say the same fields."""

    op = "set-virtual-function"
    by = "keeper"
    mark = "~"
    undo = "as before"
    address: PciAddress
    physical: PciAddress
    number: int
    interface: str
    before: VfSettings
    after: VfSettings

    def __post_init__(self) -> None:
        if not self.after.said() or self.before.said().keys() != self.after.said().keys() or self.number < 0:
            raise ValueError("not a change of a virtual function")

    def describe(self) -> str:
        before, after = self.before.said(), self.after.said()
        moves = (f"{LABELS[one]} {show_setting(before[one])} -> {show_setting(after[one])}" for one in after)
        return f"{self.address}  vf {self.number} of {self.interface}: {', '.join(moves)}"

    @property
    def device(self) -> str:
        return str(self.address)


@record
class MakeMdev(Step):
    """Have the driver of `parent` make a mediated device of this type, and call it by this UUID."""

    op = "make-mdev"
    by = "keeper"
    mark = "~"
    undo = "removed"
    address: Mdev
    parent: str
    type: str

    def __post_init__(self) -> None:
        if not all(map(is_sysfs_name, (self.parent, self.type))):
            raise ValueError("not a device and a type of it")

    def describe(self) -> str:
        return f"{self.address}  make {self.type} of {self.parent}"

    @property
    def device(self) -> str:
        return str(self.address)


@record
class OpenGroups(Step):
    """Open the IOMMU groups in one container, or in several if the kernel finds that they do not fit one. `made`: also
    those of mediated devices that this plan makes, which have none before."""

    op = "open-groups"
    undo = "closed"
    groups: tuple[int, ...]
    made: tuple[Mdev, ...] = ()

    def describe(self) -> str:
        return f"open {show_groups(self.groups, len(self.made))} in one container"


@record
class Member:
    """A function that is opened, and its IOMMU group; None: of a mediated device that this plan makes."""

    address: HostDevice
    group: int | None


@record
class OpenIommufd(Step):
    """Open functions by their own nodes, and attach them to one address space of iommufd, or to several if the kernel
    finds that they do not fit one. With the first of a group all of it is the VM's.

    `locks`: for whom what is locked counts, all processes of its user or this one alone.
    """

    op = "open-iommufd"
    undo = "closed"
    functions: tuple[Member, ...]
    locks: Literal["user", "process"] = "user"

    @property
    def groups(self) -> tuple[int, ...]:
        return tuple(sorted({one.group for one in self.functions if one.group is not None}))

    def describe(self) -> str:
        count = f"{len(self.functions)} {'device' if len(self.functions) == 1 else 'devices'}"
        named = show_groups(self.groups, sum(one.group is None for one in self.functions))
        return f"open {count} of {named} by iommufd, in one address space"


@record
class MapDma(Step):
    """Map guest RAM for DMA, which `locks` it where an IOMMU translates: the driver of a mediated device locks pages
    while it uses them."""

    op = "map-dma"
    undo = "unmapped"
    ranges: tuple[RamRange, ...]
    locks: bool = True

    def describe(self) -> str:
        total = show_size(sum(one.size for one in self.ranges))
        count = f"{len(self.ranges)} {'range' if len(self.ranges) == 1 else 'ranges'}"
        return f"map {total} for DMA in {count}" + (f" (locks {total})" if self.locks else "")


@record
class BarPlace:
    """A BAR of a passed function; `guest` is its first guest address, or I/O port; `serve` is that of PlannedBar.

    No `serve`: who plans may not read where the function's MSI-X tables are, and whoever opens it will see.
    """

    index: int
    kind: Literal["io", "mem32", "mem64"]
    prefetchable: bool
    size: int
    guest: Hex | None
    serve: Literal["mmap", "split", "trap"] | None


@record
class Passed:
    """A function that the guest gets. `rom`: true is its own, false none, text the path of a file.

    `reset` is what the plan expects, for people: `up` resets what the kernel then lets it. `parent` is the bridge
    above, behind which the kernel resets one function at a time.
    """

    alias: str
    address: PciAddress
    group: int
    guest: PciAddress
    bars: tuple[BarPlace, ...]
    rom: bool | str
    reset: str | None = None
    parent: PciAddress | None = None


@record
class PassedMdev:
    """A mediated device that the guest gets. What BARs it has shows when it is open, and each then has the first place
    that is left: I/O ports in `ports`, memory in `low`, below 4 GiB, or what is large in `high`. Without a `group` this
    plan makes it."""

    alias: str
    address: Mdev
    group: int | None
    guest: PciAddress
    ports: tuple[Span, ...]
    low: tuple[Span, ...]
    high: tuple[Span, ...] = ()
    reset: str | None = None

    @property
    def rom(self) -> bool:
        """The one that it has, if any."""
        return True


@record
class OpenDevices(Step):
    """Open the functions, reset those that can be reset, and put them into the guest's slots."""

    op = "open-devices"
    undo = "reset and closed"
    devices: tuple[Passed | PassedMdev, ...]

    def describe(self) -> str:
        """Of a mediated device it shows when it is open."""
        one, resets = len(self.devices) == 1, sum(device.reset is not None for device in self.devices)
        count = f"{len(self.devices)} {'device' if one else 'devices'}"
        give = f"give {'it' if one else 'them'} to the guest"
        if resets == len(self.devices):
            return f"open and reset {count}, {give}"
        if any(isinstance(device, PassedMdev) for device in self.devices):
            return f"open {count}, reset what can be reset, {give}"
        return f"open {count}, {f'reset {resets} of them' if resets else 'which cannot be reset'}, {give}"


# Each kind there is, by its `op`, in the order of the published schema; plan.whole has the order of performance.
STEPS: dict[str, type[Step]] = {
    kind.op: kind
    for kind in (
        KeepState,
        LoadModules,
        BindDriver,
        StaysBound,
        SetVirtualFunction,
        MakeMdev,
        MakeTap,
        OpenTap,
        StartDiskEngine,
        StartShareEngine,
        StartUserNetwork,
        StartSeedEngine,
        ConnectEngine,
        OpenVariables,
        TakeMemory,
        CreateVm,
        GiveMemory,
        OpenGroups,
        OpenIommufd,
        MapDma,
        OpenDevices,
        AddVirtio,
        LoadKernel,
        LoadFirmware,
        LoadInitrd,
        DescribeMachine,
        RunVcpus,
    )
}
# Those that each plan has one of, in the order of plan.whole, which is that of their performance. It has one of STARTS.
STARTS = (LoadKernel, LoadFirmware)
ONCE = tuple(kind for kind in STEPS.values() if kind.once)

# Those that change the host and are put back.
PUT_BACK = (BindDriver, SetVirtualFunction, MakeMdev)


def groups_opened(steps: Iterable[Step]) -> set[int]:
    """Numbers of the IOMMU groups that a plan opens."""
    return {number for step in steps if isinstance(step, OpenGroups | OpenIommufd) for number in step.groups}


_OF_NAMES = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:.+-")


def is_sysfs_name(text: str) -> bool:
    """Of a device or a type: a part of a path, which leads nowhere else."""
    return 0 < len(text) <= 255 and text[0] != "." and _OF_NAMES.issuperset(text)


def show_groups(numbers: tuple[int, ...], made: int) -> str:
    """`made`: of so many mediated devices the number is to come."""
    several = "" if len(numbers) == 1 else "s"
    named = f"group{several} {' '.join(map(str, numbers))}" if numbers or not made else ""
    new = f"{made} new {'group' if made == 1 else 'groups'}" if made else ""
    return " and ".join(filter(None, (named, new)))


def show_pages(page_size: int) -> str:
    return "transparent huge pages" if page_size == 0 else f"{show_size(page_size)} pages"


def show_ids(ids: tuple[int, ...]) -> str:
    """(8, 9, 10, 12) -> 8-10,12."""
    runs: list[list[int]] = []
    for one in ids:
        if runs and one == runs[-1][-1] + 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
