"""What a spec may say of disks, NICs, shares, vsock and cloud-init, which processes of the host serve. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from launcher.spec import whole
from launcher.spec.problems import refuse
from launcher.spec.section import BootOrder, Section, is_, is_there
from launcher.spec.shapes import (
    Cid,
    DiskPath,
    Interface,
    NicMac,
    SharePath,
    SocketPath,
    Text,
    User,
)

MOST_QUEUES = 64  # each has a vector, and the engine a thread's worth of work


class Disk(Section):
    """A disk of the guest, by virtio-blk: an image or a block device of the host."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["path"]}, {"required": ["socket"]}],
            "dependentRequired": {"format": ["path"]},
            "allOf": [
                {"if": is_("discard", True), "then": {**is_there("path"), "not": is_("readonly", True)}},
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
