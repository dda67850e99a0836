"""busybox and guest.sh -> the initramfs of a Linux guest, which does what it reads on its console."""

from __future__ import annotations

from pathlib import Path

from tests.lab.initramfs import archive
from tests.lab.pieces import busybox

INIT = Path(__file__).parent / "guest.sh"


def guest_initramfs(target: Path) -> Path:
    target.write_bytes(archive({"bin/busybox": busybox().read_bytes(), "init": INIT.read_bytes()}))
    return target
