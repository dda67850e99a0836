"""Explanations of the codes of planner/rules/spaces.py and bars.py."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E313",
        "the memory cgroup is too small",
        "With devices all guest memory is pinned before the guest starts, and pinned memory cannot be swapped. Where "
        "the cgroup allows less, no call fails: the kernel kills the process. Huge pages do not count here.",
        "memory: 64GiB\ndevices: {gpu: 0000:c1:00.0}        # in a pod with limits.memory of 32Gi",
        "Run the command the message shows, or give the container the guest's memory and about 0.2 % and 50 MiB more.",
    ),
    Explanation(
        "E314",
        "the cgroup allows too few huge pages",
        "The host may have the pages, and the cgroup still sets a limit for each page size. Beyond it the kernel "
        "answers with SIGBUS.",
        "memory: [{size: 8GiB, pages: 2MiB}]        # in a cgroup with hugetlb.2MB.max of 4 GiB",
        "Raise the limit with the command the message shows; in a pod it is `limits.hugepages-2Mi`.",
    ),
    Explanation(
        "E315",
        "the kernel does not promise so much memory",
        "With vm.overcommit_memory=2 all processes together can map CommitLimit at most, used or not. Huge pages do "
        "not count.",
        "memory: 64GiB        # after sysctl vm.overcommit_memory=2",
        "`sysctl vm.overcommit_memory=0`, a larger vm.overcommit_ratio, or `pages: 2MiB`.",
    ),
    Explanation(
        "E316",
        "too few DMA maps",
        "Each piece of guest memory is one DMA map, and vfio_iommu_type1 has a limit for a VM, 65535 unless somebody "
        "made it smaller.",
        "memory: 8GiB\ndevices: {gpu: 0000:c1:00.0}        # with dma_entry_limit=1",
        "`echo 65535 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit`, before up.",
    ),
    Explanation(
        "E317",
        "a BAR without an address on the host",
        "The firmware or the kernel found no room for the BAR below the bridges above the device. VFIO then has no "
        "such region, or the kernel does not enable the device at all. Large BARs are the usual case.",
        "devices: {gpu: 0000:c1:00.0}        # dmesg: BAR 1 [mem size ... 64bit pref]: can't assign; no space",
        "Switch on Above 4G Decoding in the firmware, or boot the host with `pci=realloc`. Below a hot-plug port, as "
        "of Thunderbolt, a device has the room that its port was given at boot: remove the port above it and rescan "
        "(`echo 1 > /sys/bus/pci/devices/PORT/remove; echo 1 > /sys/bus/pci/rescan`), or boot with "
        "`pci=hpmmioprefsize=16G`.",
    ),
    Explanation(
        "E318",
        "the boot framebuffer holds a BAR",
        "The firmware's picture of the screen lies in the card's memory, and efifb, simpledrm or another driver holds "
        "that part. Before Linux 6.0, and for cards that are not VGA, vfio-pci cannot take it away. Since 6.0 it does "
        "so while it is bound to a VGA card, and only then: on a card that it has had since boot the framebuffer "
        "stays, and the guest's driver finds a BAR that cannot be reserved.",
        "devices: {gpu: 0000:c1:00.0}        # on vfio-pci since boot; /proc/iomem has BOOTFB below its line",
        "Bind the card to vfio-pci anew, or take the framebuffer away with the command the message shows: consoles "
        "first, then its driver, and what the device simple-framebuffer.0 holds (BOOTFB) by `remove` and `rescan` of "
        "the card. Or boot the host with `initcall_blacklist=sysfb_init`; where that does not help, have the firmware "
        "show its picture on another card.",
    ),
    Explanation(
        "W313",
        "the memory cgroup is tight",
        "Guest memory fits into the cgroup only if what is in use there shrinks, or if the guest does not touch all.",
        "memory: 24GiB        # in a cgroup of 32 GiB, 16 GiB of which are in use",
        "Raise the limit with the command the message shows, or run less in this cgroup.",
    ),
    Explanation(
        "W314",
        "pinning takes long",
        "VFIO pins each page of guest memory before the guest starts. In pages of 4 KiB that is 262144 for each GiB, "
        "and the guest seems to hang for seconds or minutes.",
        "memory: [{size: 64GiB, pages: 4KiB}]\ndevices: {gpu: 0000:c1:00.0}",
        "Take huge pages, or transparent ones by leaving `pages` out.",
    ),
    Explanation(
        "W315",
        "little free memory on the node",
        "`node` is bound strictly. The node is large enough, but less than the banks on it need is free now; the "
        "kernel has to reclaim caches, and the start fails where that is not enough.",
        "memory: [{size: 60GiB, node: 1, pages: thp}]        # with 50 GiB free on node 1",
        "Stop other work on that node, or leave `node` out.",
    ),
    Explanation(
        "W316",
        "not all BARs can be mapped for DMA",
        "Memory takes almost all of the DMA maps that vfio_iommu_type1 allows. Devices of which a BAR is not mapped "
        "cannot be reached by the VM's other devices (peer-to-peer DMA).",
        "memory: 8GiB\ndevices: {gpu: 0000:c1:00.0}        # with dma_entry_limit=2",
        "`echo 65535 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit`, before up.",
    ),
    Explanation(
        "W317",
        "a BAR could be larger",
        "The card has Resizable BAR, and the BAR is smaller than it could be. VFIO hides the capability: the guest "
        "gets the size that the host has set.",
        "devices: {gpu: 0000:c1:00.0}        # a BAR of 256 MiB on a card of 32 GiB",
        "Resize it on the host before up, while no driver has the device, or switch on ReBAR in the firmware.",
    ),
    Explanation(
        "W318",
        "the host's screen goes dark",
        "The boot framebuffer lies in a BAR of the device. vfio-pci takes it from the host, whose console then has no "
        "screen until the next boot.",
        "devices: {gpu: 0000:c1:00.0}        # the only card",
        "Have a serial console or a network login at hand.",
    ),
    Explanation(
        "W319",
        "no I/O ports on the host",
        "Ports are scarce on hosts with many cards, and this I/O BAR got none. The guest sees a BAR that answers with "
        "ones. Most drivers never use ports.",
        "devices: {gpu: 0000:c1:00.0}        # dmesg: BAR 5 [io size 0x0080]: can't assign; no space",
        "Nothing, unless the guest's driver needs the ports: then take cards out, or try `pci=realloc`.",
    ),
    Explanation(
        "W321",
        "too few memslots for the BARs",
        "Each piece of a BAR that is mapped into the guest is a memslot. KVM has a number of them for one VM "
        "(KVM_CAP_NR_MEMSLOTS), of which the ranges of memory and firmware take theirs first. A BAR that gets none is "
        "trapped: the guest's driver works, and each access to its registers leaves the guest.",
        "devices: {}        # with many cards, on a kernel with 32 memslots",
        "Pass fewer devices to one VM, or make fewer and larger banks.",
    ),
    Explanation(
        "W323",
        "devices do not reach each other",
        "The BARs of each device are mapped into the IOMMU for the VM's other devices, which may then write to them. "
        "iommufd takes them as dma-bufs, which VFIO makes since Linux 6.19 (CONFIG_VFIO_PCI_DMABUF); without those, "
        "and where /dev/vfio/vfio is iommufd's in place of type1, none is mapped.",
        "vfio: iommufd        # with two GPUs whose drivers copy from one to the other",
        "Most devices never do this. Where they do, take the way that the message names, or a newer kernel.",
    ),
    Explanation(
        "W320",
        "registers share a page with the MSI-X table",
        "The pages of the MSI-X table and of its pending bits are trapped, the rest of the BAR is mapped. On this "
        "device other registers are in such a page, and each access to them leaves the guest.",
        "devices: {disk: 0000:81:00.0}        # an NVMe drive with its table at 0x1200, among the doorbells",
        "Nothing is to be done; expect a slower device.",
    ),
)
