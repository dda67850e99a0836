"""Plain data out of a YAML file in, a frozen VmSpec out: the one description of what a spec may say. Pure.

Its sections are in model_of_*.py. Their records, and how what is valid is read without this, is rendered of it
(`launcher/spec/parts.py`): `./dev generate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from launcher.spec import short_forms, whole
from launcher.spec.model_of_devices import Device
from launcher.spec.model_of_machine import Bank, Boot, Count, Cpus
from launcher.spec.model_of_served import CloudInit, Disk, Nic, Share, Vsock
from launcher.spec.problems import refuse
from launcher.spec.section import Section
from launcher.spec.shapes import (
    NAME,
    TAG,
    Alias,
    BootText,
    Cid,
    DiskPath,
    HostAddress,
    Name,
    SharePath,
    Size,
    Version,
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
        "devices reach each other's memory on Linux 6.19 and later.",
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
