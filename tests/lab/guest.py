"""busybox, guest.sh and drivers -> the initramfs of a Linux guest, which does what it reads on its console."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.lab.initramfs import archive, modules
from tests.lab.pieces import Kernel, busybox

INIT = Path(__file__).parent / "guest.sh"
USE = Path(__file__).parent / "use.sh"
TOUR = Path(__file__).parent / "tour.sh"
DRIVERS = "nvme e1000e e1000 8139too 8139cp igb crc32c_generic ext4".split()  # noqa: SIM905
MORE_DRIVERS = """
    nvme e1000e e1000 virtio_pci virtio_net virtio_blk virtio_rng xhci_pci usb_storage sd_mod
    pcnet32 ne2k_pci ahci sdhci_pci mmc_block snd_hda_intel
""".split()  # noqa: SIM905
WHOLE_DRIVERS = [
    *DRIVERS,
    *("virtio_pci", "virtio_blk", "virtio_net", "virtiofs", "vmw_vsock_virtio_transport"),
    "af_packet",  # for DHCP
]


def guest_initramfs(
    target: Path, kernel: Kernel | None = None, drivers: list[str] = DRIVERS, more: Mapping[str, bytes] | None = None
) -> Path:
    """With `kernel`, also its drivers for passed devices; `more` are files by their paths."""
    files = {"bin/busybox": busybox().read_bytes(), "init": INIT.read_bytes()} | dict(more or {})
    target.write_bytes(archive(files | (modules(kernel, drivers) if kernel else {})))
    return target
