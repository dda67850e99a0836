"""The disk image, booted by firmware: GRUB's menu, a login, cloud-init's user, entries that the firmware keeps."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tests.disk_images import qcow2
from tests.lab.console import KEY, MENU, USER, USER_DATA, Console
from tests.lab.image.recipe import SIZE, image
from tests.lab.inside.passing import E1000E, NVME
from tests.lab.inside.whole import firmware_of, missing

pytestmark = [
    pytest.mark.image,
    pytest.mark.usefixtures("host_as_before"),
    pytest.mark.skipif(bool(missing()), reason=f"there is no {missing()}"),
]

DISPLAY = {"pci": "0000:00:10.0", "allow": ["no-reset"]}
ROM = Path("/usr/lib/ipxe/qemu/efi-e1000e.rom")  # of package ipxe-qemu, for both firmwares
CARD = {"pci": E1000E, "rom": str(ROM)}
BANNERS = [
    pytest.param("", "bios", "iPXE (http", id="bios"),
    pytest.param("trixie", "uefi", "Open Source Network Boot Firmware", id="uefi"),
]
ENTRY = r"efibootmgr -q -c -d /dev/vda -p 2 -L kept -l '\EFI\debian\grubx64.efi'"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return qcow2(tmp_path / "root.qcow2", SIZE, image())


def spec(cli: Cli, firmware: object, **fields: Any) -> Path:
    boot = {"firmware": firmware} if isinstance(firmware, str) else firmware
    return cli.spec(Path("replaced"), **{"boot": boot, "memory": "512MiB"} | fields)


def cloud_init(folder: Path) -> dict[str, str]:
    (folder / "user-data").write_text(USER_DATA)
    return {"user-data": str(folder / "user-data")}


def attached(cli: Cli, path: Path) -> Console:
    return Console(cli.start("up", "-v", path, stdin=subprocess.PIPE))


def ended(console: Console) -> str:
    """By its own word; what `up` said then."""
    console.type("sudo poweroff\n")
    out, err = console.process.communicate()
    assert console.process.returncode == 0, console.said + out + err
    return err


@pytest.mark.host("zoo")
@pytest.mark.long
def test_an_image_boots_by_uefi_to_its_user_and_keeps_a_boot_entry(cli: Cli, root: Path, tmp_path: Path) -> None:
    """Beside a passed display and an empty drive. In its next life the firmware takes the new entry by itself."""
    variables = tmp_path / "vars.fd"
    boot = {"firmware": "uefi", "variables": str(variables)}
    devices = {"drive": NVME, "display": DISPLAY}
    path = spec(cli, boot, disks={"root": str(root)}, devices=devices, **{"cloud-init": cloud_init(tmp_path)})
    console = attached(cli, path)
    console.until("BdsDxe: loading")  # the firmware has the serial port beside the display
    console.until(MENU)
    console.log_in()
    assert console.order("id -un") == USER
    assert console.order("cat .ssh/authorized_keys") == KEY
    assert console.order("hostname") == cli.name
    assert "nvme0n1" in console.order("cat /proc/partitions")
    assert "EFI VGA" in console.order("cat /proc/fb")
    console.order(f"sudo {ENTRY}")  # among whose words may be those of services that still start
    print(console.order("sudo efibootmgr -v"))
    print(cli.run("inspect", "-v", cli.name).out)
    assert "0 failed calls" in ended(console)

    console = attached(cli, path)
    console.until(MENU)
    console.log_in()
    entries = console.order("sudo efibootmgr")
    (kept,) = re.findall(r"^Boot(\w{4})\* kept", entries, re.MULTILINE)
    assert f"BootCurrent: {kept}\n" in entries
    print(entries)
    assert "0 failed calls" in ended(console)


@pytest.mark.host("zoo")
@pytest.mark.long
@pytest.mark.skipif(not ROM.exists(), reason=f"there is no {ROM}")
@pytest.mark.parametrize(("release", "firmware", "said"), BANNERS)
def test_the_option_rom_of_a_passed_card_is_run(cli: Cli, release: str, firmware: str, said: str) -> None:
    """By UEFI it is a driver, which is heard of when nothing else can be booted from: it has an entry for its card."""
    with firmware_of(release):
        console = attached(cli, spec(cli, firmware, devices={"card": CARD, "drive": NVME}))
        console.until(said)
        assert cli.run("down", "--kill", cli.name).code == 0
        console.process.communicate()


MATRIX = [
    pytest.param("trixie", "uefi", 4, {"drive": NVME}, id="uefi-4-nvme"),
    pytest.param("", "bios", 1, {}, id="bios-1"),
    pytest.param("bookworm", "uefi", 1, {}, id="uefi-1"),
    pytest.param("", "bios", 4, {"drive": NVME}, id="bios-4-nvme"),
]


@pytest.mark.host("zoo")
@pytest.mark.long
@pytest.mark.parametrize(("release", "firmware", "cpus", "devices"), MATRIX)
def test_an_image_boots_by_both_firmwares_and_again(
    cli: Cli, root: Path, tmp_path: Path, release: str, firmware: str, cpus: int, devices: dict[str, Any]
) -> None:
    """With variables that nobody keeps: they last as long as the VM."""
    more = {"cloud-init": cloud_init(tmp_path)}
    with firmware_of(release):
        console = attached(cli, spec(cli, firmware, disks={"root": str(root)}, cpus=cpus, devices=devices, **more))
        console.until(MENU)
        console.log_in()
        assert console.order("nproc") == str(cpus)
        assert ("efi" in console.order("ls /sys/firmware").split()) is (firmware == "uefi")
        if firmware == "uefi":
            console.order(f"sudo {ENTRY}")
        console.type("sudo reboot\n")
        if firmware == "uefi":
            console.until('"kept" from HD(')  # the firmware's own line
        console.until(MENU)
        console.until("Booting `")
        assert cli.run("down", "--kill", cli.name).code == 0
        _, err = console.process.communicate()
    assert "after 1 reboot" in err
