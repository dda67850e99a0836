"""What is known of a host, frozen: the planner's only view of the machine, and the facts file. Pure data."""

from __future__ import annotations

from launcher.record import field, record
from launcher.typed import Literal
from launcher.values import Hex, Mdev, Missing, Moment, PciAddress, VfSettings

FORMAT_VERSION = "1.0"


@record
class KvmFacts:
    """What /dev/kvm answered. `extensions` are KVM_CHECK_EXTENSION results by lower-case name without KVM_CAP_."""

    api_version: int
    extensions: dict[str, int]
    physical_bits: int  # guest physical address width, CPUID 0x80000008 EAX[7:0] of KVM_GET_SUPPORTED_CPUID


@record
class Cpu:
    """One online host CPU."""

    id: int
    node: int
    core: str  # socket:core, equal for hyper-thread siblings


@record
class HugePages:
    """A pool of huge pages of one size (bytes): counts, not bytes. Only the whole host knows how many are reserved."""

    size: int
    total: int
    free: int
    reserved: int = 0


@record
class Node:
    """A NUMA node: memory in bytes, distances to all nodes in order of their ids."""

    id: int
    memory: int
    free: int
    distances: tuple[int, ...]
    huge_pages: tuple[HugePages, ...]


@record
class Memory:
    """/proc/meminfo in bytes; `thp` is the mode chosen in transparent_hugepage/enabled.

    `overcommit` is vm.overcommit_memory; in mode 2 no more than `commit_limit` - `committed` can be mapped.
    `reserved_huge_pages`: resv_hugepages by page size in bytes, promised to others though still counted as free.
    """

    total: int
    available: int
    thp: str | Missing
    overcommit: int = 0
    commit_limit: int = 0
    committed: int = 0
    reserved_huge_pages: dict[str, int] = field(default_factory=dict)


@record
class Limit:
    """What a cgroup (its path below the root of its hierarchy) and all above it allow, and what is in use: bytes, or
    processes and threads."""

    cgroup: str
    maximum: int
    current: int


@record
class Process:
    """Who will run `up`: identity, effective capabilities (cap_ names), limits (None: unlimited), allowed CPUs.

    `locked` is VmLck in bytes; `pinned` VmPin of all processes of this user, which count together for iommufd.
    `own_user_namespace`: its capabilities do not count for the host's kernel.
    `memory_limit` is the tightest memory.max; `huge_limits` the tightest hugetlb.*.max by page size in bytes.
    `container`: in a device cgroup of its own, by the marks that container engines leave.
    `tasks`: how many processes and threads this user may have; `user_tasks`: has now, None: not counted. `task_limits`
    is each pids.max from our cgroup up. `address_space`: bytes it may map, by the lower of `ulimit -v` and `-d`.
    `profile`: the AppArmor or SELinux label that confines it. `sees_all`: it may look into other users' processes.
    """

    uid: int
    gid: int
    capabilities: tuple[str, ...]
    memlock: int | None
    open_files: int | None
    cpus: tuple[int, ...]
    state_folder: str | None  # where VMs keep their state; None: XDG_RUNTIME_DIR is not set
    groups: tuple[int, ...] = ()
    locked: int = 0
    pinned: int = 0
    own_user_namespace: bool = False
    memory_limit: Limit | None = None
    huge_limits: dict[str, Limit] = field(default_factory=dict)
    tasks: int | None = None
    user_tasks: int | None = None
    address_space: int | None = None
    task_limits: tuple[Limit, ...] = ()
    container: bool = False
    profile: str | None = None
    sees_all: bool = True


@record
class Holder:
    """A process that has a device node open. `command` is its comm."""

    pid: int
    command: str


@record
class DeviceNode:
    """/dev/kvm, /dev/vfio/*, /dev/iommu. `usable`: mode, owner and groups let the process open it to read and write."""

    path: str
    mode: int  # permission bits
    uid: int
    gid: int
    usable: bool
    holders: tuple[Holder, ...] | Missing = ()


# How the parameters of the kernel that VFIO, KVM and IOMMUs make something of begin, with underscores.
PARAMETERS = ("amd_iommu", "intel_iommu", "intremap", "iommu", "nointremap", "pci", "vfio")


@record
class Linux:
    """The running kernel, as far as VFIO and KVM care.

    `config`: CONFIG_ names without the prefix -> y or m; what is not set is not there. `modules`: loaded or built in
    with parameters, `loadable`: modules.dep and modules.builtin have them; names with underscores, those in
    linux.MODULES only. `parameters`: `vfio_pci.disable_denylist` -> Y, N or a number.
    `remapping`: interrupts are remapped now (the IR- chips of /proc/interrupts). `vectors`: interrupts in use.
    """

    cmdline: str | Missing = ""
    config: dict[str, str] | Missing | None = None
    modules: tuple[str, ...] | None = None
    loadable: tuple[str, ...] | Missing | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    drivers: tuple[str, ...] | None = None  # the PCI drivers that are there
    remapping: bool | None = None
    vectors: int = 0
    lockdown: str | None = None
    framebuffers: tuple[str, ...] = ()  # /proc/fb, without the numbers
    holders: dict[str, tuple[str, ...]] | None = None  # by module, those that use it; None: not recorded


@record
class Confinement:
    """What a process can give up for good here. `landlock`: the version of its interface, 0 without; `seccomp`: a
    filter that kills who makes another call."""

    landlock: int
    seccomp: bool


@record
class Firmware:
    """What the machine is. `tables`: those of DMAR, IVRS, IORT and VIOT that ACPI lists; `virtual`: a VM itself.

    `hypervisor`: whose interfaces Linux was started with (/sys/hypervisor/type), xen also for its own dom0.
    `virtualization`: the CPUs have SVM or VT-x. `portable`: a chassis that is closed and carried away. `sleeps`: the
    words of /sys/power/state.
    """

    tables: tuple[str, ...] | Missing = ()
    vendor: str | None = None
    product: str | None = None
    virtual: bool = False
    virtualization: bool = True
    physical_bits: int | None = None
    portable: bool = False
    sleeps: tuple[str, ...] = ()
    hypervisor: str | None = None


@record(many=True)
class Bar:
    """One BAR as sysfs `resource` shows it; `start` 0 with a size: not assigned. `size` in bytes.

    `sizes`: those it can be resized to (Resizable BAR), bytes. `claimed`: who else holds a part of it (/proc/iomem).
    """

    index: int
    kind: Literal["io", "mem32", "mem64"]
    prefetchable: bool
    start: Hex
    size: int
    sizes: tuple[int, ...] = ()
    claimed: tuple[str, ...] = ()


@record
class Msix:
    """The MSI-X capability (PCI Local Bus 3.0, 6.8.2): 16 bytes of table for each vector."""

    vectors: int
    table_bar: int
    table_offset: Hex
    pending_bar: int
    pending_offset: Hex


@record
class Config:
    """What configuration space says (host.config decodes it). `dead`: it reads all ones.

    `header`: 0 endpoint, 1 bridge. `pin`: INTA is 1, none 0. `port`: the PCI Express device/port type in the words of
    config.PORTS (endpoint, root port, upstream port, downstream port, PCIe-to-PCI bridge ...), None for conventional
    PCI. `flr`, `af_flr`: a function level reset is there; `soft_reset`: D3hot to D0 resets.
    `msi`: vectors, 0 none. `extended`: ids of extended capabilities, four hex digits; None: only 256 bytes were read.
    `unassigned`: BARs that are there and have no address though `resource` has a line of zeros; `unassigned_ports`:
    those of them that are I/O ports.
    `hot_plug`: a port below which devices come and go.
    `raw`: hexadecimal, only with --raw.
    """

    dead: bool = False
    header: int = 0
    pin: int = 0
    port: str | None = None
    flr: bool = False
    af_flr: bool = False
    soft_reset: bool = False
    msi: int = 0
    msix: Msix | None = None
    extended: tuple[str, ...] | None = None
    serial_number: str | None = None
    unassigned: tuple[int, ...] = ()
    unassigned_ports: tuple[int, ...] = ()
    hot_plug: bool = False
    raw: str | None = None


@record
class Sriov:
    """A physical function: virtual function n is at its own address + offset + n * stride."""

    total: int
    count: int
    offset: int
    stride: int
    autoprobe: bool
    device: str | None  # four hex digits


@record
class Power:
    """`state`: D0 to D3cold or unknown; `runtime`: power/runtime_status; `control`: on or auto."""

    state: str
    runtime: str
    control: str
    d3cold_allowed: bool


@record
class PcieLink:
    """How a link trained, and what both ends could. Widths are lanes; speeds as the kernel writes them."""

    width: int
    max_width: int
    speed: str
    max_speed: str


@record
class VirtualFunction:
    """What the driver of a physical function says of one of its virtual ones; None where it does not say."""

    number: int
    settings: VfSettings


@record
class Interface:
    """A network interface on the function. `up`: IFF_UP; `random`: its driver has made up its MAC (addr_assign_type).

    `functions`: the virtual ones of a physical function, none where its driver does not say; None: it was not asked.
    `without_mac`: the numbers of those that it gives no MAC, as hosts were recorded before `functions`.
    """

    name: str
    mac: str | None
    up: bool
    random: bool = False
    without_mac: tuple[int, ...] | None = None
    functions: tuple[VirtualFunction, ...] | None = None

    def function(self, number: int) -> VfSettings | None:
        """What it says of this one; None: nothing."""
        return next((one.settings for one in self.functions or () if one.number == number), None)


# mounted, swap, holder (dm, md, bcache), member (of LVM, ZFS, RAID): data is lost if the device goes. The others are
# idle uses, which `allow: [in-use]` lifts; of a path (dm-multipath) another function has one too, by the same `name`.
UseKind = Literal[
    "mounted",
    "swap",
    "holder",
    "member",
    "path",
    "route",
    "interface",
    "master",
    "display",
    "console",
    "input",
    "process",
]


@record
class Use:
    """Something of the host's that needs the function: `what` says it in words, as `nvme0n1p2 on /`.

    `name` is what a command would name: the mount point, the swap device, the interface, a process's comm. `unit`: the
    service of systemd that a process belongs to, by its cgroup; of a user's own manager with his uid, `1000:a.service`.
    """

    kind: UseKind
    what: str
    name: str = ""
    pid: int | None = None  # of a process
    unit: str | None = None


@record
class BlockDevice:
    """A whole disk of the host on the function, by its name in /dev. `size`: bytes; None where the kernel has none."""

    name: str
    size: int | None


@record(many=True)
class PciFunction:
    """One PCI function. `id` and `subsystem` are vendor:device, four hex digits each; `class_code` six.

    `reset` is empty where there is no method; `reset_off`: an administrator emptied it. `parent` is the bridge above.
    `iommu` is the unit (dmar0). `config`: None, not recorded; Missing asleep: reading would wake the device.
    `rom`: the shadow is a copy the firmware left at 0xc0000. `messages`: msi_bus of the function and of all bridges
    above it. `errors`: totals of aer_dev_*, by correctable, nonfatal, fatal. `vfio`: the name of its vfio-dev.
    `removable`: behind a port that leads out of the machine (Thunderbolt, USB4).
    """

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
    parent: PciAddress | None = None
    iommu: str | None = None
    config: Config | Missing | None = None
    reset_off: bool = False
    irq: int | None = None
    messages: bool = True
    boot_vga: bool = False
    rom: Literal["none", "bar", "shadow"] = "none"
    power: Power | None = None
    link: PcieLink | Missing | None = None
    errors: dict[str, int] = field(default_factory=dict)
    sriov: Sriov | None = None
    interfaces: tuple[Interface, ...] = ()
    uses: tuple[Use, ...] = ()
    disks: tuple[BlockDevice, ...] = ()
    vfio: str | None = None
    removable: bool = False


@record
class MediatedDevice:
    """A device that a driver of the host makes out of one of its own (mdev); `address` is its UUID.

    `type` is what the driver calls its kind (mtty-2), and `name` that in words; `api` what it is to VFIO: vfio-pci
    where a guest finds it as a PCI function. `parent` is the device that it is a part of, as sysfs calls it. `driver`
    is on the bus mdev. `group` has no other member. `vfio`: the name of its vfio-dev.
    """

    address: Mdev
    type: str
    name: str | None
    api: str | None
    parent: str
    driver: str | None
    node: int | None
    group: int | None
    vfio: str | None = None


@record
class MediatedType:
    """What a driver makes mediated devices of, by its own name for it (mtty-2): `label` is that in words, `api` what
    one is to VFIO, `available` how many more of it there can be now. None: the driver does not say."""

    name: str
    label: str | None
    api: str | None
    available: int | None


@record
class MediatedParent:
    """A device of the host whose driver makes mediated devices, by its name in /sys/class/mdev_bus."""

    name: str
    types: tuple[MediatedType, ...] = ()
    node: int | None = None


@record
class ReservedRegion:
    """One line of reserved_regions; both ends belong to it. `kind` is the kernel's word."""

    start: Hex
    last: Hex
    kind: str


@record(many=True)
class IommuGroup:
    """`name` is `vfio-noiommu` for a group that is none; `others`: members that are no PCI functions.

    `other_drivers`: the drivers of those of them that have one, by member.
    """

    number: int
    kind: str | Missing
    devices: tuple[PciAddress, ...]
    reserved: tuple[ReservedRegion, ...] | Missing
    name: str | None = None
    others: tuple[str, ...] = ()
    other_drivers: dict[str, str] = field(default_factory=dict)


@record
class IommuUnit:
    """One of /sys/class/iommu. None: not known for this kind. `remaps`: it is able to remap interrupts.

    `snoops`: it can force devices to be coherent. `domains` of `most_domains` ids are taken.
    """

    name: str
    address_bits: int | None
    snoops: bool | None = None
    remaps: bool | None = None
    domains: int | None = None
    most_domains: int | None = None


@record
class Iommu:
    """`kind` is Intel VT-d, AMD-Vi, virtio-iommu or what sysfs calls it; `address_bits` what its narrowest unit has."""

    kind: str
    address_bits: int | None
    units: tuple[IommuUnit, ...] = ()


# The programs that serve disks, shares and user networks.
ENGINES = ("qemu-storage-daemon", "virtiofsd", "passt")


@record
class Program:
    """An engine that is installed. `version` is the word after its name in what `--version` says, empty where it says
    none; `kind` tells the two programs called virtiofsd apart. `vhost_user`: of the others, whether they have it.
    `loose`: somebody who may do less than who starts it could change it, and so it was not asked.
    """

    path: str
    version: str = ""
    kind: Literal["c", "rust"] | None = None
    vhost_user: bool | None = None
    loose: bool = False


@record
class Link:
    """A network interface that is no function's. `owner` and `group`: who else than root may open a tap (None: nobody).

    `attached`: a process has the tap open (its carrier), None where that cannot be seen; `holders`: which, as far as we
    may look. `ports`: of a bridge; `no_vlan`: it filters VLANs, and puts a new port in none.
    """

    name: str
    kind: Literal["bridge", "tap", "tun", "other"]
    mac: str | None = None
    mtu: int | None = None
    up: bool = False
    master: str | None = None
    ports: tuple[str, ...] = ()
    no_vlan: bool = False
    owner: int | None = None
    group: int | None = None
    multi_queue: bool = False
    vnet_header: bool = False
    persistent: bool = False
    attached: bool | None = None
    holders: tuple[Holder, ...] = ()


@record
class OtherVm:
    """A VM of this user that is up, as far as it takes what only one can have."""

    name: str
    macs: tuple[str, ...] = ()
    cid: int | None = None
    images: tuple[str, ...] = ()  # device:inode of those that its guest writes
    taps: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()  # device:inode of the images that it only reads
    variables: str = ""  # the path of its firmware's


@record
class Serving:
    """What disks, networks, shares and vsock of a guest need of the host.

    `programs` by name: qemu-storage-daemon, virtiofsd, passt; only those that are there. `nodes`: /dev/net/tun,
    /dev/vhost-net, /dev/vhost-vsock. `modules`: of tun, vhost_net, vhost_vsock and bridge, those that are loaded, built
    in or can be loaded. `user_namespaces`: how many there may be; `unprivileged`: the setting that keeps ordinary users
    from making one; `name_space`: what the kernel has answered to who asked for one, `made` or the name of an errno
    (None: nobody has asked). `shmem`: the mode chosen in transparent_hugepage/shmem_enabled. `file_size`: bytes that
    one file of this process may have (`ulimit -f`). `vhost_regions`: pieces of memory that vhost takes
    (max_mem_regions). `links_of_another`: `links` are those of another network namespace than this process is in.
    """

    programs: dict[str, Program] = field(default_factory=dict)
    nodes: tuple[DeviceNode, ...] = ()
    modules: tuple[str, ...] | Missing = ()
    links: tuple[Link, ...] = ()
    vms: tuple[OtherVm, ...] = ()
    user_namespaces: int | None = None
    unprivileged: str | None = None
    shmem: str | None = None
    file_size: int | None = None
    name_space: str | None = None
    vhost_regions: int | None = None
    links_of_another: bool = False


@record
class FirmwareImage:
    """Firmware for guests that is installed. `template`: the variables that it comes with, empty where it has none;
    `template_head`: its first bytes, hexadecimal, which say how variables lie. `smm`: a build that needs System
    Management Mode: it was not read."""

    path: str
    kind: Literal["bios", "uefi"]
    size: int = 0
    sha256: str = ""
    template: str = ""
    template_size: int = 0
    template_sha256: str = ""
    template_head: str = ""
    smm: bool = False


@record
class HostFacts:
    """Everything the planner may know. Numbers that move by themselves reach a plan only as bounds.

    `gone`: functions that were taken away while this host was looked at; they are in `pci` no more. `recorded_at` and
    `boot_id` say how old all the rest is: None, as hosts were recorded before.
    """

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
    gone: tuple[PciAddress, ...] = ()
    mediated: tuple[MediatedDevice, ...] = ()
    mediated_parents: tuple[MediatedParent, ...] = ()
    linux: Linux = Linux()
    firmware: Firmware = Firmware()
    device_nodes: tuple[DeviceNode, ...] | None = None  # None: not recorded
    confinement: Confinement | None = None  # None: not recorded
    serving: Serving | None = None  # None: not recorded, or the spec has nothing that needs it
    boot_firmware: tuple[FirmwareImage, ...] | None = None  # None: not recorded, or the spec needs none of the host's
    note: str = ""  # where a recorded host comes from
    recorded_at: Moment | None = None
    boot_id: str | None = None  # another one since each start of the kernel
