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
    INTEL_NO_REMAPPING = "intel-iommu,intremap=off,caching-mode=on,device-iotlb=on,aw-bits=48"
    INTEL_39 = "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on,aw-bits=39"
    AMD = "amd-iommu,intremap=on,device-iotlb=on"
    VIRTIO = "virtio-iommu-pci,bus=pcie.0,addr=1.0"


class Boots(Enum):
    """Which kernel a host boots."""

    ANY = "ours where it is there, else the distribution's"
    DISTRIBUTION = "the distribution's"
    OURS = "ours"
    COMPAT = "ours, of compat.config"


@dataclass(frozen=True)
class Region:
    """Memory that the firmware keeps for a device of the root bus (`2.0`)."""

    device: str
    start: int
    size: int = 1 << 20


@dataclass(frozen=True)
class Host:
    name: str
    about: str
    iommu: Iommu = Iommu.INTEL
    devices: tuple[str, ...] = ()  # QEMU's words, in order: -device, or with their own option in front
    disks: tuple[str, ...] = ()  # empty images, one each boot, to be named by drive=
    disk_mebibytes: int = 64  # of each
    nodes: int = 1
    cpus: int = 1
    mebibytes: int = 3072
    boots: Boots = Boots.ANY
    kernel_options: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()  # lines for its shell, run before the command; none may fail
    regions: tuple[Region, ...] = ()
    covers: tuple[str, ...] = ()  # what an Intel IOMMU is for, devices of the root bus; empty: all
    every_commit: bool = False

    def arguments(self) -> list[str]:
        """QEMU's arguments for the machine, without processor, kernel, shares and console."""
        return [*self._machine(), *self._nodes(), *self._devices()]

    def cmdline(self) -> str:
        return " ".join((*CMDLINE, *self.kernel_options))

    def _machine(self) -> Iterator[str]:
        yield from ("-machine", "q35", "-accel", "tcg,thread=multi")
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

# A card to pass (02:00.0) and one on the same cable for the host to keep (03:00.0).
CARDS = (
    _port("net-port", "3.0", 2),
    _plug("first"),
    "e1000e,bus=net-port,romfile=,netdev=first,mac=52:54:00:00:00:02",
    _port("virtio-port", "4.0", 3),
    _plug("peer"),
    "virtio-net-pci,bus=virtio-port,iommu_platform=on,ats=on,disable-legacy=on,romfile=,netdev=peer",
)

# QEMU's amd-iommu takes what is behind a port for a device of bus 0 (the bus has no number yet when it asks), so that
# DMA and interrupts from there never arrive.
AMD = ("nvme,bus=pcie.0,addr=2.0,serial=lab-nvme,drive=nvme", "e1000e,bus=pcie.0,addr=3.0,romfile=")

ZOO = (
    *NVME,  # 01:00.0
    *CARDS,
    _port("usb-port", "5.0", 4),
    "qemu-xhci,id=usb,bus=usb-port",  # 04:00.0
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
    "edu,bus=pcie.0,addr=8.0,dma_mask=0xffffffffffffffff",  # works by MMIO and DMA alone, to anywhere; has no reset
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

# All devices of each are on the root bus, as the IOMMU's own tables want them named.
ON_THE_ROOT_BUS = ("e1000e,bus=pcie.0,addr=2.0,romfile=", "qemu-xhci,bus=pcie.0,addr=3.0")

SHARED = (
    _port("pair-port", "2.0", 1),
    "e1000e,bus=pair-port,addr=0.0,multifunction=on,romfile=",  # 01:00.0
    "nvme,bus=pair-port,addr=0.1,serial=lab-nvme,drive=nvme",  # 01:00.1
    "pcie-pci-bridge,id=bridge,bus=pcie.0,addr=3.0",
    "e1000,bus=bridge,addr=1.0,romfile=",  # 02:01.0
    "rtl8139,bus=bridge,addr=2.0,romfile=",  # 02:02.0
)

# Kinds of devices that the zoo does not have.
KINDS = (
    _port("nvme-port", "2.0", 1),
    "nvme,bus=nvme-port,serial=lab-nvme,drive=nvme,msix-exclusive-bar=on",  # 01:00.0
    _port("net-port", "3.0", 2),
    _plug("virtio"),
    "virtio-net-pci,bus=net-port,iommu_platform=on,ats=on,disable-legacy=on,romfile=,netdev=virtio",  # 02:00.0
    _port("peer-port", "4.0", 3),
    _plug("peer"),
    "virtio-net-pci,bus=peer-port,iommu_platform=on,ats=on,disable-legacy=on,romfile=,netdev=peer",  # 03:00.0
    _port("usb-port", "5.0", 4),
    "qemu-xhci,id=usb,bus=usb-port",  # 04:00.0
    "usb-storage,bus=usb.0,drive=stick",
    "usb-kbd,bus=usb.0",
    _port("blk-port", "6.0", 5),
    "virtio-blk-pci,bus=blk-port,iommu_platform=on,ats=on,disable-legacy=on,drive=disk",  # 05:00.0
    _plug("pcnet"),
    "pcnet,bus=pcie.0,addr=7.0,romfile=,netdev=pcnet",
    _plug("e1000"),
    "e1000,bus=pcie.0,addr=8.0,romfile=,netdev=e1000",
    _plug("ne2k"),
    "ne2k_pci,bus=pcie.0,addr=9.0,romfile=,netdev=ne2k",  # I/O ports only
    "ich9-ahci,id=sata,bus=pcie.0,addr=a.0",
    "ide-hd,bus=sata.0,drive=hard",
    "sdhci-pci,bus=pcie.0,addr=b.0",
    "sd-card,bus=sd-bus,drive=card",
    "-audiodev none,id=silent",
    "intel-hda,id=hda,bus=pcie.0,addr=c.0",
    "hda-duplex,bus=hda.0,audiodev=silent",
    "bochs-display,bus=pcie.0,addr=10.0",
    "secondary-vga,bus=pcie.0,addr=11.0,romfile=",
)

# Ways to the root that the zoo does not have.
WAYS = (
    "pcie-pci-bridge,id=bridge,bus=pcie.0,addr=2.0",
    _plug("e1000"),
    "e1000,bus=bridge,addr=1.0,romfile=,netdev=e1000",  # 01:01.0
    _plug("pcnet"),
    "pcnet,bus=bridge,addr=2.0,romfile=,netdev=pcnet",  # 01:02.0
    _port("rng-port", "3.0", 1),
    "virtio-rng-pci,bus=rng-port,iommu_platform=on,disable-legacy=on",  # 02:00.0
    _port("peer-port", "4.0", 2),
    _plug("peer"),
    "virtio-net-pci,bus=peer-port,iommu_platform=on,ats=on,disable-legacy=on,romfile=,netdev=peer",  # 03:00.0
    # A switch that keeps what is below it apart.
    _port("apart-port", "5.0", 3),
    "x3130-upstream,id=apart,bus=apart-port",
    "xio3130-downstream,id=one,bus=apart,chassis=4,slot=4",
    "xio3130-downstream,id=two,bus=apart,chassis=5,slot=5",
    "nvme,bus=one,serial=lab-apart,drive=apart",  # 06:00.0
    _plug("e1000e"),
    "e1000e,bus=two,romfile=,netdev=e1000e",  # 07:00.0
    # One that does not: its drives are one group.
    _port("together-port", "6.0", 6, ",disable-acs=on"),
    "x3130-upstream,id=together,bus=together-port",
    "xio3130-downstream,id=left,bus=together,chassis=7,slot=7",
    "xio3130-downstream,id=right,bus=together,chassis=8,slot=8",
    "nvme,bus=left,serial=lab-left,drive=left",  # 0a:00.0
    "nvme,bus=right,serial=lab-right,drive=right",  # 0b:00.0
    "pxb-pcie,id=expander,bus=pcie.0,addr=7.0,bus_nr=128",
    "pcie-root-port,id=far-port,bus=expander,chassis=9,slot=9",
    "nvme,bus=far-port,serial=lab-far,drive=far",  # 81:00.0
)

DRIVES = tuple(f"drive{n}" for n in range(20))  # 00:02.0 to 00:15.0; as many interrupts as a guest of one vCPU takes

TABLE = (
    Host("plain", "an Intel IOMMU, and no device but the machine's own", cpus=2),
    Host("zoo", "one device of every kind, alone, behind a switch, behind a bridge",
         devices=ZOO, disks=("nvme",), every_commit=True),
    Host("amd", "an AMD IOMMU", iommu=Iommu.AMD, devices=AMD, disks=("nvme",), every_commit=True),
    Host("narrow", "an IOMMU of 39 bits", iommu=Iommu.INTEL_39, devices=NVME, disks=("nvme",),
         boots=Boots.DISTRIBUTION),
    Host("two-nodes", "two NUMA nodes with huge pages, the NVMe drive near the second", devices=(
        "pxb-pcie,id=expander,bus=pcie.0,addr=3.0,bus_nr=128,numa_node=1",
        "pcie-root-port,id=nvme-port,bus=expander,chassis=1,slot=1",
        NVME[1],
    ), disks=("nvme",), cpus=2, nodes=2, kernel_options=("hugepagesz=2M", "hugepages=0:16,1:32", "nokaslr")),
    Host("large", "8 GiB of memory, a drive and two network cards", devices=(*NVME, *CARDS), disks=("nvme",), cpus=2,
         mebibytes=8192),
    Host("roomy-drive", "a drive that takes the image of the tests, and two network cards", devices=(*NVME, *CARDS),
         disks=("nvme",), disk_mebibytes=2048),
    Host("no-iommu", "no IOMMU", iommu=Iommu.NONE, devices=NVME, disks=("nvme",)),
    Host("switched-off", "an IOMMU that the command line switches off", devices=NVME, disks=("nvme",),
         kernel_options=("intel_iommu=off",)),
    Host("no-remapping", "an IOMMU that does not remap interrupts", iommu=Iommu.INTEL_NO_REMAPPING, devices=NVME,
         disks=("nvme",)),
    Host("uncovered", "an IOMMU for one device and not for the other", devices=ON_THE_ROOT_BUS, covers=("2.0", "1f.2")),
    Host("regions", "the firmware keeps memory for the NIC, and for USB, where it does not matter",
         devices=ON_THE_ROOT_BUS, regions=(Region("2.0", 0x10000000), Region("3.0", 0x20000000))),
    Host("amd-regions", "an AMD IOMMU, and memory that the firmware keeps for the NIC", iommu=Iommu.AMD,
         devices=ON_THE_ROOT_BUS, regions=(Region("2.0", 0x10000000),)),
    Host("shared", "two functions of one device, two NICs behind one bridge", devices=SHARED, disks=("nvme",)),
    Host("hotplug-bridge", "a bridge that shpchp has, and a NIC behind it", devices=(
        "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
        "pci-bridge,id=bridge,bus=pcie.0,addr=2.0,chassis_nr=1,shpc=on",
        "e1000,bus=bridge,addr=1.0,romfile=",  # 01:01.0
    )),
    Host("virtual-functions", "an NVMe drive with two virtual functions", devices=(
        NVME[0],
        "nvme-subsys,id=subsystem",
        "nvme,bus=nvme-port,serial=lab-nvme,subsys=subsystem,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,"
        "max_ioqpairs=12,msix_qsize=12",
    ), boots=Boots.DISTRIBUTION, prepare=("echo 2 >/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs",)),
    Host("extremes", "a BAR of 8 GiB, one smaller than a page, and more interrupts than the CPU has", devices=(
        "pci-testdev,bus=pcie.0,addr=2.0,membar=8G",
        "rtl8139,bus=pcie.0,addr=3.0,romfile=",
        _port("nvme-port", "4.0", 1),
        f"{NVME[1]},max_ioqpairs=1000,msix_qsize=1001",  # 01:00.0
    ), disks=("nvme",)),
    Host("display", "a display that the firmware started, and the kernel draws on", kernel_options=("vga=0x317",),
         devices=("VGA,bus=pcie.0,addr=2.0",), boots=Boots.DISTRIBUTION),
    Host("kinds", "kinds of devices that the zoo does not have", devices=KINDS,
         disks=("nvme", "stick", "disk", "hard", "card"), boots=Boots.DISTRIBUTION,
         prepare=("modprobe -a virtio_blk sdhci_pci snd_hda_intel",)),
    Host("ways", "switches with and without ACS, an expander bridge, a bridge to conventional PCI", devices=WAYS,
         disks=("apart", "left", "right", "far")),
    Host("drives", "20 NVMe drives", disks=DRIVES, devices=tuple(
        f"nvme,bus=pcie.0,addr={n + 2:x}.0,serial=lab-{disk},drive={disk},max_ioqpairs=1,msix_qsize=2"
        for n, disk in enumerate(DRIVES)
    )),
    Host("iommufd", "the zoo on our kernel, which has iommufd", devices=ZOO, disks=("nvme",), boots=Boots.OURS),
    Host("compat", "the zoo on a kernel whose containers are iommufd's, with dma-bufs of BARs", devices=ZOO,
         disks=("nvme",), boots=Boots.COMPAT),
    Host("virtio", "a virtio IOMMU, on our kernel", iommu=Iommu.VIRTIO, devices=NVME, disks=("nvme",),
         boots=Boots.OURS),
    Host("noiommu-mode", "no IOMMU, and VFIO's mode for that, on our kernel", iommu=Iommu.NONE, devices=NVME,
         disks=("nvme",), boots=Boots.OURS, prepare=(
             "echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
             "echo vfio-pci >/sys/bus/pci/devices/0000:01:00.0/driver_override",
             "echo 0000:01:00.0 >/sys/bus/pci/devices/0000:01:00.0/driver/unbind",
             "echo 0000:01:00.0 >/sys/bus/pci/drivers_probe",
         )),
)  # fmt: skip

HOSTS = {host.name: host for host in TABLE}
SHORT_ROUND = HOSTS["zoo"]  # whose boot is that of `./dev test`: tests marked `short`
