"""The processors of a guest as its own programs count them: lscpu of a Linux, and memtest86+ instead of one."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE, Cli
from tests.lab.guest import guest_initramfs
from tests.lab.inside.test_linux import boot
from tests.lab.pieces import memtest

pytestmark = [pytest.mark.long, pytest.mark.host("plain")]
LSCPU = Path("/usr/bin/lscpu")
COUNTED = re.compile(r"(?:(\d+)S / )?(\d+)(?: Cores?|C /) (\d+)(?: Threads?|T)")

# sockets, cores of a socket, threads of a core
SHAPES: Mapping[str, tuple[Any, tuple[int, int, int]]] = {
    "one": (1, (1, 1, 1)),
    "four": (4, (1, 4, 1)),
    "sockets": ({"topology": {"sockets": 2, "cores": 2, "threads": 1}}, (2, 2, 1)),
    "threads": ({"topology": {"sockets": 1, "cores": 2, "threads": 2}}, (1, 2, 2)),
}


def shape_of(name: str) -> tuple[Any, tuple[int, int, int]]:
    shape, processor = SHAPES[name], Path("/proc/cpuinfo").read_text()
    if shape[1][2] > 1 and "AuthenticAMD" in processor and "topoext" not in processor:
        pytest.skip("the emulated AMD processor has no topoext, without which nobody asks it for threads")
    return shape


@pytest.fixture(scope="module")
def initrd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Linux guest with lscpu and the libraries that it asks for."""
    asked = subprocess.run(["ldd", LSCPU], check=True, capture_output=True, text=True).stdout
    paths = (LSCPU, *map(Path, re.findall(r"(/\S+) \(0x", asked)))
    more = {str(path).lstrip("/"): path.read_bytes() for path in paths}
    return guest_initramfs(tmp_path_factory.mktemp("guest") / "initrd", more=more)


@pytest.mark.parametrize("shape", SHAPES)
def test_lscpu_counts_what_the_spec_says(cli: Cli, initrd: Path, shape: str) -> None:
    cpus, (sockets, cores, threads) = shape_of(shape)
    done = boot(cli, initrd, "/usr/bin/lscpu\npoweroff\n", cpus=cpus)
    assert done.code == 0, done.err
    said = dict(re.findall(r"^ *([A-Z][^:\r\n]*): +(.*?)\r?$", done.out, re.MULTILINE))
    assert int(said["CPU(s)"]) == sockets * cores * threads, done.out
    found = tuple(int(said[name]) for name in ("Socket(s)", "Core(s) per socket", "Thread(s) per core"))
    assert found == (sockets, cores, threads), done.out
    assert said["Virtualization type"] == "full"
    assert "Virtualization" not in said, done.out  # the guest is offered none


@pytest.mark.parametrize("shape", SHAPES)
def test_memtest_counts_the_same(cli: Cli, shape: str) -> None:
    """It draws its screen on the serial port until it is told to stop. Where there are more sockets it names them."""
    cpus, (sockets, cores, threads) = shape_of(shape)
    kernel = {"kernel": str(memtest()), "cmdline": "console=ttyS0,115200"}
    up = cli.start("up", cli.spec(Path("replaced"), boot=kernel, cpus=cpus, memory="64MiB"), stdin=subprocess.PIPE)
    assert up.stdout is not None
    said = ""
    while not (found := COUNTED.search(said)):
        piece = up.stdout.read(1)
        assert piece, said
        assert "Pass:" not in said[:-4000], said  # the screen is whole
        said += piece
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=PATIENCE)
    counted = tuple(int(number) for number in found.groups(default="1"))
    assert counted == (sockets, sockets * cores, sockets * cores * threads), said
