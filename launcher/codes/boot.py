"""Explanations of the boot codes: KVM, CPUs and the files a guest starts from."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E401",
        "no KVM",
        "/dev/kvm is not there: the module is not loaded, or virtualization is off in the firmware, or this is a "
        "container or a VM that was not given it, or dom0 of Xen, which has it itself.",
        "vmlaunch plan vm.yaml        # in a container",
        "`modprobe kvm_amd` or `modprobe kvm_intel`; switch on SVM or VT-x; give the container /dev/kvm; "
        "boot without Xen.",
    ),
    Explanation(
        "E402",
        "KVM is denied",
        "/dev/kvm is there, and this user may not open it.",
        "vmlaunch plan vm.yaml        # as a user outside the group kvm",
        "As root: `usermod -aG kvm USER`; the user then logs in again. Where the node belongs to another group, first "
        "`chgrp kvm /dev/kvm; chmod 660 /dev/kvm`. Root itself is refused without CAP_DAC_OVERRIDE, or by a device "
        "cgroup: pass the node on where the container or the service is started.",
    ),
    Explanation(
        "E403",
        "KVM cannot be asked",
        "/dev/kvm is there and gives an error.",
        "vmlaunch plan vm.yaml",
        "The kernel's log says why: `dmesg | grep -i kvm`.",
    ),
    Explanation(
        "E404",
        "KVM is too old",
        "It lacks what every VM of ours needs. The newest of that came with Linux 4.12 (KVM_CAP_IMMEDIATE_EXIT).",
        "vmlaunch plan vm.yaml        # on Linux 4.4",
        "Run a newer kernel on the host.",
    ),
    Explanation(
        "E405",
        "another architecture",
        "The guest machine is a PC, and KVM runs guests of the host's own kind.",
        "vmlaunch plan vm.yaml        # on an arm64 host",
        "Plan for an x86_64 host, with `--host` from anywhere.",
    ),
    Explanation(
        "E406",
        "more vCPUs than KVM has",
        "KVM on this host limits the vCPUs of one VM (KVM_CAP_MAX_VCPUS), and vmlaunch gives none more than 255. How "
        "many host CPUs there are is another matter: more vCPUs than those share them (W402).",
        "cpus: 4096",
        "Give the guest at most as many as the message says.",
    ),
    Explanation(
        "E407",
        "pinned to a CPU that is not online",
        "`pin` names host CPUs by number, and one is not there or is switched off.",
        "cpus: {count: 2, pin: 510-511}",
        "`lscpu -e` lists the online CPUs.",
    ),
    Explanation(
        "E408",
        "pinned to a CPU that is not allowed",
        "The process that runs the VM is confined to other CPUs, by a cgroup or by taskset.",
        "cpus: {count: 2, pin: 8-9}        # in a service with AllowedCPUs=0-7",
        "Pin to allowed CPUs, or allow more.",
    ),
    Explanation(
        "E410",
        "the file is not there",
        "`boot` or `rom` names a file that does not exist. Paths are relative to the spec.",
        "boot: {kernel: ./no-such-file}",
        "Put the file there, or correct the path. Until then the plan is shown without the step that loads it.",
    ),
    Explanation(
        "E411",
        "the file may not be read",
        "The user that plans must be able to read the files the spec names: the plan carries their digests.",
        "boot: {kernel: /boot/vmlinuz}        # mode 0600",
        "Make it readable, or plan as a user who may read it.",
    ),
    Explanation(
        "E412",
        "the file cannot be read",
        "It is there and the operating system gives an error: a bad disk, a loop of links.",
        "boot: {kernel: ./loop}",
        "`sha256sum FILE` shows the error.",
    ),
    Explanation(
        "E413",
        "a directory",
        "A file belongs here.",
        "boot: {kernel: ./}",
        "Name the file in it.",
    ),
    Explanation(
        "E414",
        "an empty file",
        "It has no content, as after a download that failed.",
        "boot: {kernel: ./empty}",
        "Copy or build it again.",
    ),
    Explanation(
        "E415",
        "a bzImage that cannot be started",
        "The guest starts in 64-bit mode, by the 64-bit entry of the Linux boot protocol 2.12 (Linux 3.8). The message "
        "says what this file lacks.",
        "boot: {kernel: ./bzImage-i686}",
        "Take a 64-bit build of it; of Linux, 3.8 or later. Copy it again if it is damaged.",
    ),
    Explanation(
        "E416",
        "an ELF file that is no PVH kernel",
        "It has no Xen note of type 18 that names the entry, or its headers contradict each other or the file's "
        "size, or it is no kernel for x86-64 at all: the message says which.",
        "boot: {kernel: /bin/true}",
        "Build the kernel with CONFIG_PVH=y; `readelf -nl FILE` shows notes and segments. For another machine there is "
        "only another kernel.",
    ),
    Explanation(
        "E417",
        "an archive as kernel",
        "By its signature the file is compressed or a cpio archive. vmlaunch unpacks nothing: a kernel that is "
        "compressed as a whole (vmlinux.gz) has to be unpacked first, and an initial RAM disk has a field of its "
        "own. A bzImage is compressed inside and is taken as it is.",
        "boot: {kernel: ./vmlinux.gz}",
        "Unpack it: `zcat vmlinux.gz > vmlinux`. An initial RAM disk is named as `boot.initrd`.",
    ),
    Explanation(
        "E418",
        "not a kernel",
        "The file is something else: the message names it, where its signature is known.",
        "boot: {kernel: ./vm.yaml}",
        "Name a bzImage, as a distribution's /boot/vmlinuz-* is, or an ELF file with a PVH entry, such as vmlinux.",
    ),
    Explanation(
        "E419",
        "no initial RAM disk",
        "By its signature the file is a kernel or another ELF file; or it is no file but a device or a pipe.",
        "boot: {kernel: ./vmlinux, initrd: ./bzImage}",
        "Swap the two, name the initrd, or leave it out.",
    ),
    Explanation(
        "E420",
        "the kernel does not fit into memory",
        "The kernel names the addresses it must be at, below 4 GiB, and one range of RAM must hold each segment.",
        "boot: {kernel: ./vmlinux}\nmemory: 8MiB",
        "Make the first bank larger, or link a kernel that wants more than 3 GiB to load lower.",
    ),
    Explanation(
        "E421",
        "the kernel wants the first MiB",
        "The launcher's own tables are there: GDT, command line, start information, ACPI.",
        "boot: {kernel: ./loads-at-0x7c00}",
        "Link it to load from 0x100000 on.",
    ),
    Explanation(
        "E422",
        "the initial RAM disk does not fit into memory",
        "It is placed below 3 GiB, beside the kernel, in one piece.",
        "boot: {kernel: ./vmlinux, initrd: ./large.img}\nmemory: 64MiB",
        "Make the first bank larger.",
    ),
    Explanation(
        "E424",
        "no place for the VM's state",
        "Who is not root keeps VMs in $XDG_RUNTIME_DIR/vmlaunch, and that variable is not set.",
        "sudo -u ci vmlaunch plan vm.yaml",
        "Log in through PAM, or set XDG_RUNTIME_DIR to a folder of that user, mode 0700.",
    ),
    Explanation(
        "E425",
        "an option ROM that is too large",
        "An option ROM has at most 16 MiB (PCI Local Bus 3.0, 6.2.5.2), so the file is something else.",
        "devices: {gpu: {pci: 0000:c1:00.0, rom: ./disk.img}}",
        "Name the file that has the card's ROM, or leave `rom` out: the guest then sees the card's own.",
    ),
    Explanation(
        "E426",
        "too few processes and threads",
        "A VM is three processes, and each vCPU is a thread. The user's limit (`ulimit -u`) or a cgroup of those that "
        "`up` would run in (pids.max) allows fewer: TasksMax= of a systemd unit, `--pids-limit` of a container.",
        "cpus: 16        # in a unit with TasksMax=8",
        "Raise the limit with the command the message shows, or give the guest fewer vCPUs.",
    ),
    Explanation(
        "E427",
        "the kernel cannot confine the guest's process",
        "Before the guest's first instruction the process that runs it gives up capabilities, the file system "
        "(Landlock) and most calls of the kernel (seccomp). The spec requires all of that, and this kernel lacks a "
        "measure.",
        "confine: required        # on a kernel booted with lsm=apparmor",
        "Run a kernel that has the measure, or write `confine: auto`: the VM then runs with the measures there are.",
    ),
    Explanation(
        "E428",
        "too few open files",
        "Each vCPU, device and IOMMU group is an open file, and the hard limit, up to which `up` raises its own, is "
        "lower than their number.",
        "cpus: 64        # with `ulimit -Hn` of 32",
        "`ulimit -n 1024` as root, or LimitNOFILE=1024 in the systemd service.",
    ),
    Explanation(
        "E429",
        "the path of the control socket is too long",
        "The VM's control socket is in its state folder, below $XDG_RUNTIME_DIR for ordinary users, and the path of a "
        "socket has at most 107 bytes (unix(7)).",
        "XDG_RUNTIME_DIR=/srv/a/very/long/path/... vmlaunch plan vm.yaml",
        "Set XDG_RUNTIME_DIR to a folder with a shorter path, or give the VM a shorter name.",
    ),
    Explanation(
        "E430",
        "a file that is no option ROM",
        "An option ROM begins with 55 aa and has a PCI data structure (PCIR) of its card (PCI Firmware 3.3, 5.1); "
        "drivers look for both at the file's first byte. A file of zeros or ones is what reading a ROM gives that "
        "was switched off or is used. Tools for NVIDIA's cards write a header before it, which begins with NVGI.",
        "devices: {gpu: {pci: 0000:c1:00.0, rom: ./zeros.rom}}",
        "Cut a header off with the command that the message shows. Else dump the ROM again, with the card's driver "
        "unbound: `echo 1 > rom; cat rom > card.rom; echo 0 > rom` in /sys/bus/pci/devices/ADDRESS.",
    ),
    Explanation(
        "W430",
        "the option ROM of another card",
        "The ROM names the vendor and device that it is for, and none of its images names this one. Firmware and many "
        "drivers then leave it alone.",
        "devices: {gpu: {pci: 0000:c1:00.0, rom: ./other.rom}}",
        "Name the ROM of this card. If you know that the two cards share it, nothing is to be done.",
    ),
    Explanation(
        "W431",
        "an option ROM that is cut off",
        "Its images say how long they are, and whether another follows; the file ends before.",
        "devices: {gpu: {pci: 0000:c1:00.0, rom: ./half.rom}}",
        "Dump or copy it again.",
    ),
    Explanation(
        "W432",
        "an option ROM with a wrong checksum",
        "All bytes of an image for a PC BIOS add up to zero. Firmware does not run one that does not.",
        "devices: {gpu: {pci: 0000:c1:00.0, rom: ./edited.rom}}",
        "Dump it again. A ROM that was edited by hand needs its checksum set anew.",
    ),
    Explanation(
        "W433",
        "a guest that will be mute",
        "The guest's console is the serial port ttyS0, and Linux writes there only if its command line says so; else "
        "it writes to a screen, which there is not unless a graphics card is passed. The guest runs, and looks as if "
        "it hung. hvc0, ttyS1 and ttyAMA0 are consoles of other machines.",
        "boot: {kernel: ./bzImage, cmdline: root=/dev/nvme0n1p2}",
        "Add `console=ttyS0`. With a graphics card, `console=tty0` says that the screen is meant, and `console=null` "
        "that nothing is.",
    ),
    Explanation(
        "W434",
        "a root that the guest cannot have",
        "`root=` names a disk that the guest has not: it has those of `disks`, which are /dev/vda, /dev/vdb and so on "
        "in the order of the file, and those of passed devices. /dev/sda needs a SATA, SCSI or USB controller, "
        "/dev/nvme0n1 an NVMe drive. UUID=, LABEL= and /dev/mapper are looked up by an initial RAM disk only; the "
        "kernel itself knows PARTUUID= and device names.",
        "boot: {kernel: ./bzImage, cmdline: console=ttyS0 root=/dev/vda1}",
        "Give the disk by `disks:` or `devices:`, name it as the guest sees it, or give the guest an initial RAM disk.",
    ),
    Explanation(
        "W435",
        "a guest without a root",
        "Linux without `root=` and without an initial RAM disk panics once its drivers are up, unless an initramfs "
        "or a command line is built into the kernel.",
        "boot: {kernel: ./bzImage, cmdline: console=ttyS0}",
        "Add `root=` or `boot.initrd`. A kernel with an initramfs built in needs neither.",
    ),
    Explanation(
        "E440",
        "a topology of another number of vCPUs",
        "Sockets times cores times threads are not `count`. Sockets and threads are 1 where they are not written.",
        "cpus: {count: 8, topology: {cores: 3, threads: 2}}",
        "Leave `count` out, or correct the topology.",
    ),
    Explanation(
        "E441",
        "a topology without enough APIC ids",
        "An APIC id has eight bits, and socket, core and thread have bits of their own in it: 33 cores take the room "
        "of 64. The last id that a vCPU can have is 254.",
        "cpus: {topology: {sockets: 5, cores: 33}}",
        "Make cores and threads powers of two, or take fewer sockets.",
    ),
    Explanation(
        "E442",
        "no virtualisation in the guest",
        "The spec wants the guest to start virtual machines of its own, and the host's KVM module was loaded without "
        "`nested`.",
        "cpus: {count: 4, nested: true}        # where /sys/module/kvm_intel/parameters/nested says N",
        "Load the module with `nested=1` while no VM runs; or leave `nested` out.",
    ),
    Explanation(
        "W402",
        "vCPUs share host CPUs",
        "There are more vCPUs than host CPUs that this process may use, or than KVM recommends (KVM_CAP_NR_VCPUS). "
        "A vCPU that holds a lock may not be running.",
        "cpus: 64        # on 16 host CPUs",
        "Give the guest fewer vCPUs.",
    ),
    Explanation(
        "W403",
        "vCPUs and memory are on different nodes",
        "Each access of these vCPUs to memory crosses the link between the sockets.",
        "cpus: {count: 4, pin: 0-3}\nmemory: [{size: 8GiB, node: 1}]",
        "Pin to CPUs of the memory's node: `lscpu -e` shows them.",
    ),
    Explanation(
        "W404",
        "an initial RAM disk that Linux does not know",
        "By its signature it is no archive that Linux unpacks. It is loaded as it is.",
        "boot: {kernel: ./vmlinux, initrd: ./vm.yaml}",
        "An initial RAM disk is a cpio archive (newc), compressed or not. Other kernels may take other things.",
    ),
    Explanation(
        "W406",
        "the kernel lacks a measure that confines",
        "As E427, in a spec that does not require it: the VM runs, and a guest that takes over its process meets one "
        "fence less. `--strict` makes it block, `confine: required` in the spec as well.",
        "vmlaunch plan vm.yaml        # on a kernel booted with lsm=apparmor",
        "Run a kernel that has the measure, with `landlock` among the words of lsm= for Landlock.",
    ),
    Explanation(
        "W440",
        "a guest that leaves ACPI alone",
        "An MP table and interrupt lines, as firmware leaves them, also describe processors and interrupts: Linux with "
        "`pci=noacpi` or `acpi=noirq` misses nothing. Only ACPI says how this machine is powered off: with `acpi=off` "
        "Linux halts all vCPUs at its power-off, which `inspect` shows, and hears no power button, so that `down` ends "
        "it by force.",
        "boot: {kernel: ./bzImage, cmdline: console=ttyS0 acpi=off}",
        "Take the word out of the command line, or let the guest `reboot` at its end and run it with `--no-reboot`.",
    ),
    Explanation(
        "W405",
        "few processes and threads are left",
        "As E426, but the VM would fit if less of the limit were in use now, or if fewer host CPUs populated its "
        "memory: where memory is locked or names its pages, each of them has a thread before the vCPUs start. Whoever "
        "comes too late, the VM or others of the same user or cgroup, is refused its thread (EAGAIN).",
        "cpus: 16        # as a user with `ulimit -u 64`, 50 of which are in use",
        "Raise the limit with the command the message shows, or end other processes.",
    ),
)
