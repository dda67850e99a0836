"""Explanations of the spec codes: what is wrong with what a file says, whatever the host is."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E101",
        "unknown key",
        "The object has no such key. Keys are never ignored, because a misspelled one would be.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, companoins: attach}",
        "Correct the key: the message knows the words of QEMU, libvirt, Proxmox, KubeVirt and Compose for it. "
        "`vmlaunch explain devices` lists the keys of a device.",
    ),
    Explanation(
        "E102",
        "a key is missing",
        "A VM needs a kernel or firmware, a number of vCPUs and memory; a bank needs a size.",
        "boot: {cmdline: console=ttyS0}",
        "Add the key.",
    ),
    Explanation(
        "E104",
        "an x- key that is not at the top level",
        "Keys that start with x- are yours and are ignored, at the top level only, so that nobody has to look for "
        "ignored things inside a device.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, x-owner: ml}",
        "Move it to the left margin.",
    ),
    Explanation(
        "E105",
        "the wrong kind of value",
        "A number, text, a list and a mapping are different things, and none is made of another.",
        'cpus: "8"',
        "Write the kind of value the message names.",
    ),
    Explanation(
        "E106",
        "a key without a value",
        "Nothing stands behind the colon, as a template leaves it that was not filled in, or `null` does for a field "
        "that is needed. An optional field that a program writes as `null` is as if it were not there. In `{ }` a "
        "comma ends a value, and what is behind it is such a key: `{pin: 8-11,16}`.",
        "boot: {kernel: ./bzImage}\ndevices:",
        "Write a value, or take the key out. A value with a comma in it goes in quotes.",
    ),
    Explanation(
        "E107",
        "not a size",
        "Sizes are whole numbers with KiB, MiB, GiB or TiB. `G` and `GB` mean 10^9 to some programs and 2^30 to "
        "others. A bare number is MiB to QEMU and Proxmox, KiB to libvirt's XML, bytes to Kubernetes and GiB to "
        "people: the message shows its readings, and gives no fix that a program could apply.",
        "memory: 32G",
        "Write `memory: 32GiB`.",
    ),
    Explanation(
        "E108",
        "a size that does not fit",
        "Memory comes in whole pages of the bank's page size, at least one, and x86 addresses at most 4096 TiB.",
        "memory:\n  - {size: 1536MiB, pages: 1GiB}",
        "Take a multiple of the page size, or smaller pages.",
    ),
    Explanation(
        "E109",
        "not a place for a bank",
        "`at` is a guest address in hex, on a boundary of the bank's page size, below 2^52. A decimal number may stand "
        "there, too; one that is round in hex only, as 8000000000, is asked about.",
        "memory:\n  - {size: 1GiB, pages: 2MiB, at: 0x100001000}",
        "Write an address on the boundary, or leave `at` out: the planner finds a place.",
    ),
    Explanation(
        "E110",
        "two banks overlap",
        "Both banks say where they start, and one starts before the other ends.",
        "memory:\n  - {size: 4GiB, at: 0x100000000}\n  - {size: 4GiB, at: 0x180000000}",
        "Move one of them, or leave `at` out.",
    ),
    Explanation(
        "E111",
        "not a PCI address",
        "An address is domain:bus:device.function in hex; without the domain it is in domain 0000.",
        "devices: {disk: 02:00}",
        "Write it as `lspci -D` shows it: `0000:02:00.0`.",
    ),
    Explanation(
        "E112",
        "a number where a PCI address belongs",
        "YAML 1.1 has numbers in base 60: a YAML 1.1 tool that reads an unquoted 0000:01:00.0 takes it for 60 "
        "and writes 60. vmlaunch reads YAML 1.2, which does not, but here the damage was done before.",
        "devices: {disk: 60}",
        'Quote the address in the tool\'s input, and write `disk: "0000:01:00.0"` here.',
    ),
    Explanation(
        "E113",
        "a number where text belongs",
        "Without quotes 0302 is the number 302 and 1e37 is a float. A serial number, a slot, a class or an id "
        "would have lost its digits.",
        "devices:\n  disk: {match: {serial: 123456}}",
        'Put it in quotes: `serial: "123456"`.',
    ),
    Explanation(
        "E114",
        "not a place for a passed device",
        "Passed devices are at 00:10.0 to 00:1f.7 in the guest; 00:00.0 to 00:0f.7 belong to the machine itself, its "
        "disks and NICs.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, guest: 00:02.0}",
        "Write an address from 00:10.0 on, or leave `guest` out.",
    ),
    Explanation(
        "E115",
        "not a vendor:device id",
        "An id is two numbers of four hex digits with a colon between them.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, expect: nvidia}",
        "Write it as `lspci -nn` shows it: `expect: 10de:2684`.",
    ),
    Explanation(
        "E116",
        "not one of the choices",
        "The field takes one of a few words, which the message lists.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, companions: keep}",
        "Write one of them.",
    ),
    Explanation(
        "E117",
        "not a name for a VM",
        "Names are 1 to 63 of a-z, 0-9 and -, and do not start with -: they become folder names.",
        "name: Trainer_1",
        "Write `name: trainer-1`.",
    ),
    Explanation(
        "E118",
        "not an alias",
        "The aliases of devices, disks, NICs and shares are 1 to 63 of a-z, 0-9 and -, and do not start with -.",
        "devices: {GPU_0: 0000:c1:00.0}",
        "Write `gpu-0: 0000:c1:00.0`.",
    ),
    Explanation(
        "E119",
        "a number out of range",
        "The message says the smallest or the largest number that is possible. What this host has is another question, "
        "which `plan` answers.",
        "cpus: 0",
        "Write a number in the range.",
    ),
    Explanation(
        "E120",
        "not a list of host CPUs",
        "`pin` gives each vCPU a host CPU of its own, in order: as many as `count` says, none of them twice.",
        "cpus: {count: 8, pin: 8-14}",
        "Write as many host CPUs as there are vCPUs: `pin: 8-15`.",
    ),
    Explanation(
        "E121",
        "no device, or two ways to find it",
        "A device is found by its address, `pci`, by its properties, `match`, or, a mediated one, by its UUID, `mdev`.",
        "devices:\n  gpu: {companions: attach}",
        "Add one of them, or take one of them out.",
    ),
    Explanation(
        "E122",
        "a key without its partner",
        "`vf` is the number of a virtual function of the device at `pci`; `pick` says which of several matches "
        "to take. A mediated device has no key but `guest` beside `mdev`. An initial RAM disk and a command line are a "
        "kernel's; `variables` are those of UEFI.",
        "devices:\n  nic: {match: {class: ethernet}, vf: 3}",
        "Add the partner, or take the key out.",
    ),
    Explanation(
        "E123",
        "an empty match",
        "`match: {}` would find every device of the host.",
        "devices:\n  gpu: {match: {}}",
        "Give at least one property: class, id, serial, slot, node or pf.",
    ),
    Explanation(
        "E124",
        "a device is there twice",
        "Two aliases stand for the same device of the host.",
        "devices: {a: 0000:02:00.0, b: 02:00.0}",
        "Take one of them out.",
    ),
    Explanation(
        "E125",
        "two devices in one place of the guest",
        "Two devices have the same `guest` address.",
        "devices:\n  a: {pci: 0000:02:00.0, guest: 00:18.0}\n  b: {pci: 0000:03:00.0, guest: 00:18.0}",
        "Move one of them, or leave `guest` out.",
    ),
    Explanation(
        "E126",
        "not a kernel command line",
        "A command line is one line without NUL, of at most 2047 bytes: x86 Linux has COMMAND_LINE_SIZE 2048.",
        "boot:\n  kernel: ./bzImage\n  cmdline: |\n    console=ttyS0\n    ro",
        "Write it on one line. `>-` folds several lines into one.",
    ),
    Explanation(
        "E127",
        "an unknown format version",
        "This vmlaunch knows format version 1.",
        "vmlaunch: 2",
        "Write `vmlaunch: 1`, or use a newer vmlaunch.",
    ),
    Explanation(
        "E128",
        "a word or a number that other tools read as true or false",
        "yes, no, on and off are text in YAML 1.2, as is what stands in quotes, and `rom: no` would be a file called "
        "no. 0 and 1 are numbers.",
        "devices:\n  gpu: {pci: 0000:c1:00.0, rom: no}",
        "Write true or false. A file of that name is `./no`.",
    ),
    Explanation(
        "E129",
        "a VM without a name",
        "The name is the file's name without its ending. It is needed in the spec when the spec comes from "
        "stdin, or when the file's name is not a name for a VM.",
        "cat vm.yaml | vmlaunch validate -",
        "Add `name: trainer`.",
    ),
    Explanation(
        "E130",
        "text that cannot be meant",
        "A path, a name, a slot or a serial number is neither empty nor has it a NUL byte.",
        'boot: {kernel: ""}',
        "Write the text.",
    ),
    Explanation(
        "E131",
        "not the MAC address of a card",
        "A card has an address of six bytes. One whose first byte is odd is of a group of cards (multicast), and "
        "drivers refuse it; six zeros are how a physical function says that it gives no address.",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 3, network: {mac: 53:54:00:12:34:56}}",
        "Write one of your own: those that begin with 02, 06, 0a, 0e, 52 and the like belong to nobody else.",
    ),
    Explanation(
        "E132",
        "`network` sets nothing",
        "It has four keys, mac, vlan, trust and spoofcheck, and none of them is given.",
        "devices:\n  nic: {pci: 0000:3b:00.0, vf: 3, network: {}}",
        "Give at least one of them, or take `network` out: what the physical function says of it then stays.",
    ),
    Explanation(
        "E133",
        "a kernel and firmware",
        "A guest starts from its kernel, which is loaded into its memory, or from firmware, which finds a boot loader "
        "on one of its disks.",
        "boot: {kernel: ./bzImage, firmware: uefi}",
        "Keep one. A kernel starts sooner; an image with a boot loader of its own needs `firmware: uefi`, or `bios`.",
    ),
    Explanation(
        "E134",
        "an order without firmware",
        "`boot-order` says when firmware tries a disk or a device. A guest that starts from its kernel tries none: its "
        "command line names its root.",
        "boot: {kernel: ./bzImage}\ndisks: {root: {path: ./root.qcow2, boot-order: 1}}",
        "Take `boot-order` out, or write `boot: uefi`.",
    ),
    Explanation(
        "E135",
        "one place in the boot order for two",
        "Each disk and device with a `boot-order` has a number of its own; the lowest is tried first.",
        "boot: uefi\ndisks:\n  root: {path: ./root.qcow2, boot-order: 1}\n  data: {path: ./data.qcow2, boot-order: 1}",
        "Write another number. Numbers may be left out between them.",
    ),
    Explanation(
        "E136",
        "not the UUID of a mediated device",
        "A mediated device has no address: it is called by the UUID that it was made with, 32 hex digits with four "
        "hyphens.",
        "devices:\n  gpu: {mdev: nvidia-63}        # a type, of which there may be several",
        "Write the name of its folder: `ls /sys/bus/mdev/devices`. What is to be made has a parent and a type: `mdev: "
        "{parent: 0000:41:00.0, type: nvidia-63}`.",
    ),
    Explanation(
        "E137",
        "not the name of a device or a type in sysfs",
        "What makes mediated devices is called as in /sys/class/mdev_bus, which for PCI devices is their address, and "
        "a type as in its folder mdev_supported_types. Neither has a slash in it.",
        "devices:\n  gpu: {mdev: {parent: /sys/class/mdev_bus/mtty, type: mtty-2}}",
        "Write the last part of the path: `ls /sys/class/mdev_bus/*/mdev_supported_types`.",
    ),
    Explanation(
        "E140",
        "nothing to connect to, or two things",
        "A disk has its data at a path, or an engine of yours serves it at a socket. A NIC is on a bridge, on a tap, "
        "at the socket of an engine, or on the network of the user.",
        "nics:\n  lan: {bridge: br0, tap: tap0}",
        "Say one of them.",
    ),
    Explanation(
        "E141",
        "a key that has nothing to do there",
        "`format`, `serial` and `discard` are told to qemu-storage-daemon, and an engine of yours has its own. A disk "
        "that is only read gives nothing back. `mtu` is set on a tap that is made here, and a tap or network that is "
        "there already has one.",
        "disks:\n  data: {socket: /run/spdk.sock, format: raw}",
        "Take the key out.",
    ),
    Explanation(
        "E142",
        "not the name of a network interface",
        "Linux takes 1 to 15 characters, none of them a space, / or :, and neither . nor ..",
        "nics:\n  lan: {bridge: the-bridge-to-the-office}",
        "Write the name as `ip link` shows it.",
    ),
    Explanation(
        "E144",
        "not a context id",
        "The guest's end of vsock is a number from 3 to 4294967294: 0 to 2 and 4294967295 are the hypervisor's, the "
        "host's and anybody's.",
        "vsock: 2",
        "Write another number, or `vsock: true`: one follows from the VM's name.",
    ),
    Explanation(
        "E145",
        "one alias for two entries",
        "`devices`, `disks`, `nics` and `shares` have their aliases in common: messages, the report and engines know "
        "an entry by its alias alone.",
        "disks: {data: ./data.img}\nshares: {data: ./data}",
        "Write another alias for one of them.",
    ),
    Explanation(
        "E146",
        "the name of a share is too long",
        "The guest mounts a share by its tag, which is its key here, and virtiofs has 36 characters for it.",
        "shares: {the-sources-of-everything-that-we-ever-built: ./src}",
        "Write a shorter name.",
    ),
    Explanation(
        "E147",
        "one thing for two",
        "Two disks of one image would overwrite each other, unless both are `readonly`. A tap and the socket of an "
        "engine serve one NIC or disk. A MAC tells NICs apart, and a serial number disks.",
        "disks: {a: ./data.img, b: ./data.img}",
        "Give one of them another, or take it out.",
    ),
    Explanation(
        "E148",
        "a disk, a NIC or a share in the words of another tool",
        "A disk is its path, or a mapping; so is a share. A NIC is `user`, or a mapping that says what it is connected "
        "to. Options with commas, `bridge=br0`, and a path with a colon and where it goes are of other tools.",
        "disks: {root: 'file=./debian.qcow2,if=virtio'}\nnics: {lan: bridge=br0}\nshares: {src: './src:/src:ro'}",
        "Write `root: ./debian.qcow2`, `lan: {bridge: br0}`, `src: {path: ./src, readonly: true}`.",
    ),
    Explanation(
        "E149",
        "more than the guest has slots for",
        "Disks, NICs, shares and vsock are in the guest's slots 00:01 to 00:0f, one each: 15 in all.",
        "disks:\n" + "".join(f"  d{number}: ./{number}.img\n" for number in range(16)),
        "Take some out, or pass drives and cards of the host: `devices` has slots of its own.",
    ),
)
