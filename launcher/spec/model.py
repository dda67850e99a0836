"""Plain data out of a YAML file in, a frozen VmSpec out. The one description of what a spec may say. Pure.

Its records, and how what is valid is read without this, is rendered of it (`launcher/spec/parts.py`): `./dev generate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from launcher.spec import consent, parts, short_forms, whole
from launcher.spec.kinds import all_kinds
from launcher.spec.problems import refuse
from launcher.spec.shapes import (
    NAME,
    TAG,
    Alias,
    Blocker,
    BootText,
    Cid,
    Cmdline,
    DeviceClass,
    DeviceId,
    DiskPath,
    Firmware,
    GuestAddress,
    HostAddress,
    Interface,
    Mac,
    MemoryAddress,
    Name,
    NicMac,
    Pin,
    Rom,
    SharePath,
    Size,
    SocketPath,
    Text,
    User,
    Version,
)
from launcher.values import LAST_VLAN

Pages = Literal["4KiB", "thp", "2MiB", "1GiB"]
Count = Annotated[int, Field(ge=1, le=4096)]
BootOrder = Annotated[int, Field(ge=1, le=999)]
MOST_QUEUES = 64  # each has a vector, and the engine a thread's worth of work


class Section(BaseModel):
    """What all parts of a spec have in common: frozen, strict, no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @property
    def said(self) -> frozenset[str]:
        """The fields that the spec names itself."""
        return frozenset(self.model_fields_set)

    def as_part(self) -> Any:
        """The record of it, as `launcher.spec.parts` reads what is valid at once."""
        values = {name: _as_part(getattr(self, name)) for name in type(self).model_fields}
        return getattr(parts, type(self).__name__)(**values, said=self.said)


def _as_part(value: Any) -> Any:
    if isinstance(value, Section):
        return value.as_part()
    if isinstance(value, tuple):
        return tuple(map(_as_part, value))
    return MappingProxyType({key: _as_part(one) for key, one in value.items()}) if isinstance(value, Mapping) else value


def _count_or_topology(schema: dict[str, Any]) -> None:
    """`count` is made of the topology where only that is there."""
    schema["anyOf"] = [{"required": [key]} for key in ("count", "topology")]
    del schema["required"]


def _sets_something(schema: dict[str, Any]) -> None:
    """One of its keys at least, and not with null."""
    given = {"not": {"type": "null"}}
    schema["anyOf"] = [{"required": [key], "properties": {key: given}} for key in schema["properties"]]


def _is(key: str, value: object) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"const": value}}}


def _is_there(key: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


_NO_TEXT: dict[str, Any] = {"type": ["string", "null"], "maxLength": 0}


class Boot(Section):
    """What the guest starts with: a kernel, or firmware that finds its boot loader on a disk."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["kernel"]}, {"required": ["firmware"]}],
            "dependentRequired": {"initrd": ["kernel"], "variables": ["firmware"]},
            "allOf": [
                {"if": _is("firmware", "bios"), "then": {"properties": {"variables": {"type": "null"}}}},
                {"if": _is_there("firmware"), "then": {"properties": {"cmdline": _NO_TEXT}}},
            ],
        }
    )

    kernel: Text | None = Field(
        default=None,
        title="path",
        description="The kernel: a bzImage, an ELF with a PVH entry, or a unified kernel image, whose initial RAM disk "
        "and command line hold where the spec names none; told by its signature. The path is relative to the spec.",
        examples=["./bzImage"],
    )
    initrd: Text | None = Field(
        default=None,
        title="path",
        description="The initial RAM disk, loaded as it is. The path is relative to the spec.",
        examples=["./initrd.img"],
    )
    cmdline: Cmdline = Field(
        default="",
        title="text",
        description="The kernel command line, passed exactly as written; nothing is added. "
        "The guest's console is the serial port ttyS0.",
        examples=["console=ttyS0 root=/dev/nvme0n1p2 ro"],
    )
    firmware: Firmware | None = Field(
        default=None,
        title="uefi, bios or a path",
        description="In place of `kernel`: firmware, which boots from the guest's disks. `uefi` is the host's OVMF, "
        "`bios` its SeaBIOS; a path is that of a firmware of yours, told by its content. `boot: uefi` is short for "
        "`boot: {firmware: uefi}`.",
        examples=["uefi", "./OVMF_CODE.fd"],
    )
    variables: Text | None = Field(
        default=None,
        title="path",
        description="Where UEFI keeps its variables, boot entries among them, when the VM ends. Without it they are "
        "lost then. A file that is not there is made of the firmware's template.",
        examples=["./trainer.vars.fd"],
    )

    @model_validator(mode="after")
    def _whole(self) -> Boot:
        refuse(whole.of_boot(self))
        return self


class Topology(Section):
    """Sockets, cores and threads that the guest's vCPUs are to it."""

    sockets: Count = Field(
        default=1,
        title="whole number",
        description="How many processors there are. Each has a last-level cache of its own.",
        examples=[2],
    )
    cores: Count = Field(
        title="whole number",
        description="How many cores each socket has.",
        examples=[4],
    )
    threads: Count = Field(
        default=1,
        title="whole number",
        description="How many threads each core has. With `pin`, give those of one core CPUs of one core of the host.",
        examples=[2],
    )


class Cpus(Section):
    """The guest's vCPUs."""

    model_config = ConfigDict(json_schema_extra=_count_or_topology)

    count: Count = Field(
        title="whole number",
        description="How many vCPUs the guest has. `cpus: 8` is short for `cpus: {count: 8}`. It may be left out where "
        "`topology` says it.",
        examples=[8],
    )
    pin: Pin | None = Field(
        default=None,
        title="host CPUs",
        description="One host CPU for each vCPU, in order: a range, ranges with commas, or a list.",
        examples=["8-15", "8-11,16"],
    )
    topology: Topology | None = Field(
        default=None,
        title="mapping",
        description="What the vCPUs are to the guest: sockets, cores in each, threads in each core; as many in all as "
        "`count`. vCPUs count threads first, then cores. Without it they are the cores of one socket.",
        examples=[{"cores": 4, "threads": 2}],
    )
    nested: bool = Field(
        default=False,
        title="true or false",
        description="Whether the guest may start virtual machines of its own: it sees VMX or SVM, as far as KVM on the "
        "host offers it.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _whole(self) -> Cpus:
        refuse(whole.of_cpus(self))
        return self


class Bank(Section):
    """A part of the guest's memory with its own page size, host node or address."""

    size: Size = Field(
        title="size with unit",
        description="How much memory the bank has: a whole number with KiB, MiB, GiB or TiB. "
        "`memory: 64GiB` is short for one bank of that size.",
        examples=["64GiB", "512MiB"],
    )
    pages: Pages = Field(
        default="thp",
        description="The host pages behind it. `thp` lets the kernel make 2 MiB pages where it can; `2MiB` and `1GiB` "
        "are huge pages that the host must have reserved; vmlaunch prints the command and never reserves them itself.",
        examples=["1GiB"],
    )
    node: int | None = Field(
        default=None,
        ge=0,
        le=1023,
        title="whole number",
        description="The host NUMA node the memory comes from, strictly. Without it the kernel chooses.",
        examples=[1],
    )
    at: MemoryAddress | None = Field(
        default=None,
        title="guest address in hex",
        description="The guest address the bank starts at. Without it the planner finds a place that avoids what the "
        "IOMMU reserves.",
        examples=["0x1000000000"],
    )

    @model_validator(mode="after")
    def _whole(self) -> Bank:
        refuse(whole.of_bank(self))
        return self


class Match(Section):
    """Properties that find a device; every given one must hold."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    class_: DeviceClass | None = Field(
        default=None,
        alias="class",
        title="device class",
        description="What the device is, by the first hex digits of its PCI class, in quotes, such as "
        f'"0302", or by a word. {all_kinds()}.',
        examples=["nvme"],
    )
    id: DeviceId | None = Field(
        default=None,
        title="vendor:device",
        description="The vendor and device id, as `lspci -nn` shows them.",
        examples=["10de:2684"],
    )
    serial: Text | None = Field(
        default=None,
        title="text",
        description="The serial number, as `vmlaunch devices` shows it. Quote it when it is all digits.",
        examples=["S4EWNX0R123456"],
    )
    slot: Text | None = Field(
        default=None,
        title="text",
        description="The name of the physical slot, as the firmware gives it. Quote it when it is a number.",
        examples=["7"],
    )
    node: int | None = Field(
        default=None,
        ge=0,
        le=1023,
        title="whole number",
        description="The host NUMA node the device is attached to.",
        examples=[1],
    )
    pf: HostAddress | None = Field(
        default=None,
        title="PCI address",
        description="The physical function whose virtual functions are meant. With `pick: free` one that nothing uses.",
        examples=["0000:3b:00.0"],
    )

    @model_validator(mode="after")
    def _whole(self) -> Match:
        refuse(whole.of_match(self))
        return self


class Network(Section):
    """What the physical function of a virtual one is told of it while the VM runs."""

    model_config = ConfigDict(json_schema_extra=_sets_something)

    mac: Mac | None = Field(
        default=None,
        title="MAC address",
        description="The MAC that the guest's driver finds. Without it the virtual function keeps what it has; where "
        "that is none the guest's driver makes one up at each start (W243).",
        examples=["52:54:00:12:34:56"],
    )
    vlan: int | None = Field(
        default=None,
        ge=0,
        le=LAST_VLAN,
        title="whole number",
        description="The VLAN that the card puts all of the guest's frames into, and takes off again: the guest does "
        "not see it. 0 is none.",
        examples=[100],
    )
    trust: bool | None = Field(
        default=None,
        title="true or false",
        description="Whether the guest may do what the card keeps from others: another MAC, promiscuous mode.",
        examples=[False],
    )
    spoofcheck: bool | None = Field(
        default=None,
        title="true or false",
        description="Whether the card drops what the guest sends from another MAC than its own.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _whole(self) -> Network:
        refuse(whole.of_network(self))
        return self


class Device(Section):
    """A PCI device of the host that the guest gets."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["pci"]}, {"required": ["match"]}],
            "dependentRequired": {"vf": ["pci"], "pick": ["match"]},
        }
    )

    pci: HostAddress | None = Field(
        default=None,
        title="PCI address",
        description="The device's address on the host. `disk: 0000:02:00.0` is short for `disk: {pci: 0000:02:00.0}`.",
        examples=["0000:c1:00.0"],
    )
    vf: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        title="whole number",
        description="Take this virtual function (virtfnN) of the device at `pci`. It must exist already.",
        examples=[3],
    )
    match: Match | None = Field(
        default=None,
        title="properties",
        description="Find the device by its properties instead of its address.",
        examples=[{"id": "10de:2684", "node": 1}],
    )
    pick: Literal["one", "free"] = Field(
        default="one",
        description="What to do when several devices match: `one` refuses, `free` takes the one with the lowest "
        "address that no driver of the host's, no VM and no other alias has.",
        examples=["free"],
    )
    expect: DeviceId | None = Field(
        default=None,
        title="vendor:device",
        description="Refuse if another device is found there: slots are renumbered and cards move.",
        examples=["10de:2684"],
    )
    companions: Literal["refuse", "detach", "attach"] = Field(
        default="refuse",
        description="What to do with the rest of the device: `refuse` to run while a host driver holds another member "
        "of its IOMMU group, `detach` such members from the host, or `attach` to the guest all other functions of its "
        "card and of its group, whatever has them. Bridges stay on the host.",
        examples=["attach"],
    )
    bind: Literal["auto", "never"] = Field(
        default="auto",
        description="`auto` binds the device to vfio-pci on up and puts its old driver back on down; `never` expects "
        "that a driver has given it to VFIO already: vfio-pci or one of the vendor's.",
        examples=["never"],
    )
    rom: Rom = Field(
        default=True,
        title="true, false or a path",
        description="The option ROM the guest sees: true is the card's own, false is none, a path is a file, relative "
        "to the spec.",
        examples=[False, "./ad102.rom"],
    )
    guest: GuestAddress | None = Field(
        default=None,
        title="guest PCI address",
        description="The device's address in the guest, 00:10.0 to 00:1f.7. Without it devices follow each other from "
        "00:10.0 in the order of the file, a slot for each card; from the 17th card on they share slots, as further "
        "functions.",
        examples=["00:18.0"],
    )
    allow: Annotated[tuple[Blocker, ...], BeforeValidator(consent.listed)] = Field(
        default=(),
        strict=False,
        title="list",
        description="Blockers you accept for this device and its companions: `in-use` by an idle host user, "
        "`no-reset`, `unsafe-interrupts` on a host whose administrator has set that. `in-use=eth0`, or `in-use: "
        "eth0`, accepts the use of that name only (an interface, a console, a connector, a program, or the address of "
        "a function), so that other uses still block.",
        examples=[["no-reset"], ["in-use=eth0"]],
    )

    boot_order: BootOrder | None = Field(
        default=None,
        alias="boot-order",
        title="whole number",
        description="When the firmware tries to boot from it: 1 first. It goes with `boot: uefi` and `boot: bios`.",
        examples=[1],
    )
    network: Network | None = Field(
        default=None,
        title="mapping",
        description="Of a virtual function of a network card: MAC, VLAN, trust and the check against spoofing. They "
        "are set on the physical function's interface on up, and put back on down.",
        examples=[{"mac": "52:54:00:12:34:56", "vlan": 100}],
    )

    @model_validator(mode="after")
    def _whole(self) -> Device:
        refuse(whole.of_device(self))
        return self


class Disk(Section):
    """A disk of the guest, by virtio-blk: an image or a block device of the host."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["path"]}, {"required": ["socket"]}],
            "dependentRequired": {"format": ["path"]},
            "allOf": [
                {"if": _is("discard", True), "then": {**_is_there("path"), "not": _is("readonly", True)}},
            ],
        }
    )

    path: DiskPath | None = Field(
        default=None,
        title="path",
        description="The image or the block device, relative to the spec; qemu-storage-daemon serves it. "
        "`root: ./debian.qcow2` is short for `root: {path: ./debian.qcow2}`.",
        examples=["./debian.qcow2", "/dev/vg0/data"],
    )
    socket: SocketPath | None = Field(
        default=None,
        title="path",
        description="In place of `path`: the socket at which an engine of yours serves the disk by vhost-user, as "
        "SPDK does. It gets the guest's memory.",
        examples=["/run/spdk.sock"],
    )
    format: Literal["raw", "qcow2"] | None = Field(
        default=None,
        title="one of raw, qcow2",
        description="What the image is. Without it the name says it: qcow2 if it ends in .qcow2, else raw. The content "
        "is never asked, for the guest writes it; where it contradicts, the plan says so.",
        examples=["qcow2"],
    )
    readonly: bool = Field(
        default=False,
        title="true or false",
        description="Whether the guest can only read it. An image that several VMs use at once has to be; "
        "an engine at a `socket` has to offer the disk so.",
        examples=[True],
    )
    queues: Annotated[int, Field(ge=1, le=MOST_QUEUES)] = Field(
        default=1,
        title="whole number",
        description="How many request queues the guest's driver has: one for each vCPU at most is of use.",
        examples=[4],
    )
    discard: bool = Field(
        default=False,
        title="true or false",
        description="Whether what the guest discards (fstrim) is given back to the host.",
        examples=[True],
    )
    boot_order: BootOrder | None = Field(
        default=None,
        alias="boot-order",
        title="whole number",
        description="When the firmware tries to boot from it: 1 first. Where nothing has one, the firmware tries what "
        "it finds, in an order of its own. It goes with `boot: uefi` and `boot: bios`.",
        examples=[1],
    )

    @model_validator(mode="after")
    def _whole(self) -> Disk:
        refuse(whole.of_disk(self))
        return self


class Nic(Section):
    """A network card of the guest, by virtio-net."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [key]} for key in ("bridge", "tap", "socket", "user")],
            "dependentRequired": {"mtu": ["bridge"]},
        }
    )

    bridge: Interface | None = Field(
        default=None,
        title="name of an interface",
        description="The bridge of the host that it joins, by a tap that is made on up and gone on down. vhost-net "
        "serves it.",
        examples=["br0"],
    )
    tap: Interface | None = Field(
        default=None,
        title="name of an interface",
        description="A tap that is there already, as an administrator has made it for a user. vhost-net serves it.",
        examples=["vmtap0"],
    )
    socket: SocketPath | None = Field(
        default=None,
        title="path",
        description="The socket at which an engine of yours serves the NIC by vhost-user, as DPDK does. It gets the "
        "guest's memory.",
        examples=["/run/vhost-nic.sock"],
    )
    user: User | None = Field(
        default=None,
        title="`true`, or a mapping without keys",
        description="The network that needs no rights: passt makes the guest's connections as the host's user. "
        "Nobody reaches the guest. `inet: user` is short for `inet: {user: true}`.",
        examples=[True],
    )
    mac: NicMac | None = Field(
        default=None,
        title="MAC address",
        description="The guest's MAC. Without it one that follows from the names of VM and NIC, 52:54:00 and three "
        "bytes more: the plan shows it, and it stays.",
        examples=["52:54:00:aa:00:01"],
    )
    mtu: Annotated[int, Field(ge=68, le=65521)] | None = Field(
        default=None,
        title="whole number",
        description="The largest packet, which the guest is told, too. Without it the bridge's. It goes with `bridge`: "
        "a tap that is there already has its own.",
        examples=[9000],
    )

    @model_validator(mode="after")
    def _whole(self) -> Nic:
        refuse(whole.of_nic(self))
        return self


class Share(Section):
    """A folder of the host that the guest can mount, by virtiofs."""

    path: SharePath = Field(
        title="path",
        description="The folder, relative to the spec; virtiofsd serves it. `work: ./src` is short for "
        "`work: {path: ./src}`. In the guest: `mount -t virtiofs work /mnt`.",
        examples=["./src"],
    )
    readonly: bool = Field(
        default=False,
        title="true or false",
        description="Whether the guest can only read it.",
        examples=[True],
    )


class Vsock(Section):
    """Sockets between guest and host, by vhost-vsock."""

    cid: Cid = Field(
        default="auto",
        title="whole number or auto",
        description="The guest's context id, 3 to 4294967294, by which the host reaches it. `auto` is one that follows "
        "from the VM's name: the plan shows it, and it stays.",
        examples=[42, "auto"],
    )


class CloudInit(Section):
    """What cloud-init finds in the guest."""

    user_data: Text = Field(
        alias="user-data",
        title="path",
        description="The file with what is to be done: users, keys, packages. Its first line is `#cloud-config`, "
        "unless it is a script. The path is relative to the spec.",
        examples=["./user-data"],
    )
    meta_data: Text | None = Field(
        default=None,
        alias="meta-data",
        title="path",
        description="The file with the instance's id and host name. Without it the VM's name is the host name, and the "
        "id follows from the name, so that cloud-init does its first start once.",
        examples=["./meta-data"],
    )
    network_config: Text | None = Field(
        default=None,
        alias="network-config",
        title="path",
        description="The file that says how the guest's networks are set up. Without it each of `nics` asks for its "
        "address by DHCP, found by its MAC.",
        examples=["./network-config"],
    )


def _open_to_editors(schema: dict[str, Any]) -> None:
    """`name` comes from the file's name, and x- keys are dropped before the model sees them."""
    schema["required"].remove("name")
    schema["patternProperties"] = {"^x-": {"description": "Yours: ignored here, a home for YAML anchors."}}


ShortBoot = Annotated[Boot, BeforeValidator(short_forms.boot, json_schema_input_type=Boot | BootText)]
ShortCpus = Annotated[Cpus, BeforeValidator(short_forms.cpus, json_schema_input_type=Cpus | Count)]
ShortDevice = Annotated[Device, BeforeValidator(short_forms.device, json_schema_input_type=Device | HostAddress)]
Banks = Annotated[
    tuple[Bank, ...],
    Field(strict=False),
    BeforeValidator(short_forms.banks, json_schema_input_type=Annotated[list[Bank], Field(min_length=1)] | Size),
]
Devices = Annotated[
    Mapping[Alias, ShortDevice],
    AfterValidator(MappingProxyType),
    PlainSerializer(dict, return_type=dict[str, Device]),
]
ShortDisk = Annotated[Disk, BeforeValidator(short_forms.disk, json_schema_input_type=Disk | DiskPath)]
ShortNic = Annotated[
    Nic, BeforeValidator(short_forms.nic, json_schema_input_type=Nic | Literal["user"] | Literal[True])
]
ShortShare = Annotated[Share, BeforeValidator(short_forms.share, json_schema_input_type=Share | SharePath)]
ShortVsock = Annotated[Vsock | None, BeforeValidator(short_forms.vsock, json_schema_input_type=Vsock | bool | Cid)]
Disks = Annotated[
    Mapping[Alias, ShortDisk], AfterValidator(MappingProxyType), PlainSerializer(dict, return_type=dict[str, Disk])
]
Nics = Annotated[
    Mapping[Alias, ShortNic], AfterValidator(MappingProxyType), PlainSerializer(dict, return_type=dict[str, Nic])
]
Shares = Annotated[
    Mapping[Alias, ShortShare], AfterValidator(MappingProxyType), PlainSerializer(dict, return_type=dict[str, Share])
]


class VmSpec(Section):
    """One virtual machine: what is wanted. It knows no host."""

    model_config = ConfigDict(json_schema_extra=_open_to_editors)

    vmlaunch: Version = Field(
        default=1,
        title="format version",
        description="The version of this format. Absent means 1.",
        examples=[1],
    )
    name: Name = Field(
        title="name",
        description="The VM's name in ps, logs and messages. Without it, the file's name without its ending.",
        examples=["trainer"],
    )
    boot: ShortBoot = Field(
        title="mapping, or uefi, bios or a path",
        description="The kernel, its initrd and its command line; or firmware, which boots from the guest's disks.",
        examples=[{"kernel": "./bzImage", "cmdline": "console=ttyS0"}, "uefi"],
    )
    cpus: ShortCpus = Field(
        title="whole number or mapping",
        description="The vCPUs: a number, or a mapping with count, pin, topology and nested.",
        examples=[2, {"count": 8, "pin": "8-15"}],
    )
    memory: Banks = Field(
        title="size with unit or list",
        description="The memory: a size, or a list of banks. With devices, VFIO locks all of it on the host while the "
        "VM runs.",
        examples=["4GiB", [{"size": "32GiB", "pages": "1GiB", "node": 1}]],
    )
    devices: Devices = Field(
        default_factory=lambda: MappingProxyType({}),
        title="mapping",
        description="The host devices the guest gets. The key is the alias used in plan, ps, logs and messages; the "
        "value is the host address, or a mapping.",
        examples=[{"disk": "0000:02:00.0"}],
        json_schema_extra={"propertyNames": {"pattern": NAME}},
    )

    disks: Disks = Field(
        default_factory=lambda: MappingProxyType({}),
        title="mapping",
        description="The guest's disks, which are images and block devices. The key is the alias; the value is a path, "
        "or a mapping. A drive of the host that the guest is to have whole is one of `devices`.",
        examples=[{"root": "./debian.qcow2"}],
        json_schema_extra={"propertyNames": {"pattern": NAME}},
    )
    nics: Nics = Field(
        default_factory=lambda: MappingProxyType({}),
        title="mapping",
        description="The guest's network cards. The key is the alias; the value says what it is connected to: a "
        "bridge, a tap, an engine's socket, or `user`.",
        examples=[{"lan": {"bridge": "br0"}, "inet": "user"}],
        json_schema_extra={"propertyNames": {"pattern": NAME}},
    )
    shares: Shares = Field(
        default_factory=lambda: MappingProxyType({}),
        title="mapping",
        description="Folders of the host that the guest can mount. The key is the alias and the tag, of at most 36 "
        "characters; the value is a path, or a mapping.",
        examples=[{"work": "./src"}],
        json_schema_extra={"propertyNames": {"pattern": TAG}},
    )
    vsock: ShortVsock = Field(
        default=None,
        title="context id, or whether there is one",
        description="Sockets between guest and host: `true`, or the guest's context id.",
        examples=[True, 42],
    )
    cloud_init: CloudInit | None = Field(
        default=None,
        alias="cloud-init",
        title="mapping",
        description="What cloud-init finds in the guest when it starts for the first time: a small disk that is only "
        "read, labelled CIDATA and made in memory (NoCloud).",
        examples=[{"user-data": "./user-data"}],
    )
    vfio: Literal["auto", "type1", "iommufd"] = Field(
        default="auto",
        description="By which of the kernel's two ways devices are passed. `auto` takes `type1`, by groups and a "
        "container, where the host has it, and else `iommufd`, by nodes of the devices themselves. By `iommufd` "
        "devices do not reach each other's memory.",
        examples=["iommufd"],
    )
    confine: Literal["auto", "required"] = Field(
        default="auto",
        description="The process that runs the guest gives up what it no longer needs. A kernel that lacks one of the "
        "measures costs that measure only (`auto`), or the VM does not run (`required`).",
        examples=["required"],
    )

    @model_validator(mode="after")
    def _whole(self) -> VmSpec:
        refuse(whole.of_vm_spec(self))
        return self
