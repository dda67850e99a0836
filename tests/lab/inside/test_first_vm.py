"""docs/first-vm.md: a person who types what it says gets what it shows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import speed
from tests.disk_images import qcow2
from tests.lab.console import Console
from tests.lab.image.recipe import SIZE, image, kernel
from tests.lab.inside.first_vm import GUEST, HOST, Command, Way, ways
from tests.lab.inside.whole import MODULES, firmware_of, missing, sh

pytestmark = [
    pytest.mark.host("roomy-drive"),
    pytest.mark.image,
    pytest.mark.long,
    pytest.mark.usefixtures("host_as_before"),
    pytest.mark.skipif(bool(missing()), reason=f"there is no {missing()}"),
]

PASSWORD = "change-me"
# What a reader changes as well: the card stands in for a GPU, and all takes its time.
HERE = {"0000:c1:00.0": "0000:02:00.0", "8GiB": "768MiB", "5m": f"{speed.seconds(1200)}s"}


def as_here(text: str) -> str:
    for there, here in HERE.items():
        text = text.replace(there, here)
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """What the page takes for granted: a cloud image, a kernel, a bridge."""
    qcow2(tmp_path / "debian.qcow2", SIZE, image())
    shutil.copy(kernel(), tmp_path / "vmlinuz")
    subprocess.run(["modprobe", "-qa", *MODULES], check=False)  # built into some kernels
    sh("ip", "link", "add", "br0", "type", "bridge")
    with firmware_of("trixie"):
        yield tmp_path
        for name in ("trainer", "owner"):
            subprocess.run(["vmlaunch", "down", "--kill", name], check=False)
    sh("ip", "link", "del", "br0")


def test_every_command_of_the_page_does_what_it_shows(folder: Path) -> None:
    for way in ways():
        print(f"== {way.title}")
        follow(way, folder)
    assert "Debian".encode("utf-16-le") in (folder / "owner.vars.fd").read_bytes()


def follow(way: Way, folder: Path) -> None:
    for name, content in way.files.items():
        (folder / name).write_text(as_here(content))
    console: Console | None = None
    for command in way.commands:
        if command.where == GUEST:
            assert console is not None, command
            compare(command, console.order(command.words))
            continue
        leave(console)
        console = on_host(command, folder)
    leave(console)


def on_host(command: Command, folder: Path) -> Console | None:
    """A console is left open for those who type in the guest."""
    assert command.where == HOST
    words = as_here(command.words)
    if words.startswith("vmlaunch console"):
        attached = subprocess.Popen(
            words.split(),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ,
        )
        console = Console(attached)
        console.type("\n")
        console.log_in(PASSWORD)
        return console
    done = subprocess.run(
        words, shell=True, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}"
    compare(command, done.stdout)
    return None


def compare(command: Command, said: str) -> None:
    """A line that the page shows was said."""
    print(f"{command.where}{command.words}\n{said}")
    for line in command.shown:
        assert line in said, (command, said)


def leave(console: Console | None) -> None:
    """Its guest runs on."""
    if console is not None:
        console.process.kill()
        console.process.communicate()
