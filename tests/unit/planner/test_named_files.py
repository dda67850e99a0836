"""Files that a spec names, on hosts of reports: each is called what it is, and a guest without console or root is told.

One story a case: what was seen, and the file or the command line that almost does it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.images.boot_files import BootFile, BootFiles
from launcher.images.reading import read_boot_files
from launcher.record import replace
from launcher.values import Missing
from tests.catalogue.row import with_function
from tests.elves import Part, elf64, note
from tests.option_roms import image
from tests.planning import FILES, KERNEL, SMALL, codes, host, plan
from tests.unit.images.test_contents import NAMES

LINUX = replace(KERNEL, kind="bzimage", linux=True)
INITRD = FILES.initrd
CARD = "0000:09:00.0"  # 10de:21c4
ROM = f"{SMALL}devices: {{gpu: {{pci: {CARD}, rom: ./card.rom}}}}\n"
START = "boot: {{kernel: ./bzImage, cmdline: '{}'}}\ncpus: 2\nmemory: 256MiB\n"
DISK = "devices: {disk: 0000:02:00.0}\n"  # an NVMe drive of gpu07


def with_rom(content: bytes, folder: Path) -> list[str]:
    (folder / "card.rom").write_bytes(content)
    files = BootFiles(KERNEL, roms=read_boot_files("/none", None, {"gpu": str(folder / "card.rom")}).roms)
    made = plan(ROM, host("dumped-rom"), files)
    return [one.code for one in made.diagnostics if one.code[1:3] == "43"]


def booted(cmdline: str, devices: str = "", initrd: bool = False, kernel: BootFile = LINUX) -> list[str]:
    spec = START.format(cmdline) + devices
    if initrd:
        spec = spec.replace("cmdline:", "initrd: ./initrd.img, cmdline:")
    made = plan(spec, host("gpu07"), BootFiles(kernel, INITRD if initrd else None))
    return [one for one in codes(made) if one[1:3] == "43"]


# ---- option ROMs ----

ROMS = {
    "of this card": (image(device=0x21C4), []),
    "of this card by its device list": (image(device=0x2182, devices=(0x2182, 0x21C4)), []),
    "with padding": (image(device=0x21C4) + b"\xff" * 512, []),
    "zeros": (bytes(4096), ["E430"]),
    "ones": (b"\xff" * 4096, ["E430"]),
    "an ELF": (elf64([Part(0x100000, b"a")], note(0x100000)), ["E430"]),
    "NVGI": (b"NVGI" + bytes(0x5FC) + image(device=0x21C4), ["E430"]),
    "NVGI and nothing behind": (b"NVGI" + bytes(0x5FC), ["E430"]),
    "55 aa alone": (b"\x55\xaa\x04" + bytes(4096), ["E430"]),
    "of another card": (image(), ["W430"]),
    "of another vendor": (image(vendor=0x1002, device=0x21C4), ["W430"]),
    "half": (image(device=0x21C4)[:1024], ["W431"]),
    "edited": (image(device=0x21C4)[:-1] + b"\x01", ["W432"]),
}


@pytest.mark.parametrize("name", ROMS)
def test_a_rom_file_is_judged_by_what_is_in_it(name: str, tmp_path: Path) -> None:
    content, expected = ROMS[name]
    assert with_rom(content, tmp_path) == expected


def test_the_header_of_a_dump_is_cut_off_by_the_command_that_is_shown(tmp_path: Path) -> None:
    (tmp_path / "card.rom").write_bytes(b"NVGI" + bytes(0x5FC) + image(device=0x21C4))
    roms = read_boot_files("/none", None, {"gpu": str(tmp_path / "card.rom")}).roms
    made = plan(ROM, host("dumped-rom"), BootFiles(KERNEL, roms=roms))
    (found,) = [one for one in made.diagnostics if one.code == "E430"]
    assert found.fix == f"dd if={tmp_path}/card.rom of={tmp_path}/card.rom.cut bs=512 skip=3"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bytes(range(1, 255)) * 32, "is no option ROM: it does not begin with 55 aa"),
        (b"\x55\xaa\xff", "is no option ROM of a PCI card: it has no PCI data structure (PCIR)"),
        (bytes(512), "is nothing but zeros, and no option ROM"),
    ],
)
def test_what_is_no_option_rom_is_said_in_one_sentence(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "card.rom").write_bytes(content)
    roms = read_boot_files("/none", None, {"gpu": str(tmp_path / "card.rom")}).roms
    made = plan(ROM, host("dumped-rom"), BootFiles(KERNEL, roms=roms))
    assert [one.message for one in made.diagnostics if one.code == "E430"] == [f"gpu: {tmp_path}/card.rom {said}"]


# ---- kernels ----


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_no_kernel_is_called_what_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(NAMES[name])
    made = plan(SMALL, host("gpu07"), read_boot_files(str(tmp_path / "file"), None, {}))
    (found,) = [one for one in made.diagnostics if one.code in ("E416", "E417", "E418")]
    assert found.help
    assert "PVH=y" not in found.help[0]


def test_a_compressed_kernel_is_not_called_an_initial_ram_disk(tmp_path: Path) -> None:
    (tmp_path / "vmlinux.gz").write_bytes(NAMES["gzip"])
    made = plan(SMALL, host("gpu07"), read_boot_files(str(tmp_path / "vmlinux.gz"), None, {}))
    (found,) = [one for one in made.diagnostics if one.code == "E417"]
    assert found.message == f"{tmp_path}/vmlinux.gz is a gzip-compressed file"
    assert f"zcat {tmp_path}/vmlinux.gz > vmlinux" in found.help[0]


# ---- Linux that is mute ----


@pytest.mark.parametrize(
    "console", ["", "console=tty0", "console=hvc0", "console=ttyS1", "x=console=ttyS0", "-- console=ttyS0"]
)
def test_linux_without_the_serial_port_is_mute(console: str) -> None:
    assert booted(f"root=/dev/nvme0n1p2 {console}", DISK) == ["W433"]


@pytest.mark.parametrize(
    "console",
    [
        "console=ttyS0",
        "console=tty0 console=ttyS0,115200n8",
        "console=ttyS0 console=tty0",
        '"console=ttyS0"',
        "console=uart8250,io,0x3f8,115200n8",
        "console=null",
        "earlyprintk=serial,ttyS0,115200,keep",
    ],
)
def test_linux_with_the_serial_port_or_told_to_be_silent_is_not(console: str) -> None:
    assert booted(f"{console} root=/dev/nvme0n1p2", DISK) == []


def test_a_screen_that_is_asked_for_and_passed_is_a_console() -> None:
    gpu = "devices: {disk: 0000:02:00.0, gpu: {pci: 0000:c1:00.0, companions: attach}}\n"
    assert booted("console=tty0 root=/dev/nvme0n1p2", gpu) == []
    assert booted("root=/dev/nvme0n1p2", gpu) == ["W433"]


def test_a_kernel_that_is_not_linux_is_left_alone() -> None:
    assert booted("", kernel=KERNEL) == []
    assert booted("root=/dev/vda", kernel=KERNEL) == []


# ---- Linux without a root ----

NIC = "devices: {nic: {pci: 0000:3b:00.0, vf: 0}}\n"
OURS = "disks: {a: {socket: /run/a}, b: {socket: /run/b}}\n"
LAN = "nics: {lan: {socket: /run/nic}}\n"
SHARE = "shares: {host: ./src}\n"


@pytest.mark.parametrize(
    ("root", "devices", "initrd", "expected"),
    [
        ("root=/dev/vda1", "", False, ["W434"]),
        ("root=/dev/vda1", DISK, True, ["W434"]),
        ("root=/dev/sda2", DISK, False, ["W434"]),
        ("root=/dev/nvme0n1p2", "", False, ["W434"]),
        ("root=/dev/nvme0n1p2", DISK, False, []),
        ("root=PARTUUID=1234-02", DISK, False, []),
        ("root=PARTUUID=1234-02", "", False, ["W434"]),
        ("root=UUID=1234", DISK, False, ["W434"]),
        ("root=UUID=1234", DISK, True, []),
        ("root=UUID=1234", "", True, ["W434"]),
        ("root=/dev/mapper/vg-root", DISK, False, ["W434"]),
        ("root=/dev/mapper/vg-root", DISK, True, []),
        ("root=/dev/vg/root", DISK, False, ["W434"]),
        ("root=/dev/nfs nfsroot=10.0.0.1:/r", "", False, ["W434"]),
        ("root=/dev/nfs nfsroot=10.0.0.1:/r", NIC, False, []),
        ("root=/dev/sda1", NIC, True, []),  # iSCSI
        ("root=/dev/sda1", NIC, False, ["W434"]),
        ("root=host rootfstype=virtiofs", DISK, False, ["W434"]),
        ("root=/dev/ram0", "", True, []),
        ("root=host rootfstype=virtiofs", SHARE, False, []),
        ("root=other rootfstype=virtiofs", SHARE, False, ["W434"]),
        ("root=host rootfstype=9p", SHARE, False, ["W434"]),
        ("root=/dev/vda1", OURS, False, []),
        ("root=/dev/vdb", OURS, False, []),
        ("root=/dev/vdc", OURS, False, ["W434"]),
        ("root=/dev/vdaa", OURS, False, []),  # who can tell how many of a passed controller
        ("root=/dev/sda1", OURS, False, ["W434"]),
        ("root=/dev/nvme0n1", OURS, True, ["W434"]),
        ("root=PARTUUID=1234-02", OURS, False, []),
        ("root=UUID=1234", OURS, True, []),
        ("root=/dev/mapper/vg-root", OURS, True, []),
        ("root=/dev/nfs nfsroot=10.0.0.1:/r", LAN, False, []),
        ("", DISK, False, ["W435"]),
        ("", OURS, False, ["W435"]),
        ("", "", True, []),
        ("rdinit=/init", "", False, []),
    ],
)
def test_a_root_is_one_that_the_spec_can_be(root: str, devices: str, initrd: bool, expected: list[str]) -> None:
    assert booted(f"console=ttyS0 {root}", devices, initrd) == expected


@pytest.mark.parametrize("class_code", ["010601", "010700", "0c0330", "010000", "010400"])
def test_a_disk_of_scsi_is_behind_controllers_of_many_classes(class_code: str) -> None:
    facts = with_function(host("gpu07"), "0000:02:00.0", class_code=class_code)
    made = plan(START.format("console=ttyS0 root=/dev/sda1") + DISK, facts, BootFiles(LINUX))
    assert "W434" not in codes(made)


SHELLS = [("/vms/~/bzImage", True), ("/vms/$HOME/bzImage", True), ("/vms/bzImage", False)]


@pytest.mark.parametrize(("path", "shell"), SHELLS)
def test_a_path_that_a_shell_would_have_replaced_is_told_so(path: str, shell: bool) -> None:
    made = plan(SMALL, host("gpu07"), BootFiles(Missing("absent", path)))
    (found,) = [one for one in made.diagnostics if one.code == "E410"]
    assert ("as they stand" in found.help[0]) == shell
