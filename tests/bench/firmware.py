"""A disk image of a distribution up to its init, by UEFI: ours and QEMU's, the same firmware, the same file.

The build of Debian 13 where the machine is a Debian 12, whose own takes its random numbers from the PM timer: hundreds
of thousands of exits, which take minutes where KVM is emulated, and hide the rest.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.contenders import OURS, PC
from tests.bench.linux import MEBIBYTES, Guest
from tests.bench.measure import Figures, Run
from tests.bench.passed import exits
from tests.lab.image.recipe import image
from tests.lab.packages import CODENAME
from tests.lab.pieces import other_firmware

OWN = Path("/usr/share/OVMF")


def ready() -> None:
    """What cannot be made in a lab host."""
    image()
    _firmware()


def _firmware() -> Path:
    return (other_firmware() if CODENAME == "bookworm" else None) or OWN


def firmware(built: Built, folder: Path) -> dict[str, Run]:
    """Its initrd tells the time; nothing was written by then, so that both may have the image itself. Each keeps its
    variables in a file of its own, over all rounds.
    """
    code, template = (_firmware() / f"OVMF_{name}_4M.fd" for name in ("CODE", "VARS"))
    ours, theirs = (folder / f"{name}.fd" for name in ("ours", "theirs"))
    for one in (ours, theirs):
        shutil.copy(template, one)
    disks = {"root": {"path": str(image()), "format": "raw", "readonly": True}}
    commands = {
        OURS: contenders.up(folder, {"firmware": str(code), "variables": str(ours)}, 1, MEBIBYTES, disks=disks),
        PC: contenders.qemu_machine(
            "pc",
            1,
            MEBIBYTES,
            *("-cpu", "host"),
            *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
            *("-drive", f"if=pflash,format=raw,file={theirs}"),
            *("-object", "iothread,id=thread"),
            *("-drive", f"if=none,id=root,format=raw,readonly=on,file={image()},{contenders.opened(image())}"),
            *("-device", "virtio-blk-pci,drive=root,iothread=thread,disable-legacy=on"),
        ),
    }
    return {name: partial(_life, command) for name, command in commands.items()}


def _life(command: list[str]) -> Figures:
    with Guest(command) as guest:
        figures: Figures = guest.init()
        if guest.is_ours:
            figures["exits"] = exits()
        guest.end()
        return figures
