"""The parts of a spec, and how each is read and written. Made from the model by `./dev generate`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from launcher.record import field, record
from launcher.spec import addresses, consent, cpu_list, scalars, served, short_forms, sizes, whole
from launcher.spec.reading import Form, Key, by_name, each, lengthened, number, one_of, optional, truth
from launcher.typed import Any, Literal
from launcher.values import Mdev, PciAddress


@record
class Topology:
    """Sockets, cores and threads that the guest's vCPUs are to it."""

    cores: int
    sockets: int = 1
    threads: int = 1
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


TOPOLOGY = Form(
    Topology,
    {
        "sockets": Key("sockets", number(1, 4096)),
        "cores": Key("cores", number(1, 4096)),
        "threads": Key("threads", number(1, 4096)),
    },
)


@record
class Match:
    """Properties that find a device; every given one must hold."""

    class_: str | None = None
    id: str | None = None
    serial: str | None = None
    slot: str | None = None
    node: int | None = None
    pf: PciAddress | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


MATCH = Form(
    Match,
    {
        "class": Key("class_", optional(addresses.device_class)),
        "id": Key("id", optional(addresses.device_id)),
        "serial": Key("serial", optional(scalars.text)),
        "slot": Key("slot", optional(scalars.text)),
        "node": Key("node", optional(number(0, 1023))),
        "pf": Key("pf", optional(addresses.host_address), str),
    },
    whole.of_match,
)


@record
class Vgpu:
    """A mediated device: one that is there, any of a type, or one that is made on up and removed on down."""

    uuid: Mdev | None = None
    parent: str | None = None
    type: str | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


VGPU = Form(
    Vgpu,
    {
        "uuid": Key("uuid", optional(addresses.mdev), str),
        "parent": Key("parent", optional(addresses.mdev_name)),
        "type": Key("type", optional(addresses.mdev_name)),
    },
    whole.of_vgpu,
)


@record
class Network:
    """What the physical function of a virtual one is told of it while the VM runs."""

    mac: str | None = None
    vlan: int | None = None
    trust: bool | None = None
    spoofcheck: bool | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


NETWORK = Form(
    Network,
    {
        "mac": Key("mac", optional(addresses.mac)),
        "vlan": Key("vlan", optional(number(0, 4094))),
        "trust": Key("trust", optional(truth)),
        "spoofcheck": Key("spoofcheck", optional(truth)),
    },
    whole.of_network,
)


@record
class Boot:
    """What the guest starts with: a kernel, or firmware that finds its boot loader on a disk."""

    kernel: str | None = None
    initrd: str | None = None
    cmdline: str = ""
    firmware: str | None = None
    variables: str | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


BOOT = Form(
    Boot,
    {
        "kernel": Key("kernel", optional(scalars.text)),
        "initrd": Key("initrd", optional(scalars.text)),
        "cmdline": Key("cmdline", scalars.cmdline),
        "firmware": Key("firmware", optional(scalars.firmware)),
        "variables": Key("variables", optional(scalars.text)),
    },
    whole.of_boot,
)


@record
class CloudInit:
    """What cloud-init finds in the guest."""

    user_data: str
    meta_data: str | None = None
    network_config: str | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


CLOUD_INIT = Form(
    CloudInit,
    {
        "user-data": Key("user_data", scalars.text),
        "meta-data": Key("meta_data", optional(scalars.text)),
        "network-config": Key("network_config", optional(scalars.text)),
    },
)


@record
class Cpus:
    """The guest's vCPUs."""

    count: int
    pin: tuple[int, ...] | None = None
    topology: Topology | None = None
    nested: bool = False
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


CPUS = Form(
    Cpus,
    {
        "count": Key("count", number(1, 4096)),
        "pin": Key("pin", optional(cpu_list.pin)),
        "topology": Key("topology", optional(TOPOLOGY.read)),
        "nested": Key("nested", truth),
    },
    whole.of_cpus,
)


@record
class Device:
    """A device of the host that the guest gets: a PCI device, or a mediated one."""

    pci: PciAddress | None = None
    vf: int | None = None
    match: Match | None = None
    pick: Literal["one", "free"] = "one"
    mdev: Vgpu | None = None
    expect: str | None = None
    companions: Literal["refuse", "detach", "attach"] = "refuse"
    bind: Literal["auto", "never"] = "auto"
    rom: bool | str = True
    guest: PciAddress | None = None
    allow: tuple[str, ...] = ()
    boot_order: int | None = None
    network: Network | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


DEVICE = Form(
    Device,
    {
        "pci": Key("pci", optional(addresses.host_address), str),
        "vf": Key("vf", optional(number(0, 65535))),
        "match": Key("match", optional(MATCH.read)),
        "pick": Key("pick", one_of("one", "free")),
        "mdev": Key("mdev", lengthened(short_forms.mdev, optional(VGPU.read))),
        "expect": Key("expect", optional(addresses.device_id)),
        "companions": Key("companions", one_of("refuse", "detach", "attach")),
        "bind": Key("bind", one_of("auto", "never")),
        "rom": Key("rom", scalars.rom),
        "guest": Key("guest", optional(addresses.guest_address), addresses.guest_text),
        "allow": Key("allow", lengthened(consent.listed, each(consent.word))),
        "boot-order": Key("boot_order", optional(number(1, 999))),
        "network": Key("network", optional(NETWORK.read)),
    },
    whole.of_device,
)


@record
class Disk:
    """A disk of the guest, by virtio-blk: an image or a block device of the host."""

    path: str | None = None
    socket: str | None = None
    format: Literal["raw", "qcow2"] | None = None
    readonly: bool = False
    queues: int = 1
    discard: bool = False
    boot_order: int | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


DISK = Form(
    Disk,
    {
        "path": Key("path", optional(served.disk_path)),
        "socket": Key("socket", optional(served.socket_path)),
        "format": Key("format", optional(one_of("raw", "qcow2"))),
        "readonly": Key("readonly", truth),
        "queues": Key("queues", number(1, 64)),
        "discard": Key("discard", truth),
        "boot-order": Key("boot_order", optional(number(1, 999))),
    },
    whole.of_disk,
)


@record
class Bank:
    """A part of the guest's memory with its own page size, host node or address."""

    size: int
    pages: Literal["4KiB", "thp", "2MiB", "1GiB"] = "thp"
    node: int | None = None
    at: int | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


BANK = Form(
    Bank,
    {
        "size": Key("size", sizes.size, sizes.size_text),
        "pages": Key("pages", one_of("4KiB", "thp", "2MiB", "1GiB")),
        "node": Key("node", optional(number(0, 1023))),
        "at": Key("at", optional(addresses.memory_address), hex),
    },
    whole.of_bank,
)


@record
class Nic:
    """A network card of the guest, by virtio-net."""

    bridge: str | None = None
    tap: str | None = None
    socket: str | None = None
    user: bool | None = None
    mac: str | None = None
    mtu: int | None = None
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


NIC = Form(
    Nic,
    {
        "bridge": Key("bridge", optional(served.interface)),
        "tap": Key("tap", optional(served.interface)),
        "socket": Key("socket", optional(served.socket_path)),
        "user": Key("user", optional(served.user)),
        "mac": Key("mac", optional(served.mac)),
        "mtu": Key("mtu", optional(number(68, 65521))),
    },
    whole.of_nic,
)


@record
class Share:
    """A folder of the host that the guest can mount, by virtiofs."""

    path: str
    readonly: bool = False
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


SHARE = Form(
    Share,
    {
        "path": Key("path", served.share_path),
        "readonly": Key("readonly", truth),
    },
)


@record
class Vsock:
    """Sockets between guest and host, by vhost-vsock."""

    cid: int | str = "auto"
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


VSOCK = Form(
    Vsock,
    {
        "cid": Key("cid", served.cid),
    },
)


@record
class VmSpec:
    """One virtual machine: what is wanted. It knows no host."""

    name: str
    boot: Boot
    cpus: Cpus
    memory: tuple[Bank, ...]
    vmlaunch: int = 1
    devices: Mapping[str, Device] = field(default_factory=lambda: MappingProxyType({}))
    disks: Mapping[str, Disk] = field(default_factory=lambda: MappingProxyType({}))
    nics: Mapping[str, Nic] = field(default_factory=lambda: MappingProxyType({}))
    shares: Mapping[str, Share] = field(default_factory=lambda: MappingProxyType({}))
    vsock: Vsock | None = None
    cloud_init: CloudInit | None = None
    vfio: Literal["auto", "type1", "iommufd"] = "auto"
    confine: Literal["auto", "required"] = "auto"
    said: frozenset[str] = frozenset()  # the fields that the spec names itself


VM_SPEC = Form(
    VmSpec,
    {
        "vmlaunch": Key("vmlaunch", scalars.version),
        "name": Key("name", scalars.name),
        "boot": Key("boot", lengthened(short_forms.boot, BOOT.read)),
        "cpus": Key("cpus", lengthened(short_forms.cpus, CPUS.read)),
        "memory": Key("memory", lengthened(short_forms.banks, each(BANK.read))),
        "devices": Key("devices", by_name(scalars.alias, lengthened(short_forms.device, DEVICE.read))),
        "disks": Key("disks", by_name(scalars.alias, lengthened(short_forms.disk, DISK.read))),
        "nics": Key("nics", by_name(scalars.alias, lengthened(short_forms.nic, NIC.read))),
        "shares": Key("shares", by_name(scalars.alias, lengthened(short_forms.share, SHARE.read))),
        "vsock": Key("vsock", lengthened(short_forms.vsock, optional(VSOCK.read))),
        "cloud-init": Key("cloud_init", optional(CLOUD_INIT.read)),
        "vfio": Key("vfio", one_of("auto", "type1", "iommufd")),
        "confine": Key("confine", one_of("auto", "required")),
    },
    whole.of_vm_spec,
)

SECTIONS: dict[str, Form[Any]] = {
    "": VM_SPEC,
    "boot": BOOT,
    "cpus": CPUS,
    "cpus.topology": TOPOLOGY,
    "memory": BANK,
    "devices": DEVICE,
    "devices.match": MATCH,
    "devices.mdev": VGPU,
    "devices.network": NETWORK,
    "disks": DISK,
    "nics": NIC,
    "shares": SHARE,
    "vsock": VSOCK,
    "cloud-init": CLOUD_INIT,
}
