"""What a spec may say of boot, vCPUs and memory. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from launcher.spec import whole
from launcher.spec.problems import refuse
from launcher.spec.section import Section, is_, is_there
from launcher.spec.shapes import (
    Cmdline,
    Firmware,
    MemoryAddress,
    Pin,
    Size,
    Text,
)

Pages = Literal["4KiB", "thp", "2MiB", "1GiB"]
Count = Annotated[int, Field(ge=1, le=4096)]

_NO_TEXT: dict[str, Any] = {"type": ["string", "null"], "maxLength": 0}


def _count_or_topology(schema: dict[str, Any]) -> None:
    """`count` is made of the topology where only that is there."""
    schema["anyOf"] = [{"required": [key]} for key in ("count", "topology")]
    del schema["required"]


class Boot(Section):
    """What the guest starts with: a kernel, or firmware that finds its boot loader on a disk."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["kernel"]}, {"required": ["firmware"]}],
            "dependentRequired": {"initrd": ["kernel"], "variables": ["firmware"]},
            "allOf": [
                {"if": is_("firmware", "bios"), "then": {"properties": {"variables": {"type": "null"}}}},
                {"if": is_there("firmware"), "then": {"properties": {"cmdline": _NO_TEXT}}},
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
