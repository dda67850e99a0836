"""Firmware on the real /dev/kvm: SeaBIOS to a boot sector, and one of our own that uses flash, fw_cfg and PM timer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BARE_METAL, EXAMPLES, PAYLOADS, Cli
from tests.disk_images import STORAGE_DAEMON, storage_daemon
from tests.name_spaces import needs_name_spaces

pytestmark = pytest.mark.kvm
SEABIOS = Path("/usr/share/seabios/bios-256k.bin")
BLOCK, SIZE = 0x1000, 0x10000


class ByRom(Cli):
    """`up` has a ROM in place of the spec's kernel."""

    def command(self, *words: object) -> list[str]:
        module = "tests.by_rom" if words[0] == "up" else "launcher"
        return [sys.executable, "-m", module, *map(str, words)]


@pytest.fixture
def by(cli: Cli) -> ByRom:
    return ByRom(cli.folder, cli.names)


@pytest.fixture(scope="module")
def rom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/payloads/rom.c, 64 KiB that end at 4 GiB."""
    folder = tmp_path_factory.mktemp("rom")
    start, main, made = folder / "start.o", folder / "main.o", folder / "rom.bin"
    subprocess.run(["as", "--32", PAYLOADS / "rom.S", "-o", start], check=True)
    subprocess.run(["gcc", *BARE_METAL, "-Wno-main", "-c", PAYLOADS / "rom.c", "-o", main], check=True)
    script = ["--no-warn-rwx-segments", "-T", PAYLOADS / "rom.ld", "--oformat", "binary"]
    subprocess.run(["ld", "-m", "elf_i386", *script, start, main, "-o", made], check=True)
    return made


@pytest.fixture
def with_rom(by: ByRom, rom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """What the ROM is to do -> the file that keeps its variables, which is not there yet."""

    def told(what: str) -> Path:
        template = tmp_path / f"template-{what}"
        template.write_bytes(what.encode().ljust(SIZE, b"\xff"))
        monkeypatch.setenv("ROM", str(rom))
        monkeypatch.setenv("TEMPLATE", str(template))
        monkeypatch.setenv("KEPT_VARIABLES", str(tmp_path / "variables.fd"))
        return tmp_path / "variables.fd"

    return told


def numbers(out: str) -> dict[str, int]:
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2], 16) for line in out.splitlines()}


@needs_name_spaces
@pytest.mark.skipif(storage_daemon() is None, reason=f"there is no {STORAGE_DAEMON}")
@pytest.mark.skipif(not SEABIOS.exists(), reason="there is no SeaBIOS")
def test_seabios_finds_the_disk_and_starts_its_boot_sector_in_each_life(cli: Cli, tmp_path: Path) -> None:
    image, middle = tmp_path / "disk.img", tmp_path / "sector.o"
    subprocess.run(["as", "--32", PAYLOADS / "boot_sector.S", "-o", middle], check=True)
    script = ["--oformat", "binary", "-Ttext", "0x7c00"]
    subprocess.run(["ld", "-m", "elf_i386", *script, middle, "-o", image], check=True)
    with image.open("r+b") as file:
        file.truncate(1 << 20)
    empty = tmp_path / "data.img"
    empty.write_bytes(bytes(1 << 20))
    disks = {"data": {"path": str(empty), "boot-order": 2}, "root": {"path": str(image), "boot-order": 1}}
    done = cli.run("up", cli.spec(Path("replaced"), boot="bios", cpus=2, disks=disks))
    assert done.code == 0, done.out + done.err
    assert done.out.count("SeaBIOS") == 2
    assert done.out.count("Machine UUID") == 2
    assert "not a bootable disk" not in done.out
    assert "after 1 reboot" in done.err
    assert "boot sector runs" in done.out  # whose first letters SeaBIOS mixes with what it still had to say
    assert "the guest powered off" in done.err


def test_variables_are_kept_from_one_life_to_the_next(by: ByRom, with_rom: Callable[[str], Path]) -> None:
    kept = with_rom("k")
    spec = by.spec(EXAMPLES / "hello.elf")
    for found in (0xFF, ord("k")):
        done = by.run("up", spec)
        assert done.code == 0, done.out + done.err
        said = numbers(done.out)
        assert said["found"] == found
        assert (said["array"], said["status"], said["query"]) == (1, 0, ord("Q"))
        assert said["erased"] == 0xFF
        assert said["buffered"] == int.from_bytes(b"kept", "little")
        assert kept.read_bytes() == (b"k".ljust(BLOCK, b"\xff") + b"kept").ljust(SIZE, b"\xff")
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("what", "after_all"), [("r", b"kept"), ("d", b"QEMU")], ids=["flash", "fw_cfg"])
def test_what_a_hostile_guest_asks_of_its_firmware_harms_nobody(
    by: ByRom, with_rom: Callable[[str], Path], what: str, after_all: bytes
) -> None:
    """It is confined, and is answered as before when it asks for something that makes sense."""
    kept = with_rom(what)
    done = by.run("up", by.spec(EXAMPLES / "hello.elf", confine="required"))
    assert done.code == 0, done.out + done.err
    said = numbers(done.out)
    assert said["after all"] == int.from_bytes(after_all, "little")
    assert (said["ticks above 24 bits"], said["keyboard"]) == (0, 0xFF)
    assert len(kept.read_bytes()) == SIZE
    assert kept.read_bytes()[:BLOCK] == what.encode().ljust(BLOCK, b"\xff")
