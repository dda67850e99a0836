"""The disk image for the tests, in plain QEMU: what vmlaunch is to boot boots."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab import pieces
from tests.lab.console import LOGIN, MENU, Console
from tests.lab.image.recipe import image
from tests.lab.packages import Unavailable

FIRMWARE = {"bios": [], "uefi": ["-bios", "/usr/share/ovmf/OVMF.fd"]}


@pytest.mark.lab
@pytest.mark.long
@pytest.mark.parametrize("firmware", FIRMWARE)
def test_the_image_boots_to_a_login_by_both_firmwares(firmware: str, tmp_path: Path) -> None:
    try:
        words = [pieces.qemu(), "-accel", "tcg", "-cpu", "EPYC", "-m", "512M", "-nodefaults", "-display", "none"]
        drive = f"if=virtio,format=raw,snapshot=on,file={image()}"
    except Unavailable as why:
        pytest.skip(str(why))
    words += ["-serial", "stdio", "-no-reboot", "-drive", drive, *FIRMWARE[firmware]]
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *words],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as machine:
        try:
            console = Console(machine)
            console.until(MENU)
            console.until("Booting `Debian GNU/Linux'")
            console.until(f"debian {LOGIN}")
        finally:
            machine.kill()
