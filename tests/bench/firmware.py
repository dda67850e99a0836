"""A disk image of a distribution up to its init, by UEFI: ours and QEMU's, the same firmware, the same file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.contenders import OURS, PC
from tests.bench.linux import MEBIBYTES, Guest
from tests.bench.measure import Figures, Run
from tests.bench.passed import exits
from tests.bench.stamps import now
from tests.lab.image.recipe import image

CODE, VARIABLES = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"


def firmware(built: Built, folder: Path) -> dict[str, Run]:
    """Its initrd tells the time; nothing was written by then, so that both may have the image itself."""
    disks = {"root": {"path": str(image()), "format": "raw", "readonly": True}}
    commands = {
        OURS: contenders.up(folder, {"firmware": "uefi"}, 1, MEBIBYTES, disks=disks),
        PC: contenders.qemu_machine(
            "pc",
            1,
            MEBIBYTES,
            *("-cpu", "host"),
            *("-drive", f"if=pflash,format=raw,readonly=on,file={CODE}"),
            *("-drive", f"if=pflash,format=raw,snapshot=on,file={VARIABLES}"),
            *("-object", "iothread,id=thread"),
            *("-drive", f"if=none,id=root,format=raw,readonly=on,file={image()}"),
            *("-device", "virtio-blk-pci,drive=root,iothread=thread,disable-legacy=on"),
        ),
    }
    return {name: partial(_life, command) for name, command in commands.items()}


def _life(command: list[str]) -> Figures:
    with Guest(command) as guest:
        line, _ = guest.until(r"init at ([\d.]+)")
        figures: Figures = {"seconds": now() - guest.began, "uptime": float(line[1])}
        if guest.is_ours:
            figures["exits"] = exits()
        guest.end()
        return figures
