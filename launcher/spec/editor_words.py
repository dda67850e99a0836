"""What editors say of a value and offer in its place, beyond what the model says: tables for editor_schema.py. Pure."""

from __future__ import annotations

from launcher.spec import shapes
from launcher.spec.kinds import KINDS, WORDS
from launcher.typed import Any

# Field -> its words, each with what it does.
MEANINGS: dict[str, dict[str, str]] = {
    "memory.pages": {
        "4KiB": "Pages of 4 KiB, and none larger.",
        "thp": "The kernel makes 2 MiB pages where it can (transparent huge pages).",
        "2MiB": "Huge pages of 2 MiB, which the host must have reserved.",
        "1GiB": "Huge pages of 1 GiB, which the host must have reserved.",
    },
    "devices.pick": {
        "one": "Refuse when several devices match.",
        "free": "Of several that match, the one with the lowest address that nobody uses.",
    },
    "devices.companions": {
        "refuse": "Do not run while a host driver holds another member of the IOMMU group.",
        "detach": "Take such members from the host while the VM runs.",
        "attach": "Give the guest all other functions of the card and of the group.",
    },
    "devices.bind": {
        "auto": "Bind the device to vfio-pci on up, and put its old driver back on down.",
        "never": "A driver has given it to VFIO already.",
    },
    "devices.allow": {
        "in-use": "An idle user on the host; `in-use: eth0` names the only one that is accepted.",
        "no-reset": "The device cannot be reset between host and guest.",
        "unsafe-interrupts": "The host cannot remap interrupts, and its administrator has allowed that.",
    },
    "devices.match.class": {one.word: f"{one.means[:1].upper()}{one.means[1:]}." for one in KINDS},
    "disks.format": {"raw": "The bytes of the disk as they are.", "qcow2": "QEMU's format, which grows as it is used."},
    "vfio": {
        "auto": "type1 where the host has it, else iommufd.",
        "type1": "By groups and a container.",
        "iommufd": "By nodes of the devices themselves, which reach each other's memory on Linux 6.19 and later.",
    },
    "confine": {
        "auto": "A kernel that lacks one of the measures costs that measure only.",
        "required": "A kernel that lacks one of the measures is a blocker.",
    },
    "boot": {"uefi": "The host's OVMF.", "bios": "The host's SeaBIOS."},
    "boot.firmware": {"uefi": "The host's OVMF.", "bios": "The host's SeaBIOS."},
}

_KINDS = f"a device class is one of {', '.join(WORDS)}, or the first hex digits of a PCI class in quotes"
_NAME = "names are 1 to 63 of a-z, 0-9 and -, and not - first"

# Pattern of the schema -> its rule in words.
RULES = {
    shapes.SIZE: "a size is a whole number and KiB, MiB, GiB or TiB, without a space",
    shapes.NAME: _NAME,
    shapes.TAG: "the alias of a share is its tag: 1 to 36 of a-z, 0-9 and -, and not - first",
    shapes.CLASS: _KINDS,
    shapes.DEVICE_ID: "it is vendor:device, each four hex digits, as `lspci -nn` shows them",
    shapes.UUID: "it is the name of a folder below /sys/bus/mdev/devices: 32 hex digits, 8-4-4-4-12",
    shapes.GUEST: "it is 00:10.0 to 00:1f.7",
    shapes.HEX: "it is a guest address in hex",
    shapes.MAC: "it is a card's own MAC: six bytes in hex with colons, the first of them even",
    shapes.INTERFACE: "Linux takes 1 to 15 characters, without space, /, : and %",
    shapes.ROM: "write `true` or `false`; a file of such a name begins with `./`",
    shapes.BOOT: "a kernel stands below `kernel:`",
    shapes.PIN: "it is a range, or ranges and numbers with commas",
}

# What an entry may be in place of a mapping.
ENTRIES_AS_WORDS = {"devices": "PCI address", "disks": "path", "nics": "`user`", "shares": "path"}

# Section -> what is offered where one of its keys, or an alias of it, may stand; `$1` is where the cursor goes first.
ENTRIES: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "": (
        (
            "a VM with a kernel",
            "A kernel, its initial RAM disk and its command line.",
            {
                "boot": {"kernel": "${1:./bzImage}", "initrd": "${2:./initrd.img}", "cmdline": "${3:console=ttyS0}"},
                "cpus": "^${4:2}",
                "memory": "${5:2GiB}",
            },
        ),
        (
            "a VM with firmware and a disk",
            "The host's OVMF, which starts what is on the disk.",
            {
                "boot": "${1|uefi,bios|}",
                "cpus": "^${2:2}",
                "memory": "${3:2GiB}",
                "disks": {"root": "${4:./debian.qcow2}"},
                "nics": {"inet": "user"},
            },
        ),
    ),
    "devices": (
        ("a device by its address", "As `vmlaunch devices` shows it.", {"${1:disk}": "${2:0000:02:00.0}"}),
        (
            "a device by what it is",
            "The one of this kind, wherever it is.",
            {"${1:gpu}": {"match": {"class": f"${{2|{','.join(WORDS)}|}}"}}},
        ),
        (
            "a free virtual function",
            "One of a network card's that nobody uses.",
            {"${1:net}": {"match": {"pf": "${2:0000:3b:00.0}"}, "pick": "free"}},
        ),
    ),
    "disks": (
        ("an image or a block device", "Its name says the format.", {"${1:root}": "${2:./debian.qcow2}"}),
        (
            "a disk that is only read",
            "Several VMs can use it at once.",
            {"${1:data}": {"path": "${2:./data.qcow2}", "readonly": True}},
        ),
    ),
    "nics": (
        ("a network without rights", "By passt, as the host's user.", {"${1:inet}": "user"}),
        ("a card on a bridge", "By a tap that is made on up.", {"${1:lan}": {"bridge": "${2:br0}"}}),
    ),
    "shares": (("a folder of the host", "By virtiofs.", {"${1:work}": "${2:./src}"}),),
}
