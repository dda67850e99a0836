"""What a spec may say of the host's devices that the guest gets. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from launcher.spec import consent, short_forms, whole
from launcher.spec.kinds import all_kinds
from launcher.spec.problems import refuse
from launcher.spec.rules import NOT_OF_MDEV
from launcher.spec.section import BootOrder, Section, is_there
from launcher.spec.shapes import (
    Blocker,
    DeviceClass,
    DeviceId,
    GuestAddress,
    HostAddress,
    Mac,
    MdevName,
    MdevUuid,
    Rom,
    Text,
)
from launcher.values import LAST_VLAN


def _sets_something(schema: dict[str, Any]) -> None:
    """One of its keys at least, and not with null."""
    given = {"not": {"type": "null"}}
    schema["anyOf"] = [{"required": [key], "properties": {key: given}} for key in schema["properties"]]


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


class Vgpu(Section):
    """A mediated device: one that is there, any of a type, or one that is made on up and removed on down."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["uuid", "parent", "type"]},
                {"required": ["uuid"], "not": {"required": ["type"]}},
                {"required": ["type"], "not": {"required": ["uuid"]}},
            ],
            "dependentRequired": {"parent": ["type"]},
        }
    )

    uuid: MdevUuid | None = Field(
        default=None,
        title="UUID",
        description="The one of this UUID: `gpu: {mdev: 83b8f4f2-...}` is short for `{mdev: {uuid: 83b8f4f2-...}}`. "
        "Beside `parent` and `type` it is made with this UUID; without it with one of the VM's name and the alias.",
        examples=["83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"],
    )
    parent: MdevName | None = Field(
        default=None,
        title="device",
        description="Whose driver makes it: the name of a device in /sys/class/mdev_bus, which for PCI devices is the "
        "address.",
        examples=["0000:41:00.0"],
    )
    type: MdevName | None = Field(
        default=None,
        title="type",
        description="What is made: a folder of the parent's mdev_supported_types. `vmlaunch devices` lists them. "
        "Without `parent` it is the first of this type that is there and nobody has; with `--only`, of those given.",
        examples=["nvidia-63"],
    )

    @model_validator(mode="after")
    def _whole(self) -> Vgpu:
        refuse(whole.of_vgpu(self))
        return self


ShortVgpu = Annotated[Vgpu | None, BeforeValidator(short_forms.mdev, json_schema_input_type=Vgpu | MdevUuid | None)]


class Device(Section):
    """A device of the host that the guest gets: a PCI device, or a mediated one."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [key]} for key in ("pci", "match", "mdev")],
            "dependentRequired": {"vf": ["pci"], "pick": ["match"]},
            "allOf": [
                {"if": is_there("mdev"), "then": {"properties": {key: {"type": "null"} for key in NOT_OF_MDEV}}},
            ],
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
    mdev: ShortVgpu = Field(
        default=None,
        title="UUID or mapping",
        description="A mediated device, which a driver of the host makes: a vGPU, for one. A UUID names one that is "
        "there (/sys/bus/mdev/devices); with `parent` and `type` one is made on up and removed on down. The driver "
        "keeps it, and nothing is bound.",
        examples=["83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", {"parent": "0000:41:00.0", "type": "nvidia-63"}],
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
