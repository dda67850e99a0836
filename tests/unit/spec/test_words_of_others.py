"""What users of other tools write in, what they are told out: the field that is meant, or what there is instead."""

from __future__ import annotations

import re

import pytest

from launcher.codes import all_explanations
from launcher.errors import Diagnostic, Refused
from launcher.spec.fields import SECTIONS, all_fields, keys_of
from launcher.spec.load import load_spec
from launcher.spec.words_of_others import CHOICES, FIELDS

START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\n"


def refused(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(Refused) as error:
        load_spec(text, "vm.yaml", name="vm")
    return error.value.diagnostics


def told(text: str) -> Diagnostic:
    (one,) = refused(text)
    return one


AT_THE_TOP = {
    "ram: 4GiB": "write `memory`",
    "vcpus: 2": "write `cpus`",
    "cores: 2": "write `cpus`",
    "bootVcpus: 2": "write `cpus`",
    "mem_limit: 4g": "write `memory`",
    "cpu: host": "nothing is to be written",
    "smp: 4,sockets=2": "write `cpus`",
    "sockets: 2": "number of vCPUs in all",
    "kernel: /boot/vmlinuz": "`boot: {kernel: /boot/vmlinuz}`",
    "initrd: ./initrd.img": "`boot: {initrd: ./initrd.img}`",
    "append: console=ttyS0": "`boot: {cmdline: console=ttyS0}`",
    "args: ro": "`boot: {cmdline: ro}`",
    "affinity: 0-1": "`cpus: {count: 8, pin: 8-15}`",
    "hugepages: 1024": "`memory: [{size: 8GiB, pages: 1GiB}]`",
    "network: default": "write `nics`, as in `nics: {lan: {bridge: br0}, inet: user}`",
    "networks: []": "write `nics`, as in `nics: {lan: {bridge: br0}, inet: user}`",
    "net0: virtio": "write `nics`, as in `nics: {lan: {bridge: br0}, inet: user}`",
    "nic: x": "if it is a bridge, write `nics: {lan: {bridge: x}}`",
    "network: nat": "write `user`, which needs no rights",
    "hostdevs: ['0000:03:00.0']": "write `devices: {device: 0000:03:00.0}`",
    "hostpci0: 0000:03:00.0,pcie=1": "write `devices: {device: 0000:03:00.0}`",
    "hostpci1: '03:00'": "write `0000:03:00.0` for the first",
    "gpu: 0000:03:00.0": "write `devices: {device: 0000:03:00.0}`",
    "usb: 0000:00:14.0": "write `devices: {device: 0000:00:14.0}`",
    "audio: hda": "write `devices: {audio: {match: {class: audio}}}`",
    "disk: a.qcow2": "write `disks: {root: a.qcow2}`",
    "image: a.qcow2": "write `disks: {root: a.qcow2}`",
    "scsi0: local:1": "write `disks`, as in `disks: {root: ./debian.qcow2}`",
    "drive: file=a": "write `disks: {root: a}`",
    "cdrom: a.iso": "write `disks: {root: {path: a.iso, readonly: true}}`",
    "mac: 52:54:00:00:00:01": "network: {mac: ",
    "uefi: true": "as in `boot: uefi`",
    "firmware: ovmf": "it belongs in `boot:`",
    "nvram: ./a.fd": "`boot: {variables: ./a.fd}`",
    "secureboot: true": "no SMM",
    "cloudinit: {}": "write `cloud-init`",
    "user_data: x": "`cloud-init: {user-data: ./user-data}`",
    "usb: []": "USB controller",
    "gpus: 1": "passed by `devices:`",
    "hostdev: x": "passed by `devices:`",
    "hostpci0: 0000:01:00.0": "passed by `devices:`",
    "hostDevices: []": "passed by `devices:`",
    "vga: std": "no screen",
    "volumes: []": "write `shares`, as in `shares: {work: ./src}`",
    "volumes: ['./src:/work:ro']": "write `shares: {work: {path: ./src, readonly: true}}`",
    "drive: 'file=./a.img,if=virtio,format=raw'": "write `disks: {root: {path: ./a.img, format: raw}}`",
    "drives: ['path=./a.img,readonly=on', {path: ./b}]": (
        "write `disks: {disk-0: {path: ./a.img, readonly: true}, disk-1: ./b}`"
    ),
    "disk: {driver: {name: qemu, type: qcow2}, source: {file: ./a.qcow2}, target: {dev: vda, bus: virtio}}": (
        "write `disks: {root: {format: qcow2, path: ./a.qcow2}}`"
    ),
    "net0: 'virtio=52:54:00:AA:00:01,bridge=vmbr0'": "write `nics: {lan: {mac: 52:54:00:AA:00:01, bridge: vmbr0}}`",
    "network: bridge=br0": "write `nics: {lan: {bridge: br0}}`",
    "netdev: user,id=n0": "write `nics: {lan: user}`",
    "interface: {mac: {address: 52:54:00:aa:00:01}, source: {bridge: br0}, model: {type: virtio}}": (
        "write `nics: {lan: {mac: 52:54:00:aa:00:01, bridge: br0}}`"
    ),
    "disk: {type: file, source: {file: ./a.qcow2}, driver: {type: qcow2}, readonly: {}}": (
        "write `disks: {root: {path: ./a.qcow2, format: qcow2, readonly: true}}`"
    ),
    "cdrom: {path: a.iso}": "write `disks: {root: {path: a.iso, readonly: true}}`",
    "cdrom: a.img": "write `disks: {root: {path: a.img, readonly: true}}`",
    "drive: 'file=a.img,media=cdrom'": "write `disks: {root: {path: a.img, readonly: true}}`",
    "disk: /dev/sr0,format=raw": "write `disks: {root: {path: /dev/sr0, format: raw, readonly: true}}`",
    "disk: {root: ./a}": "write `disks`",
    "disk: 20G": "as in `disks: {root: ./debian.qcow2}`",
    "filesystem: {source: {dir: /srv}, target: {dir: work}}": "write `shares: {work: /srv}`",
    "network-interfaces: [{iface_id: eth0, host_dev_name: tap0}]": "write `nics: {lan: {tap: tap0}}`",
    "guest-cid: 3": "write `vsock`",
    "disk-size: 20G": "qemu-img create",
    "ports: [8080:80]": "forwards no ports",
    "restart: always": "systemd",
    "services: {}": "one file is one VM",
    "description: mine": "begin with x-",
    "version: 3": "vmlaunch: 1",
    "on_poweroff: destroy": "a VM ends when its guest switches off",
    "onReboot: restart": "a guest that reboots starts anew",
}


WITHOUT_ALIASES = {
    "devices: 0000:03:00.0": "`devices: {device: 0000:03:00.0}`",
    "devices: ['03:00.0', 0000:04:00.0]": "`devices: {device-0: 03:00.0, device-1: 0000:04:00.0}`",
    "devices: [pci_0000_01_00_0]": "`devices: {device: 0000:01:00.0}`",
    "devices: gpu": "`devices: {gpu: {match: {class: gpu}}}`",
    "devices: 10de:2684": "`devices: {device: {match: {id: 10de:2684}}}`",
    "devices: [{pci: 0000:03:00.0, rom: false}]": "`devices: {device: {pci: 0000:03:00.0, rom: false}}`",
    "devices: [{source: {address: {bus: 1, slot: 0}}}]": "`devices: {device: 0000:01:00.0}`",
    "devices: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001": "{mdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001}",
    "devices: {match: {class: vga}}": "`devices: {device: {match: {class: vga}}}`",
    "devices: {class: gpu}": "`devices: {device: {match: {class: gpu}}}`",
    "devices: {pci: 0000:03:00.0, rom: false}": "`devices: {device: {pci: 0000:03:00.0, rom: false}}`",
    "devices: all": "`{match: {class: gpu}, pick: free}`",
    "devices: ['01:00']": "write `0000:01:00.0` for the first",
    "disks: ./a.qcow2": "`disks: {root: ./a.qcow2}`",
    "nics: br0": "if it is a bridge, write `nics: {lan: {bridge: br0}}`",
    "nics: [user, br1]": "if they are bridges, write `nics: {nic-0: user, nic-1: {bridge: br1}}`",
    "nics: e1000": "what the guest sees is virtio-net",
    "shares: [./work]": "`shares: {work: ./work}`",
    "devices: [{gpu: 0000:03:00.0}, {nic: 0000:04:00.0}]": "`devices: {gpu: 0000:03:00.0, nic: 0000:04:00.0}`",
    "disks: [{root: ./a.qcow2}]": "`disks: {root: ./a.qcow2}`",
}


@pytest.mark.parametrize("written", WITHOUT_ALIASES)
def test_what_stands_where_aliases_belong_is_told_with_an_alias_and_not_by_an_example(written: str) -> None:
    one = told(START + written)
    assert one.code == "E105"
    assert WITHOUT_ALIASES[written] in " ".join(one.help)


@pytest.mark.parametrize(
    "written", ["disks: [{root: ./a.img}, {root: ./b.img}]", "shares: ['./a:/srv/data', './b:/mnt/data']"]
)
def test_none_of_several_is_lost_because_two_would_have_one_alias(written: str) -> None:
    said = " ".join(told(START + written).help)
    assert ("./a" in said) is ("./b" in said)


def test_what_is_empty_is_shown_as_yaml_has_it() -> None:
    shown = refused(f"{START}devices: [{{pci: , rom: false}}]")[0]
    assert "`devices: {device: {pci: null, rom: false}}`" in shown.help[0]


OTHER_SHAPES = {
    "boot: {kernel: ./k, initrd: [./a, ./b]}": ("E105", "`cat ./a ./b > initrd.img`"),
    "boot: {kernel: [./k]}": ("E105", "write `kernel: ./k`"),
    "boot: [./k]": ("E105", "write `boot: {kernel: ./k}`"),
    "boot: {kernel=./k}": ("E101", "write a colon and a space: `kernel: ./k`"),
    "boot: {firmware: uefi, secure: true}": ("E101", "no Secure Boot"),
}


@pytest.mark.parametrize("written", OTHER_SHAPES)
def test_a_boot_of_another_shape_is_told_as_it_is_written(written: str) -> None:
    one = refused(f"{written}\ncpus: 1\nmemory: 1GiB\n")[0]
    assert (one.code, OTHER_SHAPES[written][1] in " ".join(one.help)) == (OTHER_SHAPES[written][0], True), one.help


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("in_use", "write `allow: [in-use]`"),
        ("unsafe", "`allow: [unsafe-interrupts]`"),
        ("in-use,no-reset", "`allow: [in-use, no-reset]`"),
        ("all", "is none for"),
    ],
)
def test_consents_in_one_text_are_a_list(written: str, said: str) -> None:
    one = told(f"{START}devices: {{a: {{pci: 0000:03:00.0, allow: '{written}'}}}}\n")
    assert said in one.help[0]


def test_confinement_is_never_off() -> None:
    for word in ("no", "false", "off"):
        assert "nothing takes it away" in told(f"{START}confine: {word}\n").help[0]
    assert told(f"{START}confine: strict\n").help[0] == "write `required`"


def test_a_spec_below_a_word_is_told_once() -> None:
    (one,) = refused("vm:\n  boot: {kernel: ./k}\n  cpus: 1\n  memory: 1GiB\n")
    assert "stand at the left margin" in one.help[0]


def test_a_file_of_compose_or_of_kubernetes_is_told_as_one_and_not_key_by_key() -> None:
    (one,) = refused("services:\n  web: {image: debian, cpus: 2}\n")
    assert "one file is one VM" in one.help[0]
    (one,) = refused("apiVersion: v1\nkind: Pod\nmetadata: {name: vm}\nspec: {containers: []}\n")
    assert "an object of Kubernetes, and no spec of a VM" in one.help[0]


def test_what_is_assigned_is_told_with_a_colon() -> None:
    assert told("boot = ./bzImage\n").help == ("write a colon in place of =, as in `boot: ./bzImage`",)


def test_an_alias_may_be_called_as_a_key_is() -> None:
    load_spec(f"{START}devices: {{pci: 0000:03:00.0, match: 0000:04:00.0}}", "vm.yaml", name="vm")


def test_a_kind_in_the_place_of_an_address_is_told_as_one() -> None:
    assert "`{match: {class: gpu}}`" in told(f"{START}devices: {{a: vga}}").help[0]


@pytest.mark.parametrize("written", AT_THE_TOP)
def test_a_word_of_another_tool_is_answered_by_what_it_means(written: str) -> None:
    one = told(START + written)
    assert one.code == "E101"
    assert AT_THE_TOP[written] in " ".join(one.help)


OF_A_DEVICE = {
    "id: 10de:2684": "`match: {id: 10de:2684}`",
    "host: 0000:c1:00.0": "write `pci`",
    "address: 0000:c1:00.0": "write `pci`",
    "class: gpu": "`match: {class: gpu}`",
    "node: 1": "`match: {node: 1}`",
    "managed: yes": "one of auto, never",
    "romfile: a.rom": "true, false or a path",
    "mac: 52:54:00:00:00:01": "`network: {mac: 52:54:00:00:00:01}`",
    "vlan: 7": "`network: {vlan: 7}`",
    "sysfsdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001": "write `{mdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001}`",
    "vgpu: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001": "a mediated device is passed by its UUID",
    "mdev-uuid: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001": "write `mdev`",
    "count: 2": "an alias of its own",
    "memory: 4GiB": "at the left margin",
}


OF_A_DEVICE |= {
    "deviceName: nvidia.com/GA102GL_A10": "`match: {id: 10de:2684}`",
    "pciVendorSelector: 10de:2684": "`match: {id: 10de:2684}`",
    "pciBusID: 0000:c1:00.0": "write `pci`",
    "host: '01:00.0,multifunction=on'": "write `pci: 0000:01:00.0`",
    "path: /sys/bus/pci/devices/0000:01:00.0": "write `pci: 0000:01:00.0`",
    "hostdev: {source: {address: {domain: 0, bus: 1, slot: 0, function: 0}}}": "write `pci: 0000:01:00.0`",
    "source: {address: {bus: '0x0a', slot: '0x1f', function: '0x7'}}": "write `pci: 0000:0a:1f.7`",
    "parent: eth0": "vmlaunch devices",
    "gputype: physical": "which device it is",
    "device_ids: ['0']": "a GPU has no number here",
    "name: card": "the name of a device is its key",
    "x-vga: true": "nothing is to be written",
    "iommu: on": "nothing is to be written",
    "pf: eth0": "behind it the address",
    "device: 0000:01:00.0": "write `pci: 0000:01:00.0`",
}


@pytest.mark.parametrize("written", OF_A_DEVICE)
def test_a_word_of_another_tool_in_a_device_is_answered_by_what_it_means(written: str) -> None:
    one = told(f"{START}devices: {{gpu: {{{written}}}}}")
    assert one.code == "E101"
    assert OF_A_DEVICE[written] in " ".join(one.help)


# What a device is written as, or a value in it.
DEVICES = {
    "10de:2684": "`match: {id: 10de:2684}`",
    "{pci: 10de:2684}": "`match: {id: 10de:2684}`",
    "{pci: '01:00.0,pcie=1'}": "write `0000:01:00.0`",
    "{pci: '0000:01:00,pcie=1,rombar=0'}": "`rombar=0` is `rom: false` here",
    "{pci: '01:00.0,romfile=a.rom,x-vga=1'}": "nothing is to be written for `x-vga=1`",
    "{pci: '01:00'}": "companions: attach",
    "'host=0000:01:00,pcie=1'": "write `0000:01:00.0` for the first",
    "{pci: 0000:01:00.0, rom: 1}": "write `true`",
    "{pci: 0000:01:00.0, rom: 0}": "write `false`",
    "'0000:01:00.0;0000:01:00.1'": "an alias of its own",
    "'vfio-pci,host=01:00.0,multifunction=on'": "write `0000:01:00.0`",
    "path=/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/": "write `0000:01:00.0`",
    "pci_0000_01_00_0": "write `0000:01:00.0`",
    "'0000:01:00:0'": "write `0000:01:00.0`",
    "{pci: {domain: 0, bus: 1, slot: 0, function: 0}}": "write `0000:01:00.0`",
    "[0000:01:00.0, 0000:01:00.1]": "an alias of its own",
    "{pci: 0000:01:20.0}": "addresses are written",
    "{pci: eth0}": "`vmlaunch devices` lists",
    "{pci: 0000:01:00.0, guest: 00:20.0}": "00:10.0 to 00:1f.7",
    "{pci: 0000:01:00.0, guest: '0x1f'}": "write `00:1f.0`",
    "{pci: 0000:01:00.0, rom: {file: ./a.rom, bar: off}}": "`rom: ./a.rom`",
    "{pci: 0000:01:00.0, type: gpu}": "the address says which device it is",
    "[{source: {address: {bus: 1, slot: 0, function: 0}}}]": "as in `first: 0000:01:00.0`",
    "./a.qcow2": "write `disks: {root: ./a.qcow2}`",
    "all": "`{match: {class: gpu}, pick: free}`",
    "{pci: 0000:01:00.0, addr: 0x10}": "write `guest: 00:10.0`",
    "{pci: 0000:01:00.0, bus: pcie.0}": "write `guest`, as in",
    "{pci: 0000:01:00.0, rombar: 0}": "write `rom: false`",
    "{pci: 0000:01:00.0, bootindex: 1}": "write `boot-order`",
    "{pci: 0000:01:00.0, bind: vfio-pci}": "write `auto`",
    "{pci: 0000:01:00.0, allow: all}": "there is none for everything",
    "{match: {class: VGA compatible controller}}": "write `gpu`",
    "{match: {class: 0x0302}}": 'in quotes: "0302"',
    "PCI:1:0:0": "write `0000:01:00.0`",
    "'@pci:0000:01:00.0'": "write `0000:01:00.0`",
    "{pci: {bus: 300, slot: 0, function: 0}}": "addresses are written",
    "{pci: 0000:01:00.0, guest: '00:16.0,multifunction=on'}": "write `00:16.0`",
    "{pci: 0000:01:00.0, guest: {bus: 0, slot: 16, function: 0}}": "write `00:10.0`",
    "{pci: 0000:01:00.0, guest: 0x10}": "write `00:10.0`",
    "{pci: 0000:01:00.0, guest: 3}": "passed devices are at",
    "{pci: 0000:01:00.0, guest: '16'}": "passed devices are at",
    "{pci: 0000:01:00.0, rom: {bar: off}}": "write `rom: false`",
    "{pci: 0000:01:00.0, iommu_group: 12}": "numbers of IOMMU groups change",
    "{pci: 0000:01:00.0, companions: [0000:01:00.1]}": "an alias of its own",
    "{match: {class: [gpu, audio]}}": "one device has one class",
    "{match: {id: 0x10de:0x2684}}": "write `10de:2684`",
    "{match: {id: [10de:2684]}}": "one device has one id",
    "{match: {name: RTX 4090}}": "names are not matched",
}


@pytest.mark.parametrize("written", DEVICES)
def test_a_device_in_the_words_of_another_tool_is_told_as_it_is_to_be_written(written: str) -> None:
    one = told(f"{START}devices: {{gpu: {written}}}")
    assert DEVICES[written] in " ".join(one.help)


FIRMWARE = "name: vm\nboot: uefi\ncpus: 1\nmemory: 1GiB\n"  # which alone goes by an order


@pytest.mark.parametrize("key", ["bootorder", "boot_order", "bootOrder", "Boot-Order", "boot order", "boot.order"])
def test_a_key_of_ours_with_other_hyphens_and_capitals_is_that_key(key: str) -> None:
    for kind, beside in (("devices", "pci: 0000:01:00.0"), ("disks", "path: ./a.qcow2")):
        one = told(f"{FIRMWARE}{kind}: {{a: {{{beside}, {key}: 1}}}}")
        assert (one.help, one.fix) == (("write `boot-order`",), "boot-order")
    for key_ in ("CloudInit", "cloud_init"):
        assert told(f"{START}{key_}: {{user-data: ./u}}").fix == "cloud-init"


# What a disk, a NIC, a share or vsock is written as.
BESIDE = {
    "cloud-init: {user_data: ./u}": "write `user-data`",
    "cloud-init: {user-data: ./u, networks: ./n}": "write `network-config`",
    "cloud-init: ./u": "write `cloud-init: {user-data: ./u}`",
    "cloud-init: {user-data: {users: []}}": "name that: `user-data: ./user-data`",
    "disks: {root: {file: ./a.img}}": "write `path`",
    "disks: {root: {path: ./a.img, ro: true}}": "write `readonly`",
    "disks: {root: {path: ./a.img, bus: virtio}}": "every disk is virtio-blk",
    "disks: {root: {path: ./a.img, size: 20G}}": "qemu-img create",
    "disks: {root: {path: ./a.img, type: qcow2}}": "write `format`",
    "disks: {root: {path: ./a.vmdk, format: vmdk}}": "it is one of raw, qcow2",
    "disks: {root: 'file=./a.qcow2,if=virtio'}": "write `./a.qcow2`",
    "disks: {root: 'path=./a.img,readonly=on'}": "write `{path: ./a.img, readonly: true}`",
    "disks: [./a.img]": "write `disks: {root: ./a.img}`",
    "disks: ./a.img": "write `disks: {root: ./a.img}`",
    "disks: {root: {path: ./a, serial: D1}}": "qemu-storage-daemon gives every disk the same serial number",
    "nics: {lan: bridge=br0}": "write `{bridge: br0}`",
    "nics: {lan: br0}": "if it is a bridge, write `{bridge: br0}`",
    "nics: {lan: 'virtio=52:54:00:aa:00:01,bridge=vmbr0,firewall=1'}": (
        "write `{mac: 52:54:00:aa:00:01, bridge: vmbr0}`"
    ),
    "nics: {lan: {model: virtio, bridge: br0}}": "every NIC is virtio-net",
    "nics: {lan: {bridge: br0, macaddr: 52:54:00:aa:00:01}}": "write `mac`",
    "nics: {lan: {bridge: br0, mac: 53:54:00:aa:00:01}}": "write `52:54:00:aa:00:01`",
    "nics: {lan: {bridge: br0, mac: 01:00:5e:00:00:01}}": "write `02:00:5e:00:00:01`",
    "nics: {lan: {bridge: br0, ip: 10.0.0.2}}": "the guest's own",
    "nics: {lan: {user: {hostfwd: 'tcp::2222-:22'}}}": "has no settings yet, so take `hostfwd` out",
    "nics: [{bridge: br0}, user]": "write `nics: {nic-0: {bridge: br0}, nic-1: user}`",
    "shares: {work: './src:/work:ro'}": "write `{path: ./src, readonly: true}`",
    "shares: {work: {path: ./src, tag: x}}": "the name of a share is its key",
    "shares: {work: {source: ./src}}": "write `path`",
    "shares: ['./src:/work']": "write `shares: {work: ./src}`",
    "disks: {root: ./a.qcow2,readonly=on}": "write `{path: ./a.qcow2, readonly: true}`",
    "disks: {root: 20G}": "write `./` or `/` before it",
    "disks: {root: 'https://example.com/a.qcow2'}": "no colon before a /",
    "disks: {root: true}": "as in `root: ./debian.qcow2`",
    "disks: {root: [./a]}": "as in `root: ./debian.qcow2`",
    "disks: {path: ./a.img, readonly: true}": "write `disks: {root: {path: ./a.img, readonly: true}}`",
    "nics: {bridge: br0}": "write `nics: {lan: {bridge: br0}}`",
    "nics: {lan: {network: default}}": "`default` has virbr0",
    "disks: {root: {path: ./a, shared: true}}": "`readonly: true` in each",
    "disks: {root: {path: ./a, queue_size: 128}}": "the length of a queue",
    "disks: {root: {path: ./a, snapshot: true}}": "qemu-img create -f qcow2 -b",
    "disks: {root: {path: ./a, mode: ro}}": "unless it is `readonly: true`",
    "disks: {root: {path: ./a, iops: 100}}": "IOReadBandwidthMax=",
    "disks: {root: {path: ./a, encryption: luks}}": "no key can be given",
    "disks: {root: {path: ./a.vmdk, format: VMDK}}": "qemu-img convert -p -O qcow2 disk.vmdk disk.qcow2",
    "disks: {root: {path: ./a, format: img}}": "write `raw`",
    "disks: {root: 'http://example.com/a.img'}": "download it to this host",
    "disks: {root: 'nbd://example.com/a'}": "name its block device",
    "disks: {root: 'local-lvm:vm-100-disk-0,size=32G'}": "`pvesm path STORAGE:VOLUME`",
    "nics: {lan: nat}": "write `user`, which needs no rights, or `{bridge: virbr0}`",
    "nics: {lan: bridge}": "write which one, as in `{bridge: br0}`",
    "nics: {lan: none}": "take the NIC out",
    "nics: {lan: {type: user}}": "what it is connected to is a key",
    "nics: {lan: {macvtap: eth0}}": "make the host's card a port of a bridge",
    "nics: {lan: {ovs: br-int}}": "ovs-vsctl add-port br-int tap0",
    "nics: {lan: {bridge: true}}": "write which one, as in `bridge: br0`",
    "nics: {lan: {bridge: br0, mtu: auto}}": "write a number such as `9000`",
    "nics: {lan: {tap: 'tap%d'}}": "without space, /, : and %",
    "shares: {work: 'server:/export'}": "of another host's, where it is mounted",
    "shares: {work: {path: ./src, uid: 1000}}": "root in the guest is the folder's owner",
    "iothreads: 2": "the threads of qemu-storage-daemon",
    "vsock: {cid: 3, socket: /tmp/x}": "by its context id",
    "vsock: [3]": "a context id is 3 to",
    "vsock: yes": "write `auto`",
    "vsock: '42'": "take them off: `42`",
    "nics: {lan: {bridge: br0, mac: 'FF:FF:FF:FF:FF:FF'}}": "leave `mac` out",
    "vsock: {guest-cid: 42}": "write `cid`",
    "devices: {gpu: {pci: 01:00.0, disk: ./a.img}}": "at the left margin",
}


@pytest.mark.parametrize("written", BESIDE)
def test_what_stands_beside_the_devices_is_told_as_it_is_to_be_written(written: str) -> None:
    one = told(START + written)
    assert BESIDE[written] in " ".join(one.help)


def test_one_entry_where_aliases_belong_is_told_once_and_others_are_left_alone() -> None:
    for written in ("nics: {bridge: br0, mac: 52:54:00:00:00:01}", "disks: {path: ./a, readonly: true}"):
        (one,) = refused(f"{START}{written}\n")
        assert (one.code, one.fix is not None) == ("E105", True)
    assert [one.code for one in refused(f"{START}nics: {{tap: vmtap0, lan: user}}\n")] == ["E148"]


@pytest.mark.parametrize(
    "path", ["file=x", "a=b,c", "a=b,if=c", "x,if=virtio", "./x,cache=none", "/x,a.b=c", "1G", "nbd:x"]
)
def test_what_is_said_of_a_file_of_such_a_name_is_so(path: str) -> None:
    (*_, said) = told(f"{START}disks: {{root: '{path}'}}\n").help
    if "make a link" in said:
        assert told(f"{START}disks: {{root: './{path}'}}\n").code == "E148"
    else:
        load_spec(f"{START}disks: {{root: './{path}'}}\n", "vm.yaml", name="vm")


def test_a_comma_in_a_path_is_no_option() -> None:
    for path in ("./a,b=c", "/img/a, b.img", "a,b.qcow2"):
        assert load_spec(f"{START}disks: {{root: '{path}'}}\n", "vm.yaml", name="vm").spec.disks["root"].path == path


@pytest.mark.parametrize(
    ("written", "way"),
    [
        ("disks: {root: 'nbd:localhost:10809'}", "name its block device"),
        ("disks: {root: 'rbd:pool/x'}", "name its block device"),
        ("disks: {root: 'file:///srv/a.img'}", "write the path alone"),
        ("disks: {root: {socket: 'unix:/run/a.sock'}}", "write the path alone"),
        ("nics: {lan: {socket: 'tcp:127.0.0.1:5'}}", "a socket of this host"),
    ],
)
def test_what_is_not_on_this_host_is_told_how_it_comes_here(written: str, way: str) -> None:
    one = told(f"{START}{written}\n")
    assert one.code == "E148"
    assert way in one.help[0]


def test_vendor_and_device_are_one_id() -> None:
    for written in ("vendor: '10de', device: '2684'", "vendorid: 10de, productid: '2684'"):
        assert all("id: 10de:2684" in one.help[0] for one in refused(f"{START}devices: {{a: {{{written}}}}}"))
        assert all(
            "id: 10de:2684" in one.help[0] for one in refused(f"{START}devices: {{a: {{match: {{{written}}}}}}}")
        )


@pytest.mark.parametrize(
    ("written", "meant"),
    {
        "vendor: 0x10de, device: 0x2684": "10de:2684 4318:9860",
        "vendor: 8086, device: 1533": "1f96:05fd 8086:1533",
        "vendor: 8086, device: 0953": "1f96:03b9 8086:0953",
        "vendor: 0x8086, device: 0x1533": "8086:1533",
        "vendor: 10de, device: 2684": "10de:2684",
        "vendor: '0x8086', device: 0x953": "8086:0953",
    }.items(),
)
def test_ids_that_are_numbers_are_read_both_ways_where_both_can_be(written: str, meant: str) -> None:
    """YAML reads 0x10de as 4318, which is an id of four digits, too."""
    for around in ("%s", "match: {%s}"):
        for one in refused(f"{START}devices: {{a: {{{around % written}}}}}"):
            ids = re.findall(r"id: ([0-9a-f]{4}:[0-9a-f]{4})", " ".join(one.help))
            assert ids == meant.split()


@pytest.mark.parametrize(
    ("written", "meant"),
    {
        "bus: 1, slot: 0": "0000:01:00.0",
        "bus: '0x41', slot: '0x00'": "0000:41:00.0",
        "bus: 0x41, slot: 0": "0000:41:00.0 0000:65:00.0",
        "bus: 41, slot: 0": "0000:29:00.0 0000:41:00.0",
        "bus: 0xe1, slot: 0": "0000:e1:00.0",
    }.items(),
)
def test_numbers_of_an_address_are_read_both_ways_where_both_can_be(written: str, meant: str) -> None:
    for device in (f"{{pci: {{{written}}}}}", f"{{address: {{{written}}}}}"):
        (one,) = refused(f"{START}devices: {{a: {device}}}")
        assert re.findall(r"0000:[0-9a-f:.]{7}", " ".join(one.help)) == meant.split()


def test_an_address_that_cannot_be_says_why() -> None:
    assert "20 is no device number" in told(f"{START}devices: {{a: 0000:01:20.0}}").message
    assert "8 is no function" in told(f"{START}devices: {{a: 0000:01:00.8}}").message
    assert told(f"{START}devices: {{a: {{pci: 0000:01:00.0, guest: 00:20.0}}}}").code == "E114"


BOOT = "boot: {kernel: ./bzImage}\n"
# Whole specs: what the first of their problems is told.
WHOLE = {
    "boot: cdrom\ncpus: 2\nmemory: 4GiB\n": "write `uefi` or `bios`, which look for a boot loader",
    f"{BOOT}cpus: 2\nmemory: {{size: 4G}}\n": "write `memory: 4GiB`",
    f"{BOOT}cpus: 2\nmemory: {{unit: MiB, value: 4096}}\n": "write `memory: 4096MiB`",
    f"{BOOT}cpus: 2\nmemory: {{guest: 4Gi}}\n": "write `memory: 4GiB`",
    f"{BOOT}cpus: 2\nmemory: {{size: 4GiB, pages: 2MiB}}\n": "write `memory: [{size: 4GiB, pages: 2MiB}]`",
    f"{BOOT}cpus: 2\nmemory: {{size: 536870912}}\n": "if it is meant in bytes",
    f"{BOOT}cpus: 2\nmemory: 4G,slots=2\n": "write `4GiB`",
    f"{BOOT}cpus: 2\nmemory: size=4G\n": "write `4GiB`",
    f"{BOOT}cpus: '4,sockets=1,cores=4'\nmemory: 1GiB\n": "`cpus: {topology: {sockets: 1, cores: 4}}`",
    f"{BOOT}cpus: 2\nmemory: {{unit: KiB, '#text': 4194304}}\n": "write `memory: 4194304KiB`",
    f"{BOOT}cpus: 2\nmemory: [4G]\n": "write `memory: [{size: 4GiB}]`",
    f"{BOOT}cpus: [4, 5]\nmemory: 1GiB\n": "`cpus: {count: 2, pin: [4, 5]}`",
    f"{BOOT}cpus: 4-7\nmemory: 1GiB\n": "`cpus: {count: 4, pin: 4-7}`",
    f"{BOOT}cpus: 500m\nmemory: 1GiB\n": "thousandths",
    f"{BOOT}cpus: 2\nmemory: 1,5GiB\n": "sizes are whole numbers",
    f"{BOOT}cpus: 2 cores\nmemory: 1GiB\n": "write `cpus: 2`",
    f"{BOOT}cpus: {{count: 2, pin: [[0, 4], [1, 5]]}}\nmemory: 1GiB\n": "in the order of the vCPUs",
    f"{BOOT}cpus: {{cores: 4}}\nmemory: 1GiB\n": "`topology: {cores: 4}`",
    f"{BOOT}cpus: {{boot: 2}}\nmemory: 1GiB\n": "write `count`",
    f"{BOOT}cpus: {{count: 2, model: host}}\nmemory: 1GiB\n": "the host's own processor",
    "payload: {kernel: ./bzImage, cmdline: ro}\ncpus: 1\nmemory: 1GiB\n": "write `boot`",
    "os: {kernel: ./bzImage}\ncpus: 1\nmemory: 1GiB\n": "write `boot`",
}


@pytest.mark.parametrize("text", WHOLE)
def test_sections_in_the_shapes_of_other_tools(text: str) -> None:
    assert WHOLE[text] in " ".join(told(text).help)


@pytest.mark.parametrize(
    ("written", "whole"),
    {
        "[2GiB, 4GiB]": "[{size: 2GiB}, {size: 4GiB}]",
        "\n  - 2GiB\n  - 4G\n": "[{size: 2GiB}, {size: 4GiB}]",
        "[2GiB, {size: 4GiB, pages: 2MiB}]": "[{size: 2GiB}, {size: 4GiB, pages: 2MiB}]",
    }.items(),
)
def test_a_list_of_sizes_is_told_as_a_list_of_banks(written: str, whole: str) -> None:
    for one in refused(START.replace("1GiB", written)):
        assert (one.code, one.help) == ("E105", (f"write `memory: {whole}`",))
    assert all("0:" not in line for one in refused(START.replace("1GiB", "[2GiB, [3]]")) for line in one.help)


@pytest.mark.parametrize("variable", ["${X}", "$X", "'{{ x }}'", "'%X%'"])
@pytest.mark.parametrize(
    ("text", "field"),
    [
        (START.replace("1GiB", "VARIABLE"), "memory.0.size"),
        (START.replace("cpus: 2", "cpus: VARIABLE"), "cpus.count"),
        (f"{START}name: VARIABLE\n", "name"),
        (f"{START}devices:\n  gpu: VARIABLE\n", "devices.gpu.pci"),
        (f"{START}devices:\n  gpu:\n    pci: 01:00.0\n    companions: VARIABLE\n", "devices.gpu.companions"),
    ],
)
def test_a_variable_that_nobody_fills_in_is_told_how_it_can_be_given(text: str, field: str, variable: str) -> None:
    one = told(text.replace("VARIABLE", variable))
    whole = variable.strip("'")
    assert one.fix is None
    assert one.help == (f"`{whole}` is not filled in here: write the value, or give it by `--set {field}=...`",)


def test_a_variable_where_text_may_stand_is_text() -> None:
    load_spec(START.replace("}", ", cmdline: 'a=$b %C%'}"), "vm.yaml", name="vm")


def test_options_of_qemu_are_no_command_line_of_a_kernel() -> None:
    for text in (f"{START}args: -cpu host", START.replace("}", ", args: -cpu host}")):
        assert "options of QEMU" in told(text).help[0]


def test_the_most_of_something_is_taken_out_where_its_number_is_there() -> None:
    for written in ("cpus: {boot_vcpus: 2, max_vcpus: 4}", "cpus: {count: 2, max: 4}", "cpus: 2\nmaxvcpus: 4"):
        told_last = refused(START.replace("cpus: 2", written))[-1]
        assert (told_last.fix, told_last.help[0][:29]) == (None, "nothing is to be written: the")
    assert told(START.replace("cpus: 2", "cpus: {max_vcpus: 4}")).fix == "count"


def test_a_choice_in_brackets_is_told_as_a_word() -> None:
    for written in ("{attach: true}", "[attach]", "{refuse: false, attach: true}"):
        one = told(f"{START}devices: {{a: {{pci: 01:00.0, companions: {written}}}}}")
        assert one.message == f"a.companions: {written} is not a choice here"
        assert (one.code, "attach" in one.help[0]) == ("E116", True)


def test_what_a_word_means_is_not_reported_as_missing_beside_it() -> None:
    found = refused("kernel: ./bzImage\nvcpus: 2\nram: 1GiB\n")
    assert [one.code for one in found] == ["E101"] * 3


def test_a_misspelled_word_is_still_told_by_its_letters() -> None:
    assert told(START.replace("memory", "memroy")).help == ("did you mean `memory`?",)


PAGES = {"2M": "2MiB", "2048kB": "2MiB", "1G": "1GiB", "4k": "4KiB", "transparent": "thp", "2048": None, "huge": None}


@pytest.mark.parametrize("written", PAGES)
def test_page_sizes_of_others_are_told_and_a_bare_number_has_no_fix(written: str) -> None:
    one = told(START.replace("1GiB", f"[{{size: 1GiB, pages: {written}}}]"))
    assert (one.code, one.fix) == ("E116", PAGES[written])
    assert "2MiB" in " ".join(one.help)


@pytest.mark.parametrize(
    ("text", "help_", "fix"),
    [
        (
            "boot: /boot/vmlinuz\ncpus: 1\nmemory: 1GiB\n",
            "write `boot: {kernel: /boot/vmlinuz}`",
            "{kernel: /boot/vmlinuz}",
        ),
        (START.replace("}", ", cmdline: [a, b=c]}"), "write it as one text: `a b=c`", "a b=c"),
        (START.replace("cpus: 2", "cpus: 2.0"), "write `2`", "2"),
        (START.replace("cpus: 2", "cpus: two"), "write `2`", "2"),
        (START.replace("cpus: 2", "cpus: {count: Thirty two}"), "write `32`", "32"),
        (START.replace("cpus: 2", "cpus: many"), "write a number such as `8`", None),
        (f"{START}disks: {{a: {{path: ./a, queues: four}}}}", "write `4`", "4"),
        (f"{START}disks: {{a: {{path: ./a, queues: zero}}}}", "write a number such as `4`", None),
        (f"{START}devices: {{a: {{match: gpu}}}}", "write `match: {class: gpu}`", "{class: gpu}"),
        (f"{START}devices: {{a: {{match: 10de:2684}}}}", "write `match: {id: 10de:2684}`", "{id: 10de:2684}"),
        (
            f"{START}devices: {{a: {{pci: 01:00.0, network: 52:54:00:12:34:56}}}}",
            "write `network: {mac: 52:54:00:12:34:56}`",
            "{mac: 52:54:00:12:34:56}",
        ),
        (f"{START}devices: {{a: {{match: {{class: vga}}}}}}", "write `gpu`", "gpu"),
    ],
)
def test_a_value_of_another_kind_is_told_as_it_is_to_be_written(text: str, help_: str, fix: str | None) -> None:
    one = told(text)
    assert (one.help[0], one.fix) == (help_, fix)


TRUTH = {"yes": "true", "'On'": "true", "'true'": "true", "1": "true", "1.0": "true", "no": "false", "OFF": "false",
         "0": "false", "'False'": "false"}  # fmt: skip
TRUE_OR_FALSE = (
    "cpus: {count: 2, nested: %s}",
    "devices: {a: {pci: 01:00.0, vf: 0, network: {trust: %s}}}",
    "devices: {a: {pci: 01:00.0, vf: 0, network: {spoofcheck: %s}}}",
    "devices: {a: {pci: 01:00.0, rom: %s}}",
    "disks: {a: {path: ./a, readonly: %s}}",
    "disks: {a: {path: ./a, discard: %s}}",
    "shares: {a: {path: ./a, readonly: %s}}",
)


@pytest.mark.parametrize("field", TRUE_OR_FALSE)
@pytest.mark.parametrize("written", TRUTH)
def test_what_others_read_as_true_or_false_is_told_as_it_is_to_be_written(field: str, written: str) -> None:
    start = BOOT + "memory: 1GiB\n" + "cpus: 2\n" * ("cpus" not in field)
    one = told(start + field % written)
    assert (one.code, one.fix, one.help[0]) == ("E128", TRUTH[written], f"write `{TRUTH[written]}`")


def test_every_field_that_is_true_or_false_is_among_them() -> None:
    fields = {name.rpartition(".")[2] for name, one in all_fields().items() if one.type.startswith("true")}
    assert fields == {re.findall(r"(\w+): %s", one)[0] for one in TRUE_OR_FALSE}


def test_what_is_neither_true_nor_false_is_told_both() -> None:
    for written in ("2", "maybe", "[true]", ".nan"):
        one = told(START.replace("cpus: 2", f"cpus: {{count: 2, nested: {written}}}"))
        assert (one.code, one.help) == ("E105", ("write `nested: true` or `nested: false`",))


def test_what_is_missing_is_shown_by_an_example_and_no_program_is_to_apply_it() -> None:
    for one in refused("name: vm"):
        assert (one.code, one.fix, len(one.help)) == ("E102", None, 1)


def test_every_word_leads_to_a_field_or_a_choice_that_there_is() -> None:
    fields = all_fields()
    assert {field for words in FIELDS.values() for field in words} <= fields.keys()
    assert FIELDS.keys() <= {"*", *SECTIONS}
    assert CHOICES.keys() <= {key.rpartition(".")[2] for key in fields}


def test_no_word_is_a_key_where_it_is_asked_for() -> None:
    """The keys of a section are known there, so such a word would never be reached."""
    for section, words in FIELDS.items():
        if section != "*":
            assert not {word for listed in words.values() for word in listed.split()} & set(keys_of(section))


@pytest.mark.parametrize("one", [one for one in all_explanations() if one.code[1] == "1"], ids=lambda one: one.code)
def test_every_problem_of_a_spec_has_a_way_out(one) -> None:
    if "vmlaunch" in one.example.split():
        return
    found = [found for found in refused(one.example) if found.code == one.code]
    assert found
    assert all(found.help for found in found)
