"""busybox, guest.sh and drivers -> the initramfs of a Linux guest, which does what it reads on its console."""

from __future__ import annotations

from pathlib import Path

from tests.lab.initramfs import archive, modules
from tests.lab.pieces import Kernel, busybox

INIT = Path(__file__).parent / "guest.sh"
DRIVERS = "nvme e1000e e1000 8139too 8139cp igb crc32c_generic ext4".split()  # noqa: SIM905


def guest_initramfs(target: Path, kernel: Kernel | None = None) -> Path:
    """With `kernel`, also its drivers for passed devices."""
    files = {"bin/busybox": busybox().read_bytes(), "init": INIT.read_bytes()}
    target.write_bytes(archive(files | (modules(kernel, DRIVERS) if kernel else {})))
    return target
