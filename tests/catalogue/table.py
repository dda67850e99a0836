"""The catalogue: every known way in which passing a device goes wrong, by number, and what the planner makes of it."""

from __future__ import annotations

from tests.catalogue import conditions, drivers, files, firmware, iommu, reported, serving, spaces
from tests.catalogue.row import Row

IDS = (
    "iommu-absent", "iommu-disabled-by-cmdline", "kernel-without-iommu-driver", "kernel-without-vfio",
    "device-not-behind-iommu", "intr-remap-missing", "nested-no-viommu", "noiommu-mode", "iommu-identity-domain-myth",
    "iommu-domain-ids-exhausted", "group-not-viable", "group-bridge-driver-shpchp",
    "group-contains-host-critical-device", "no-acs-large-group", "acs-override-active", "pci-alias-group",
    "device-is-a-bridge", "group-number-unstable", "bdf-renumbered", "device-not-present-or-bad-address",
    "vfio-modules-not-loaded", "vfio-type1-missing", "guest-places-exhausted",
    "bound-to-host-driver", "no-driver-at-all", "new-id-pitfalls",
    "override-names-missing-driver", "stale-driver-override", "denylisted-device", "host-uses-device",
    "driver-busy-unbind-hangs", "pf-has-vfs", "pf-unbind-kills-or-orphans-vfs", "vf-missing", "vf-count-errors",
    "vf-grabbed-by-host-driver", "vf-token-required", "vf-without-working-pf", "vgpu-without-type",
    "vf-config-reads-ffff",
    "group-node-permission", "device-cgroup-denied", "group-already-open", "kvm-missing", "lockdown", "lsm-denied",
    "unprivileged-snapshot-incomplete", "memlock-too-small", "memlock-iommufd-semantics", "cgroup-memory-limit",
    "hugetlb-cgroup-limit", "hugepages-missing", "hugepages-wrong-node", "host-ram-too-small", "dma-entry-limit",
    "memory-map-full", "memslots-exhausted", "task-limit",
    "map-alignment", "map-overlap", "map-efault", "peers-unreachable",
    "slow-pinning", "balloon-discard", "fork-after-pin",
    "msi-window-overlap", "rmrr-direct-region", "rmrr-direct-relaxable", "reserved-splits-bank", "amd-ht-hole",
    "iommu-address-width", "amd-optimistic-aperture", "cpu-phys-bits", "second-group-conflict", "arm-sw-msi-window",
    "no-reset-method", "weak-reset-method", "hot-reset-dependency", "reset-fails-at-runtime", "d3cold-inaccessible",
    "bar-unassigned", "bar-too-big-for-guest-hole", "sub-page-bar", "msix-table-shares-page", "io-bar",
    "bar-claimed-by-sysfb", "boot-vga", "vga-legacy-arbitration", "option-rom", "resizable-bar",
    "no-usable-interrupt", "intx-shared-nonmaskable", "irq-vectors-exhausted", "nofile-limit", "snoop-coherency",
    "pcie-features-hidden", "igd", "aer-history", "memory-decode-off", "unbind-blocked-by-user",
    "hotplug-removed-in-use", "device-returned-too-early", "host-suspend", "numa-mismatch", "ioctl-order",
    "kernel-regression", "kernel-not-startable", "guest-mute-or-rootless",
    "image-not-servable", "image-of-another-format", "image-damaged", "backing-chain-broken", "image-in-use",
    "image-denied-to-its-engine", "image-read-only", "image-without-room", "engine-not-usable", "no-bridge-or-tap",
    "network-denied", "taken-by-another-vm", "engine-of-others", "share-not-servable", "share-of-root",
    "share-with-images",
    "no-user-namespace", "shared-memory", "engine-dies", "engine-mute", "engine-hangs-up", "changed-since-the-plan",
    "firmware-missing", "firmware-file-wrong", "variables-wrong", "nothing-to-boot", "boot-order-unheard",
    "firmware-memory", "cloud-init-unheard", "not-given", "given-and-gone", "facts-old", "booted-since",
)  # fmt: skip

_ROOMS = (iommu, drivers, spaces, conditions, reported, files, serving, firmware)

ROWS: tuple[Row, ...] = tuple(row for room in _ROOMS for row in room.ROWS)
WITHOUT_RULE: dict[str, str] = {name: why for room in _ROOMS for name, why in room.WITHOUT_RULE.items()}
