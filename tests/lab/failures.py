"""Failures of the catalogue that lab hosts have, or are given by the shell: a table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.catalogue.table import ROWS
from tests.conftest import EXAMPLES

DISK = "01:00.0"
USER = "setpriv --reuid 1000 --regid 1000 --clear-groups"


@dataclass(frozen=True)
class Case:
    """`before` makes the failure and `after` ends it, by the shell; `under` are the words before the command."""

    id: str
    host: str
    device: str | dict[str, Any] = DISK
    fields: dict[str, Any] = field(default_factory=dict)
    before: str = ""
    after: str = ""
    under: str = ""

    @property
    def codes(self) -> set[str]:
        return {row.code for row in ROWS if row.id == self.id}

    @property
    def stands(self) -> bool:
        """The host has it as it is."""
        return not (self.before or self.under)

    @property
    def spec(self) -> str:
        boot = {"kernel": str(EXAMPLES / "hello.elf")}
        whole = {"name": "case", "boot": boot, "cpus": 1, "memory": "32MiB", "devices": {"it": self.device}}
        return json.dumps(whole | self.fields)


CASES = (
    Case("nested-no-viommu", "no-iommu"),
    Case("iommu-disabled-by-cmdline", "switched-off"),
    Case("kernel-without-vfio", "narrow",
         before="rmmod vfio_pci vfio_pci_core; mount -t tmpfs none $(modules); touch $(modules)/modules.dep",
         after="umount $(modules); modprobe vfio_pci"),
    Case("device-not-behind-iommu", "uncovered", "00:03.0"),
    Case("intr-remap-missing", "no-remapping"),
    Case("noiommu-mode", "noiommu-mode"),
    Case("group-not-viable", "shared", "02:01.0"),
    Case("group-bridge-driver-shpchp", "hotplug-bridge", "01:01.0"),
    Case("group-contains-host-critical-device", "plain", "00:1f.3"),
    Case("no-acs-large-group", "zoo", "07:00.0", before="leave 08:00.0", after="give 08:00.0"),
    Case("pci-alias-group", "shared", "02:01.0", before="leave 02:02.0", after="give 02:02.0"),
    Case("device-is-a-bridge", "shared", "00:02.0"),
    Case("bdf-renumbered", "shared", {"pci": DISK, "expect": "10de:2684"}),
    Case("device-not-present-or-bad-address", "plain", "7f:00.0"),
    Case("vfio-modules-not-loaded", "narrow", before="rmmod vfio_pci", after="modprobe vfio_pci", under=USER),
    Case("vfio-type1-missing", "narrow", before="rmmod vfio_iommu_type1", after="modprobe vfio_iommu_type1",
         under=USER),
    Case("bound-to-host-driver", "narrow", {"pci": DISK, "bind": "never"}),
    Case("no-driver-at-all", "narrow", {"pci": DISK, "bind": "never"}, before=f"leave {DISK}", after=f"give {DISK}"),
    Case("override-names-missing-driver", "narrow", before=f"override {DISK} vfio_pci", after=f"override {DISK}"),
    Case("stale-driver-override", "narrow", before=f"leave {DISK}; override {DISK} vfio-pci", after=f"give {DISK}"),
    Case("host-uses-device", "narrow", before="mkswap /dev/nvme0n1; swapon /dev/nvme0n1", after="swapoff /dev/nvme0n1"),
    Case("driver-busy-unbind-hangs", "narrow", before="hold /dev/nvme0n1", after="kill $(cat /run/holder)"),
    Case("pf-has-vfs", "virtual-functions"),
    Case("pf-unbind-kills-or-orphans-vfs", "virtual-functions", fields={"devices": {"pf": DISK, "vf": "01:00.1"}}),
    Case("vf-missing", "virtual-functions", {"pci": DISK, "vf": 3}),
    Case("vf-count-errors", "virtual-functions", {"pci": DISK, "vf": 7}),
    Case("vf-token-required", "virtual-functions", "01:00.1",
         before=f"virtual {DISK} 0; rmmod vfio_pci; modprobe vfio_pci enable_sriov=1; "
         f"give {DISK} vfio-pci; virtual {DISK} 2",
         after=f"virtual {DISK} 0; give {DISK}; virtual {DISK} 2"),
    Case("vf-without-working-pf", "virtual-functions", "01:00.1", before=f"leave {DISK}", after=f"give {DISK}"),
    Case("group-node-permission", "narrow", before=f"give {DISK} vfio-pci", after=f"give {DISK}", under=USER),
    Case("group-already-open", "narrow", before=f"give {DISK} vfio-pci; hold /dev/vfio/$(number_of {DISK})",
         after=f"kill $(cat /run/holder); give {DISK}"),
    Case("kvm-missing", "narrow", before="rmmod kvm_amd", after="modprobe kvm_amd"),
    Case("unprivileged-snapshot-incomplete", "narrow", under=USER),
    Case("memlock-too-small", "narrow", under="prlimit --memlock=65536 setpriv --bounding-set -ipc_lock"),
    Case("cgroup-memory-limit", "narrow", before="confine memory memory.max 128M", after="release",
         fields={"memory": "512MiB"}),
    Case("hugetlb-cgroup-limit", "two-nodes", "81:00.0", {"memory": [{"size": "32MiB", "pages": "2MiB"}]},
         before="confine hugetlb hugetlb.2MB.max 4M", after="release"),
    Case("hugepages-missing", "two-nodes", "81:00.0", {"memory": [{"size": "256MiB", "pages": "2MiB"}]}),
    Case("hugepages-wrong-node", "two-nodes", "81:00.0", {"memory": [{"size": "48MiB", "pages": "2MiB", "node": 0}]}),
    Case("host-ram-too-small", "narrow", fields={"memory": "64GiB"}),
    Case("dma-entry-limit", "narrow", before="echo 1 >/sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
         fields={"memory": [{"size": "32MiB"}, {"size": "32MiB", "at": "0x100000000"}]},
         after="echo 65535 >/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"),
    Case("msi-window-overlap", "narrow", fields={"memory": [{"size": "32MiB", "at": "0xfe000000"}]}),
    Case("rmrr-direct-region", "regions", "00:02.0"),
    Case("reserved-splits-bank", "amd-regions", "00:02.0", {"memory": [{"size": "512MiB", "at": "0x0"}]}),
    Case("amd-ht-hole", "amd-regions", "00:03.0", {"memory": [{"size": "32MiB", "at": "0xfd00000000"}]}),
    Case("iommu-address-width", "narrow", fields={"memory": [{"size": "32MiB", "at": "0x8000000000"}]}),
    Case("cpu-phys-bits", "shared", fields={"memory": [{"size": "32MiB", "at": "0x10000000000"}]}),
    Case("no-reset-method", "extremes", "00:02.0"),
    Case("hot-reset-dependency", "shared", "02:01.0", before="leave 02:02.0", after="give 02:02.0"),
    Case("bar-claimed-by-sysfb", "display", "00:02.0"),
    Case("boot-vga", "display", "00:02.0"),
    Case("option-rom", "display", "00:02.0"),
    Case("snoop-coherency", "display", "00:02.0"),
    Case("no-usable-interrupt", "extremes", "00:02.0"),
    Case("intx-shared-nonmaskable", "shared", "02:01.0"),
    Case("irq-vectors-exhausted", "extremes"),
    Case("nofile-limit", "extremes", under="prlimit --nofile=40:40"),
    Case("numa-mismatch", "two-nodes", "81:00.0", {"memory": [{"size": "32MiB", "node": 0}]}),
)  # fmt: skip
