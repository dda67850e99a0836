"""Facts of disks, shares and networks for tests of the planner: what a host has that serves them, what files are."""

from __future__ import annotations

from typing import Any

from launcher.host.facts import DeviceNode, HostFacts, Link, Program, Serving
from launcher.images.boot_files import BootFiles
from launcher.images.contents import content_of
from launcher.images.disk_files import Broken, Disk, DiskFile, Folder, Rights, Socket
from launcher.images.qcow2 import MAGIC, parse_qcow2
from launcher.record import replace
from launcher.values import GIB, MIB, Missing
from tests.planning import FILES, host
from tests.qcow2_images import qcow2

VMS = "/vms"
START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\n"
ME = 1000
PROGRAMS = {
    "qemu-storage-daemon": Program("/usr/bin/qemu-storage-daemon", "10.0.2", vhost_user=True),
    "virtiofsd": Program("/usr/libexec/virtiofsd", "1.13.0", "rust"),
    "passt": Program("/usr/bin/passt", "0.0~git20250503.587980c-2", vhost_user=True),
}
NODES = tuple(DeviceNode(f"/dev/{name}", 0o660, 0, 105, True) for name in ("net/tun", "vhost-net", "vhost-vsock"))
BRIDGE = Link("br0", "bridge", "02:00:00:00:00:01", 1500, up=True, ports=("eth0",))
TAP = Link("vmtap0", "tap", "02:00:00:00:00:02", 1500, up=True, owner=ME, persistent=True, attached=False)
LINKS = (BRIDGE, Link("eth0", "other", "02:00:00:00:00:03", 1500, up=True, master="br0"), TAP)
SERVING = Serving(PROGRAMS, NODES, ("bridge", "tun", "vhost_net", "vhost_vsock"), LINKS, user_namespaces=15000)


def served(facts: HostFacts | None = None, **fields: Any) -> HostFacts:
    """The server, with all that serves a guest; `fields` of it differ."""
    return replace(facts or host("gpu07"), serving=replace(SERVING, **fields))


def by_user(facts: HostFacts, **fields: Any) -> HostFacts:
    """An ordinary user runs `up`."""
    mine = {"uid": ME, "gid": ME, "groups": (ME,), "capabilities": (), "state_folder": f"/run/user/{ME}/vmlaunch"}
    return replace(facts, process=replace(facts.process, **mine | fields))


def image(name: str = "root.qcow2", content: bytes | None = None, **fields: Any) -> DiskFile:
    """A file in /vms, that root wrote; `content`, by which it is judged, is made by hand as the file would have it."""
    format_ = "qcow2" if name.endswith(".qcow2") else "raw"
    held = content if content is not None else qcow2() if format_ == "qcow2" else b"\x55" * MIB

    def read(offset: int, length: int) -> bytes:
        return held[offset : offset + length]

    given = {
        "path": f"{VMS}/{name}",
        "kind": "file",
        "format": format_,
        "identity": f"1:{sum(name.encode())}",
        "rights": Rights(f"{VMS}/{name}", 0, 0, 0o600),
        "size": len(held),
        "allocated": len(held),
        "content": content_of(len(held), held[:4096], read) if held else None,
        "qcow2": parse_qcow2(len(held), read) if held.startswith(MAGIC) else None,
        "file_system": "ext4",
        "free": 100 * GIB,
    }
    return DiskFile(**given | fields)


def block(name: str = "vda", **fields: Any) -> DiskFile:
    """A block device of 1 GiB."""
    given = {"path": f"/dev/{name}", "kind": "block", "number": "8:0", "rights": Rights(f"/dev/{name}", 0, 6, 0o660)}
    return image(name, **given | {"size": GIB, "allocated": GIB, "file_system": None, "free": None} | fields)


def with_disks(files: BootFiles = FILES, /, **disks: DiskFile | tuple[DiskFile, ...] | Disk | Missing) -> BootFiles:
    found: dict[str, Disk | Missing] = {}
    for alias, one in disks.items():
        chain = (one,) if isinstance(one, DiskFile) else one
        found[alias] = chain if isinstance(chain, (Disk, Missing)) else Disk(chain)
    return replace(files, disks=found)


def broken(kind: Any, name: str, **fields: Any) -> Disk:
    """The chain of root.qcow2 ends at once."""
    return Disk((image(),), Broken(kind, f"{VMS}/root.qcow2", name, f"{VMS}/{name}", **fields))


def folder(name: str = "src", uid: int = ME, **fields: Any) -> Folder:
    given = {"path": f"{VMS}/{name}", "kind": "directory", "identity": "1:99", "file_system": "ext4"}
    return Folder(**given | {"rights": Rights(f"{VMS}/{name}", uid, uid, 0o755)} | fields)


def socket(path: str = "/run/engine.sock", mode: int = 0o600, uid: int = 0, **fields: Any) -> Socket:
    given = {"path": path, "kind": "socket", "rights": Rights(path, uid, uid, mode), "identity": "25:7"}
    return Socket(**given | fields)


def with_shares(**shares: Folder | Missing) -> BootFiles:
    return replace(FILES, shares=dict(shares))


def with_sockets(**sockets: Socket | Missing) -> BootFiles:
    """By `disks_root`."""
    return replace(FILES, sockets={name.replace("_", "."): one for name, one in sockets.items()})
