"""A guest that means no good has real devices, and vmlaunch has its C built with sanitizers: it lives, so do they."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, Cli
from tests.lab.boot import INSIDE
from tests.lab.inside.passing import E1000E, EDU, NVME, PCI, RTL8139, comes
from tests.lab.session import SANITIZED
from tests.native.build import environment, package_with, sanitized_module

pytestmark = pytest.mark.usefixtures("host_as_before")


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package `launcher`. Its C was built outside, or takes half a minute."""
    folder = tmp_path_factory.mktemp("sanitized")
    module = Path(INSIDE, SANITIZED)
    return package_with(module if module.exists() else sanitized_module(folder / SANITIZED), folder)


@pytest.mark.sanitized
@pytest.mark.host("zoo", "iommufd")
@pytest.mark.parametrize(
    ("each", "seed"), [(500, 1), pytest.param(20_000, 2, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_a_hostile_guest_hurts_neither_vmlaunch_nor_its_devices(
    cli: Cli, payload: Callable[[str], Path], sanitized: Path, each: int, seed: int
) -> None:
    """It comes to its end: with these seeds no device writes over its code."""
    devices = {
        "nvme": NVME,
        "nic": E1000E,
        "old": {"pci": RTL8139, "allow": ["no-reset"]},
        "edu": {"pci": EDU, "allow": ["no-reset"]},
    }
    boot = {"kernel": str(payload("hostile")), "cmdline": f"{4 * each} {seed}"}
    spec = cli.spec(Path("replaced"), memory="64MiB", boot=boot, devices=devices)
    done = subprocess.run(
        cli.command("up", spec),
        cwd=sanitized,
        env=os.environ | environment(sanitized),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"hostile: {4 * each} accesses" in done.stdout
    assert "host       as it was" in done.stderr
    reads_a_block()
    has_a_link()


def reads_a_block() -> None:
    """Of the drive, by the host's driver, which finds it in its own time."""
    drive = Path("/dev/nvme0n1")
    assert comes(drive.is_block_device)
    with drive.open("rb") as file:
        assert len(file.read(4096)) == 4096


def has_a_link() -> None:
    assert comes(lambda: any((PCI / E1000E / "net").glob("*")))
    (card,) = (PCI / E1000E / "net").iterdir()
    subprocess.run(["ip", "link", "set", card.name, "up"], check=True)
    try:
        assert comes(lambda: (card / "carrier").read_text() == "1\n")
    finally:
        subprocess.run(["ip", "link", "set", card.name, "down"], check=True)  # who is up cannot be passed
