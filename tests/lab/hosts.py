"""The lab hosts: a table. A new topology is one entry here, and the tests that name it. Pure.

Every device has its address written down, so that tests know it by `lspci` names; the slots 1d and 1e of the root bus
are the shares that carry files. A device without `bus=` would land on an expander bridge where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Iommu(Enum):
    """What stands between the devices and memory: QEMU's device."""

    NONE = ""
    INTEL = "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on,aw-bits=48"
    INTEL_39 = "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on,aw-bits=39"
    AMD = "amd-iommu,intremap=on,device-iotlb=on"


class Boots(Enum):
    """Which kernel a host boots."""

    ANY = "ours where it is there, else the distribution's"
    DISTRIBUTION = "the distribution's"
    OURS = "ours"


@dataclass(frozen=True)
class Host:
    name: str
    about: str
    iommu: Iommu = Iommu.INTEL
    devices: tuple[str, ...] = ()  # QEMU's words, in order: -device, or with their own option in front
    disks: tuple[str, ...] = ()  # empty images, one each boot, to be named by drive=
    nodes: int = 1
    cpus: int = 2
    mebibytes: int = 3072
    boots: Boots = Boots.ANY
    kernel_options: tuple[str, ...] = ()
    every_commit: bool = False

    def arguments(self) -> list[str]:
        """QEMU's arguments for the machine, without kernel, shares and console."""
        return [*self._machine(), *self._nodes(), *self._devices()]

    def cmdline(self) -> str:
        return " ".join((*CMDLINE, *self.kernel_options))

    def _machine(self) -> Iterator[str]:
        yield from ("-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "EPYC")
        yield from ("-smp", str(self.cpus), "-m", f"{self.mebibytes}M")

    def _nodes(self) -> Iterator[str]:
        if self.nodes == 1:
            return
        cpus, mebibytes = self.cpus // self.nodes, self.mebibytes // self.nodes
        for node in range(self.nodes):
            yield from ("-object", f"memory-backend-ram,id=ram{node},size={mebibytes}M")
            yield from ("-numa", f"node,nodeid={node},memdev=ram{node},cpus={node * cpus}-{(node + 1) * cpus - 1}")

    def _devices(self) -> Iterator[str]:
        if self.iommu.value:
            yield from ("-device", self.iommu.value)
        for device in self.devices:
            yield from device.split() if device.startswith("-") else ("-device", device)


CMDLINE = (
    "console=ttyS0",
    "quiet",
    "panic=-1",  # with -no-reboot, a machine that panics ends
    "tsc=reliable",  # without these two every look at the clock is a device access, and all is four times slower
    "clocksource=tsc",
    "softlockup_panic=1",  # emulated processors lose each other now and then; a machine that hangs is to end soon
    "no_timer_check",  # measured against a clock, it fails on a busy machine: "timer doesn't work through ... IO-APIC"
    "intel_iommu=on",
    "iommu=nopt",  # groups of type DMA, as on a machine that protects its memory
)


def _port(name: str, address: str, chassis: int, more: str = "") -> str:
    return f"pcie-root-port,id={name},bus=pcie.0,addr={address},chassis={chassis},slot={chassis}{more}"


def _plug(name: str) -> str:
    """One end of the cable that all network cards of a host are on."""
    return f"-netdev hubport,hubid=0,id={name}"


NVME = (_port("nvme-port", "2.0", 1), "nvme,bus=nvme-port,serial=lab-nvme,drive=nvme")

# QEMU's amd-iommu takes what is behind a port for a device of bus 0 (the bus has no number yet when it asks), so that
# DMA and interrupts from there never arrive.
AMD = ("nvme,bus=pcie.0,addr=2.0,serial=lab-nvme,drive=nvme", "e1000e,bus=pcie.0,addr=3.0,romfile=")

ZOO = (
    *NVME,  # 01:00.0
    _port("net-port", "3.0", 2),
    _plug("first"),
    "e1000e,bus=net-port,romfile=,netdev=first,mac=52:54:00:00:00:02",  # 02:00.0
    _port("virtio-port", "4.0", 3),
    _plug("peer"),
    "virtio-net-pci,bus=virtio-port,iommu_platform=on,ats=on,disable-legacy=on,romfile=,netdev=peer",  # 03:00.0
    _port("usb-port", "5.0", 4),
    "qemu-xhci,bus=usb-port",  # 04:00.0
    # A switch below a port without ACS: port, switch and both devices are one group.
    _port("switch-port", "6.0", 5, ",disable-acs=on"),
    "x3130-upstream,id=switch,bus=switch-port",
    "xio3130-downstream,id=left,bus=switch,chassis=6,slot=6",
    "xio3130-downstream,id=right,bus=switch,chassis=7,slot=7",
    "virtio-rng-pci,bus=left",  # 07:00.0
    "e1000e,bus=right,romfile=",  # 08:00.0
    # A bridge to conventional PCI: all behind it is one group.
    "pcie-pci-bridge,id=bridge,bus=pcie.0,addr=7.0",
    _plug("third"),
    "rtl8139,bus=bridge,addr=1.0,romfile=,netdev=third,mac=52:54:00:00:09:01",  # 09:01.0
    "edu,bus=bridge,addr=2.0",  # 09:02.0
    "edu,bus=pcie.0,addr=8.0",  # works by MMIO and DMA alone; has no reset
    _plug("second"),
    "rtl8139,bus=pcie.0,addr=9.0,romfile=,netdev=second,mac=52:54:00:00:00:09",  # a BAR smaller than a page, INTx only
    "pci-testdev,bus=pcie.0,addr=a.0,membar=64M",  # no interrupt at all
    "-object memory-backend-ram,id=shared,size=1G,share=on",
    "ivshmem-plain,bus=pcie.0,addr=b.0,memdev=shared",
    "e1000,bus=pcie.0,addr=c.0,multifunction=on,romfile=",  # two functions, one group
    "edu,bus=pcie.0,addr=c.1",
    "pci-serial,bus=pcie.0,addr=d.0",  # I/O ports only
    "bochs-display,bus=pcie.0,addr=10.0",  # the one with a ROM
)

TABLE = (
    Host("plain", "an Intel IOMMU, and no device but the machine's own"),
    Host("zoo", "one device of every kind, alone, behind a switch, behind a bridge",
         devices=ZOO, disks=("nvme",), cpus=1, every_commit=True),
    Host("amd", "an AMD IOMMU", iommu=Iommu.AMD, devices=AMD, disks=("nvme",), cpus=1, every_commit=True),
    Host("narrow", "an IOMMU of 39 bits", iommu=Iommu.INTEL_39, devices=NVME, disks=("nvme",)),
    Host("two-nodes", "two NUMA nodes with huge pages, the NVMe drive near the second", devices=(
        "pxb-pcie,id=expander,bus=pcie.0,addr=3.0,bus_nr=128,numa_node=1",
        "pcie-root-port,id=nvme-port,bus=expander,chassis=1,slot=1",
        NVME[1],
    ), disks=("nvme",), nodes=2, kernel_options=("hugepagesz=2M", "hugepages=0:16,1:32")),
    Host("large", "8 GiB of memory", mebibytes=8192),
    Host("no-iommu", "no IOMMU", iommu=Iommu.NONE, devices=NVME, disks=("nvme",)),
    Host("iommufd", "the zoo on our kernel, which has iommufd", devices=ZOO, disks=("nvme",), boots=Boots.OURS),
)  # fmt: skip

HOSTS = {host.name: host for host in TABLE}
