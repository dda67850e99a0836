"""-drive, -blockdev, -hda and the devices that show them in; in a draft disks, or why there is none. Pure.

A disk is a chain: a device names a drive, or the last of the block nodes, whose first one names a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.qemu_options import Option
from launcher.foreign.sizes import of_digits
from launcher.record import record
from launcher.spec.model_of_served import MOST_QUEUES

_SHORT = {
    "hda": "ide", "hdb": "ide", "hdc": "ide", "hdd": "ide", "cdrom": "cdrom", "fda": "floppy", "fdb": "floppy",
    "sd": "sd", "mtdblock": "mtd",
}  # fmt: skip
_BUSES = {
    "virtio-blk": "virtio", "scsi-hd": "scsi", "scsi-block": "scsi", "scsi-disk": "scsi", "scsi-generic": "scsi",
    "ide-hd": "ide", "nvme": "nvme", "usb-storage": "usb", "usb-uas": "usb", "sd-card": "sd",
}  # fmt: skip
_DRIVES = ("scsi-cd", "ide-cd")
_FORMATS = ("qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "qcow", "parallels", "luks", "raw")
_NETWORK = r"(?i)(rbd|nbd|iscsi|https?|ftps?|ssh|gluster(\+\w+)?|nfs|sheepdog|json|fat|vvfat|blkdebug):"
_AWAY = "connect it on this host (`rbd map`, `nbd-client`, `iscsiadm`), and name its block device as `path`"
_UEFI = r"(?i)ovmf|edk2|efi|qemu_efi"
_DEEP = 8
_SETTINGS = ("cache", "aio", "detect-zeroes", "werror", "rerror", "copy-on-read", "l2-cache-size", "throttling",
             "iops", "bps")  # fmt: skip


@record
class _Source:
    """What a drive shows. `format`: nothing if it is not said."""

    path: str
    format: str
    readonly: bool
    discard: bool
    option: Option
    media: str = "disk"


def firmware_of(options: Sequence[Option]) -> tuple[str, Option] | None:
    """uefi or bios, and who says so."""
    nodes = {one.get("node-name"): one for one in options if one.name == "blockdev"}
    for one in options:
        if one.name in ("machine", "M") and (node := nodes.get(one.get("pflash0"))):
            return "uefi", node
    for one in options:
        if one.name == "pflash" or (one.name == "drive" and one.get("if") == "pflash"):
            return "uefi", one
    for one in options:
        if one.name == "bios":
            return "uefi" if re.search(_UEFI, one.text) else "bios", one
    return None


def read_disks(draft: Draft, options: Sequence[Option]) -> Iterator[int]:
    """Says which options, by their number, are disks or parts of them."""
    nodes = {one.get("node-name"): one for one in options if one.name == "blockdev" and one.get("node-name")}
    named = {one.get("id"): one for one in options if one.name == "drive" and one.get("id")}
    sockets = {one.get("id"): one.get("path") for one in options if one.name == "chardev"}
    flash = {one.get(key) for one in options for key in ("pflash0", "pflash1") if one.name in ("machine", "M")}
    shown: set[str] = set()  # drives that have a device
    for number, one in enumerate(options):
        if one.name == "device" and (bus := _bus(one)):
            yield number
            drive = one.get("drive")
            shown.add(drive)
            _of_device(draft, one, bus, named.get(drive), nodes, sockets)
    for one in options:
        if one.name in _SHORT or (one.name == "drive" and one.get("id") not in shown):
            _alone(draft, one)
    yield from _unused(draft, options, nodes, shown, flash)


def _unused(
    draft: Draft, options: Sequence[Option], nodes: Mapping[str, Option], shown: set[str], flash: set[str]
) -> Iterator[int]:
    """Nodes that no device shows: those of firmware, and those of nobody."""
    used = {name for name in (*shown, *flash) for name in _chain(nodes, name)}
    for number, one in enumerate(options):
        if one.name == "blockdev" and one.get("node-name") not in used:
            draft.lose(f"the block node {one.get('node-name')}", "no device shows it to the guest", one.line)
            yield number
    for one in options:
        if one.name in ("machine", "M") and (node := nodes.get(one.get("pflash1"))):
            source = _of_node(nodes, node.get("node-name"))
            meaning.variables(draft, source.path if source else "", node.line)


def _chain(nodes: Mapping[str, Option], name: str) -> Iterator[str]:
    for _ in range(_DEEP):
        if name not in nodes:
            return
        yield name
        name = nodes[name].get("file", "backing")


def _bus(one: Option) -> str:
    driver = one.get("driver")
    if driver.startswith("vhost-user-blk"):
        return "vhost-user"
    if driver.startswith(_DRIVES):
        return "cdrom"
    if driver == "floppy":
        return "floppy"
    return next((bus for start, bus in _BUSES.items() if driver.startswith(start)), "")


def _of_device(
    draft: Draft,
    one: Option,
    bus: str,
    drive: Option | None,
    nodes: Mapping[str, Option],
    sockets: Mapping[str, str],
) -> None:
    name = one.get("id") or one.get("drive") or "disk"
    if bus == "vhost-user":
        socket = sockets.get(one.get("chardev"), "")
        _served(draft, name, socket, one)
        return
    source = _of_drive(drive) if drive is not None else _of_node(nodes, one.get("drive"))
    if source is None:
        if one.get("drive"):
            draft.lose(one.shown, f"no drive is called {one.get('drive')}", one.line)
        else:
            draft.skip(f"the empty drive {name}", "a disk is an image or a block device", one.line)
        return
    alias = _disk(draft, name, source, bus, _queues(one))
    if alias and one.get("bootindex"):
        meaning.boot_order(draft, "disks", alias, one.get("bootindex"), one.line)
    if alias and one.get("serial", "wwn"):
        why = "every disk has the serial vhost_user_blk: name file systems by their UUID"
        draft.lose(f"serial={one.get('serial', 'wwn')}", why, one.line, "disks", alias)


def _served(draft: Draft, name: str, socket: str, one: Option) -> None:
    if socket:
        draft.add("disks", name, {"socket": socket})
    else:
        draft.lose(one.shown, "no -chardev names its socket", one.line)


def _queues(one: Option) -> int:
    given = of_digits(one.get("num-queues"))
    return given if 1 < given <= MOST_QUEUES else 0


def _alone(draft: Draft, one: Option) -> None:
    """A drive that brings its device with it."""
    bus = _SHORT.get(one.name) or one.get("if") or "ide"
    if bus == "pflash":
        if one.get("unit") == "1" or (not one.is_on("readonly") and re.search("(?i)vars", one.get("file"))):
            meaning.variables(draft, one.get("file"), one.line)
        return
    if bus == "none":
        draft.lose(f"the drive {one.get('id') or one.get('file')}", "no device shows it to the guest", one.line)
        return
    source = _of_drive(one)
    if source is None:
        draft.skip(one.shown, "a disk is an image or a block device", one.line)
    elif bus in ("floppy", "sd", "mtd"):
        draft.lose(one.shown, f"there is no drive of the kind {bus}", one.line)
    else:
        _disk(draft, one.get("id") or _stem(source.path), source, "cdrom" if source.media == "cdrom" else bus, 0)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0] or "disk"


def _of_drive(one: Option) -> _Source | None:
    path = one.text if one.name in _SHORT else one.get("file", "file.filename", "filename")
    if not path:
        return None
    media = "cdrom" if one.name == "cdrom" else one.get("media") or "disk"
    readonly = one.is_on("readonly") or one.is_on("read-only") or media == "cdrom"
    discard = one.get("discard") in ("unmap", "on")
    return _Source(path, one.get("format", "driver"), readonly, discard, one, media)


def _of_node(nodes: Mapping[str, Option], name: str) -> _Source | None:
    """From the node that is shown down to the file."""
    chain = [nodes[one] for one in _chain(nodes, name)]
    if not chain:
        return None
    drivers = [
        value
        for one in chain
        for key, value in sorted(one.values.items(), key=lambda pair: len(pair[0]))
        if _ends(key, "driver")
    ]
    paths = [
        value for one in chain for key, value in one.values.items() if _ends(key, "filename") and "backing" not in key
    ]
    known = next((one for one in drivers if one in _FORMATS), "raw")
    away = next((one for one in drivers if re.match(_NETWORK, f"{one}:")), "")
    readonly = any(one.is_on("read-only") for one in chain)
    discard = chain[0].get("discard") == "unmap"
    path = paths[0] if paths else f"{away or 'unknown'}:"
    return _Source(path, known, readonly, discard, chain[0])


def _ends(key: str, name: str) -> bool:
    return key.rpartition(".")[2] == name


def _disk(draft: Draft, name: str, source: _Source, bus: str, queues: int) -> str | None:
    one = source.option
    if re.match(_NETWORK, source.path) or source.path == "unknown:":
        draft.lose(f"the disk {source.path}", _AWAY, one.line)
        return None
    if source.format == "luks":
        why = "images are served as they are, and not decrypted: open it by `cryptsetup`, and name its block device"
        draft.lose(f"the encrypted disk {source.path}", why, one.line)
        return None
    alias = meaning.disk(
        draft,
        name,
        source.path.removeprefix("file:"),
        "" if source.format in ("file", "host_device", "throttle", "copy-on-read") else source.format,
        one.line,
        readonly=source.readonly or bus == "cdrom",
        discard=source.discard,
        queues=queues,
    )
    if alias is not None:
        meaning.other_bus(draft, alias, bus, "cdrom" if bus == "cdrom" else "disk", "", one.line)
        settings = [f"{key}={value}" for key, value in one.values.items() if key.startswith(_SETTINGS)]
        if settings:
            why = "how an image is read and written is its engine's to choose"
            draft.lose(" ".join(settings), why, one.line, "disks", alias)
    return alias
