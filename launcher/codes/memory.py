"""Explanations of the memory codes: pages, nodes, limits, and the guest's address space."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E301",
        "no such node",
        "`node` is bound strictly, and this host has no NUMA node of that number.",
        "memory: [{size: 8GiB, node: 7}]",
        "`numactl -H` lists the nodes. Leave `node` out to let the kernel choose.",
    ),
    Explanation(
        "E302",
        "too few huge pages",
        "Huge pages come from a pool that the administrator fills. vmlaunch never fills it: that would take memory "
        "from others. Free pages that the kernel has reserved for other processes do not count.",
        "memory: [{size: 64GiB, pages: 1GiB, node: 1}]",
        "Run the command the message shows, which says how many the node is to have. 1GiB pages are surest at boot: "
        "`hugepagesz=1G hugepages=64`.",
    ),
    Explanation(
        "E303",
        "no pool of such pages",
        "The host's CPU or kernel has no huge pages of this size.",
        "memory: [{size: 8GiB, pages: 1GiB}]        # on a CPU without pdpe1gb",
        "Write `pages: 2MiB`, or leave `pages` out.",
    ),
    Explanation(
        "E304",
        "not enough memory",
        "The host has less memory than the VM needs; or less is available now, and all of it is needed before the "
        "guest starts, because devices lock it or a bank names its pages.",
        "memory: 4TiB",
        "Ask for less, as much as the message says that fits, or stop other work.",
    ),
    Explanation(
        "E305",
        "the node is too small",
        "`node` is bound strictly, and the banks on it are larger than all memory of the node.",
        "memory: [{size: 1TiB, node: 0}]",
        "Make two banks on two nodes, or leave `node` out.",
    ),
    Explanation(
        "E306",
        "the bank cannot be where `at` says",
        "The addresses belong to the machine (3 GiB to 4 GiB) or are reserved by the IOMMU for a device of this VM.",
        'memory: [{size: 8GiB}, {size: 8GiB, at: "0xc0000000"}]',
        "Leave `at` out: the planner finds a place and shows it.",
    ),
    Explanation(
        "E307",
        "no memory at address 0",
        "Every PC starts from the first MiB, so there must be RAM.",
        'memory: [{size: 8GiB, at: "0x100000000"}]',
        "Leave `at` of the first bank out, or make it larger.",
    ),
    Explanation(
        "E308",
        "no place for a bank",
        "What is reserved leaves no room for it anywhere in the guest's address space.",
        "memory: 64GiB        # with a device whose group reserves everything",
        "Leave out the device whose IOMMU group reserves so much.",
    ),
    Explanation(
        "E309",
        "the limit on locked memory is too low",
        "VFIO locks all guest memory, because a device may write to any of it at any time. The kernel counts that "
        "against the limit of the process, except with CAP_IPC_LOCK on the host itself: root of a user namespace, as "
        "in many containers, is limited too. By iommufd it counts what all processes of the user have locked together.",
        "memory: 64GiB\ndevices: {gpu: 0000:c1:00.0}        # with ulimit -l 8192",
        "`sudo prlimit --pid $$ --memlock=unlimited` in the shell, LimitMEMLOCK=infinity for a systemd service, "
        "`--ulimit memlock=-1` for a container.",
    ),
    Explanation(
        "E310",
        "the IOMMU reserves the first MiB",
        "A device of this VM has its group's reserved region where the guest must have RAM to start.",
        "devices: {old: 0000:06:00.0}",
        "Leave the device out, or look for a firmware update that moves the region.",
    ),
    Explanation(
        "E311",
        "beyond the address width",
        "Guest addresses have as many bits as KVM and the host's CPUs give, and with devices at most as many as the "
        "IOMMU units of these devices translate: often 39 on clients, 48 on servers, and 48 for AMD.",
        'memory: [{size: 8GiB}, {size: 8GiB, at: "0x1000000000000"}]',
        "Ask for less memory, or for lower addresses.",
    ),
    Explanation(
        "E312",
        "no place for a BAR",
        "BARs are placed at multiples of their size, round what the IOMMU reserves: 32-bit ones between 3 and 4 GiB, "
        "large 64-bit ones above RAM and within the address width, I/O ports from c000 on.",
        "devices: {}        # with several cards of many 32-bit BARs",
        "Pass fewer such devices to one VM.",
    ),
    Explanation(
        "E319",
        "too many entries in the guest's memory map",
        "A guest is told of its memory when it starts: by the PVH protocol in one page, which holds 167 entries, by "
        "Linux's own (bzImage) in a table of 128. Each range of memory is one, and so is what the IOMMU reserves; five "
        "are the machine's.",
        "memory: [{size: 2MiB}, {size: 2MiB}]        # and so on, 170 banks",
        "Make fewer and larger banks. A bank without `at` is cut only where something reserved is in its way.",
    ),
    Explanation(
        "E320",
        "too many ranges of memory for KVM",
        "Each range of guest memory is a memslot, firmware is one and its variables another, and KVM has a number of "
        "them for one VM (KVM_CAP_NR_MEMSLOTS: 509 before Linux 5.12, 32764 since).",
        "memory: [{size: 2MiB}, {size: 2MiB}]        # and so on, on a kernel with 32 memslots",
        "Make fewer and larger banks.",
    ),
    Explanation(
        "E322",
        "the process may not map so much",
        "Guest memory is mapped by the process that runs the guest, whatever its pages are, and the limit of address "
        "space (`ulimit -v`) or of data (`ulimit -d`) is lower. The kernel refuses the mmap with ENOMEM, however much "
        "memory is free.",
        "memory: 8GiB        # with ulimit -v 4194304",
        "`sudo prlimit --pid $$ --as=unlimited --data=unlimited` in the shell, LimitAS=infinity for a systemd service.",
    ),
    Explanation(
        "W301",
        "transparent huge pages are off",
        "The bank asks for them (they are the default), and this host never makes any: 4 KiB pages are slower.",
        "memory: 8GiB",
        "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`.",
    ),
    Explanation(
        "W302",
        "more memory than is available",
        "The guest gets memory as it touches it. If it touches all of it, the host may run out.",
        "memory: 64GiB        # with 40 GiB available",
        "Ask for less, or stop other work.",
    ),
)
