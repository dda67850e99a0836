"""A whole machine: disks, networks, a share and vsock beside passed devices. What its tests share."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tests.disk_images import storage_daemon
from tests.lab.inside.passing import E1000E, NVME
from tests.lab.packages import CODENAME
from tests.lab.pieces import OTHER_RELEASE, other_firmware

MODULES = ("tun", "vhost_net", "vhost_vsock", "bridge", "loop", "crc32c_generic", "ext4")
BRIDGE, TAP = "vmbr", "vmtap0"
BRIDGED, TAPPED, PORT, CID = "10.8.0", "10.9.0", 4712, 42
VIRTIOFSD = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd")
DISKS, SHARES, USER = "qemu-storage-da", "virtiofsd", "passt"  # how /proc/PID/comm begins: it may be passt.avx2


def sh(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


@contextmanager
def networks() -> Iterator[None]:
    """A bridge, and a tap that somebody made, each with an address of the host's."""
    subprocess.run(["modprobe", "-qa", *MODULES], check=False)  # built into some kernels
    sh("ip", "link", "add", BRIDGE, "type", "bridge")
    sh("ip", "tuntap", "add", TAP, "mode", "tap", "vnet_hdr")
    for name, net in ((BRIDGE, BRIDGED), (TAP, TAPPED)):
        sh("ip", "addr", "add", f"{net}.1/24", "dev", name)
        sh("ip", "link", "set", name, "up")
    try:
        yield
    finally:
        sh("ip", "link", "del", TAP)
        sh("ip", "link", "del", BRIDGE)


@contextmanager
def serving(talk: Path, *before: str) -> Iterator[None]:
    """The host's end of conversations, by TCP and vsock. `before` are words before the command."""
    with subprocess.Popen([*before, talk, "serve", str(PORT)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "serving\n"
        try:
            yield
        finally:
            server.kill()


@contextmanager
def firmware_of(release: str) -> Iterator[None]:
    """OVMF of this release of Debian is the host's, whichever of two it has; empty: any."""
    if release in ("", CODENAME):
        yield
        return
    if OTHER_RELEASE.get(CODENAME) != release or (found := other_firmware()) is None:
        pytest.skip(f"{CODENAME} is no Debian that has the firmware of {release}")
    sh("mount", "--bind", found, "/usr/share/OVMF")
    try:
        yield
    finally:
        sh("umount", "/usr/share/OVMF")


def missing() -> str:
    """The engine of disks or shares that this machine has not: on Debian 13 they are two packages of their own."""
    found = {"qemu-storage-daemon": storage_daemon(), "virtiofsd": next(filter(os.path.exists, VIRTIOFSD), None)}
    return next((name for name, path in found.items() if path is None), "")


@dataclass
class Whole:
    """What the spec of a whole machine names on the host."""

    raw: Path
    base: Path  # raw, and what the qcow2 image is based on
    qcow2: Path
    folder: Path

    def fields(self) -> dict[str, Any]:
        return {
            "disks": {"root": str(self.raw), "data": str(self.qcow2)},
            "nics": {"lan": {"bridge": BRIDGE}, "mgmt": {"tap": TAP}},
            "shares": {"work": str(self.folder)},
            "vsock": CID,
        }


PASSED = {"drive": NVME, "card": E1000E}


def report_of(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = cli.run("inspect", "--json", cli.name).json()["report"]
    return found


def engines() -> dict[int, str]:
    """Those of this host, by process id. No other VM has any: each test ends its own."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text().strip()
        except OSError:
            continue
        found |= {int(process.name): engine for engine in (DISKS, SHARES, USER) if name.startswith(engine)}
    return found


def links() -> set[str]:
    return {one["ifname"] for one in json.loads(sh("ip", "-json", "link"))}
