"""Codes about boot by firmware, E45x and from E464 on, and about what cloud-init finds, E462 and W463. Pure."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E450",
        "no firmware",
        "`boot: uefi` and `boot: bios` start OVMF and SeaBIOS as a package of the host has them: vmlaunch brings none. "
        "It looks in /usr/share/OVMF, /usr/share/edk2 and /usr/share/seabios.",
        "boot: uefi        # on a host without OVMF",
        "`apt install ovmf` or `apt install seabios`; or name a file, as in `boot: ./OVMF_CODE.fd`.",
    ),
    Explanation(
        "E451",
        "firmware built for Secure Boot",
        "Such a build of OVMF keeps its variables in System Management Mode, so that a guest's kernel cannot write "
        "them past the firmware. vmlaunch's machine has no such mode, and the firmware stops before it shows anything.",
        "boot: /usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
        "Take the build without it, OVMF_CODE_4M.fd: distributions' signed boot loaders start there as well, "
        "unchecked.",
    ),
    Explanation(
        "E452",
        "a firmware file that is none",
        "The file at `boot.firmware` is neither a ROM that ends in a reset vector, nor an ELF file with a PVH entry. "
        "`boot: FILE` names firmware; a kernel is `boot: {kernel: FILE}`.",
        "boot: ./debian.qcow2",
        "Name a firmware for x86-64; or put the file where it belongs: a kernel is `boot.kernel`, an image a disk.",
    ),
    Explanation(
        "E453",
        "firmware too large",
        "Firmware ends at 4 GiB and has the last 4 MiB below that, its variables included. Below are what interrupts "
        "and PCI configuration take.",
        "boot: ./OVMF_16M.fd",
        "Take a build of 4 MiB, which is what distributions have.",
    ),
    Explanation(
        "E454",
        "variables cannot be kept",
        "The file at `boot.variables` is opened when the VM starts, and what the firmware and the guest write goes "
        "into it. One that is not there is made then, in its folder. The template that came with the host's firmware "
        "would change for every VM that begins with it.",
        "boot: {firmware: uefi, variables: ./no-such-folder/vm.fd}",
        "Make the folder, let the user that runs vmlaunch write the file, or name a file of the VM's own.",
    ),
    Explanation(
        "E455",
        "variables and firmware do not fit",
        "Firmware finds its variables right below itself, in as many bytes as it was built with: Debian's OVMF of 4 "
        "MiB has 540672, that of 2 MiB 131072. A file of another size belongs to another build. SeaBIOS and CLOUDHV.fd "
        "keep none, and an OVMF.fd has them in itself.",
        "boot: {firmware: uefi, variables: ./of-2-MiB.fd}",
        "Name a file that is not there, which is made of the template; or the firmware that the file belongs to.",
    ),
    Explanation(
        "E456",
        "no variables of this firmware",
        "The file has the right size and its header does not say that it holds variables of UEFI as this firmware "
        "lays them out. Firmware would take it for damaged and format it.",
        "boot: {firmware: uefi, variables: ./disk.img}",
        "Name a file that is not there, which is made of the template, or a copy of OVMF_VARS_4M.fd.",
    ),
    Explanation(
        "E457",
        "no template for variables",
        "A firmware of the host comes with a template, of which a new file of variables is made. A file of yours has "
        "none that vmlaunch could know.",
        "boot: {firmware: ./OVMF_CODE.fd, variables: ./new.fd}",
        "Copy the OVMF_VARS*.fd that came with the firmware to where the variables are to be.",
    ),
    Explanation(
        "E458",
        "variables in use",
        "Another VM, or another process, has the file locked. Two guests that write one file of variables damage it.",
        "boot: {firmware: uefi, variables: ./shared.fd}        # of two VMs",
        "Give each VM a file of its own.",
    ),
    Explanation(
        "E459",
        "nothing to boot from",
        "Firmware looks for a boot loader on disks, passed drives (NVMe, SATA, SCSI) and what hangs on a passed USB "
        "controller. The guest has none of these. OVMF also asks a network (W459), SeaBIOS does not.",
        "boot: uefi        # without disks and devices",
        "Add a disk, pass a drive, or start from a kernel.",
    ),
    Explanation(
        "W459",
        "only a network to boot from",
        "The guest has no disk. OVMF asks each network card for a boot server, for minutes, and then shows its shell.",
        "boot: uefi\nnics: {lan: {bridge: br0}}",
        "Add a disk, unless a server answers on that network.",
    ),
    Explanation(
        "W460",
        "no boot loader is seen",
        "UEFI looks for an EFI system partition, a FAT partition or a CD that boots; a BIOS for code in the first "
        "sector. The first sectors of each disk have neither. The firmware will end in its shell, or say that nothing "
        "boots.",
        "boot: uefi        # and an image that holds a bare ext4",
        "Name an image that boots, or start its kernel by `boot: {kernel: ...}`.",
    ),
    Explanation(
        "W461",
        "a boot order that nobody hears",
        "The firmware has no driver to boot from a device of that kind; or it starts as a kernel does (CLOUDHV.fd) and "
        "is told no order.",
        "boot: uefi\ndevices: {gpu: {pci: 0000:c1:00.0, boot-order: 1}}",
        "Take `boot-order` out.",
    ),
    Explanation(
        "E462",
        "a file for cloud-init that is too large",
        "cloud-init's files are made into a small disk in memory, each of at most 1 MiB.",
        "cloud-init: {user-data: ./image.tar}",
        "Give the guest what is large by a share, a disk or its network, and let user-data fetch it.",
    ),
    Explanation(
        "E464",
        "too little memory for firmware",
        "OVMF unpacks itself into memory, works there, and gives most of it back to the guest's kernel. With 40 MiB "
        "that of Debian 12 and 13 finds no room to load anything, with 32 the former shows nothing at all. Memory "
        "above 4 GiB does not count.",
        "boot: uefi\nmemory: 32MiB",
        "Make the first bank larger: distributions want 512 MiB. SeaBIOS runs in 1 MiB, and a kernel of your "
        "own in what it needs itself.",
    ),
    Explanation(
        "E465",
        "a hole in low memory under UEFI",
        "OVMF asks where memory below 4 GiB ends, and takes all before that for memory (in EDK2 up to 2026.02; "
        "Debian 13 has 2025.02). A hole, where a bank has its own `at` or the IOMMU reserves addresses for a device, "
        "would be given to the guest's kernel as memory, and lose what is written there.",
        "boot: uefi\nmemory: [{size: 512MiB}, {size: 512MiB, at: 0x40000000}]",
        "End low memory before the hole, and have the rest at 4 GiB: `memory: [{size: 512MiB}, {size: 512MiB, at: "
        "0x100000000}]`. A kernel that is loaded directly, and SeaBIOS, take memory with holes.",
    ),
    Explanation(
        "W463",
        "cloud-init will make nothing of it",
        "user-data is told by its first line: `#cloud-config` before YAML, `#!` before a script, or another of the "
        "words that cloud-init knows. What begins with none of them it passes over, and says so in the guest's log "
        "only.",
        "cloud-init: {user-data: ./users.yaml}        # without `#cloud-config`",
        "Write `#cloud-config` into the first line; correct the YAML where the message says so.",
    ),
)
