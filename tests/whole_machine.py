"""The example of a whole machine: its files, on the server that serves it."""

from __future__ import annotations

from pathlib import Path

from launcher.images.boot_files import BootFiles
from launcher.images.disk_files import Rights
from launcher.record import replace
from launcher.values import GIB
from tests.planning import FILES
from tests.qcow2_images import qcow2
from tests.served import BRIDGE, ME, TAP, block, folder, image, served, with_disks

SPEC = (Path(__file__).parent.parent / "examples" / "whole-machine.yaml").read_text()
ROOT = (
    image("debian.qcow2", qcow2(virtual_size=8 * GIB, backing="base.qcow2", backing_format="qcow2")),
    image("base.qcow2", qcow2(virtual_size=8 * GIB)),
)
OWNED = Rights("/vms/install.iso", ME, ME, 0o644)
HOST_LINKS = (replace(BRIDGE, mtu=9000), TAP)
HOST = served(links=HOST_LINKS)


def whole_files() -> BootFiles:
    """The disks are root's, but for one, and so is no share."""
    files = replace(FILES, initrd=None, shares={"work": folder("src")})
    return with_disks(files, root=ROOT, data=block("vg0/data"), cd=image("install.iso", rights=OWNED))
