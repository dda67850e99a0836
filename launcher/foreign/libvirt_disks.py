"""A <disk> of a domain in; in a draft a disk, or why there is none. Pure."""

from __future__ import annotations

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.libvirt_words import shown
from launcher.foreign.sizes import of_digits
from launcher.foreign.xml_tree import Element
from launcher.spec.model_of_served import MOST_QUEUES

_SOURCES = {"file": "file", "block": "dev"}
_ELSEWHERE = {
    "network": "connect it on this host (`rbd map`, `nbd-client`, `iscsiadm`), and name its block device as `path`",
    "volume": "name the path that `virsh vol-path --pool {pool} {volume}` prints",
    "nvme": "pass the drive to the guest by `devices`, or name its block device as `path`",
    "dir": "a folder is a share: `shares: {{work: {dir}}}`",
    "vhostvdpa": "there is no vDPA",
}
_REASONS = {
    "serial": "every disk has the serial vhost_user_blk: name file systems by their UUID",
    "wwn": "a disk of virtio-blk has no world wide name",
    "vendor": "a disk of virtio-blk has no vendor",
    "product": "a disk of virtio-blk has no product",
    "iotune": "nothing is limited here: a unit of systemd can (IOReadBandwidthMax=)",
    "geometry": "a disk has no cylinders and heads here",
    "blockio": "its blocks are those of the image",
    "transient": "the image is written: make one on it by `qemu-img create -f qcow2 -b`, and name that",
    "throttlefilters": "nothing is limited here",
}
_SILENT = ("driver", "source", "target", "readonly", "address", "alias", "backingStore", "shareable", "boot", "auth",
           "encryption", "mirror", "seclabel", "privateData", "geometry")  # fmt: skip
_DRIVER = ("name", "type", "discard", "queues")


def disk(draft: Draft, one: Element) -> None:
    kind, device = one.get("type", "file"), one.get("device", "disk")
    source = one.first("source") or Element("source", one.line)
    if device == "floppy":
        draft.lose(f"the floppy {source.get('file')}".rstrip(), "there is no floppy drive", one.line)
    elif kind == "vhostuser":
        _served(draft, one, source)
    elif kind not in _SOURCES:
        why = _ELSEWHERE.get(kind, "vmlaunch knows no such disk").format(**_parts(source))
        draft.lose(f"the disk {_name(one)} ({kind}{_where(source)})", why, one.line)
    elif not source.get(_SOURCES[kind]):
        draft.skip(f"the empty {device} {_name(one)}", "a disk is an image or a block device", one.line)
    elif one.first("encryption") or source.first("encryption"):
        why = "images are served as they are, and not decrypted: open it by `cryptsetup`, and name its block device"
        draft.lose(f"the encrypted disk {source.get(_SOURCES[kind])}", why, one.line)
    else:
        _image(draft, one, source.get(_SOURCES[kind]), device)


def _image(draft: Draft, one: Element, path: str, device: str) -> None:
    driver = one.first("driver") or Element("driver", one.line)
    queues = of_digits(driver.get("queues"))
    alias = meaning.disk(
        draft,
        _name(one),
        path,
        driver.get("type", "raw"),
        one.line,
        readonly=device == "cdrom" or one.first("readonly") is not None,
        discard=driver.get("discard") == "unmap",
        queues=queues if 1 < queues <= MOST_QUEUES else 0,
    )
    if alias is not None:
        _beside(draft, one, driver, alias, device)


def _served(draft: Draft, one: Element, source: Element) -> None:
    alias = draft.add("disks", _name(one), {"socket": source.get("path")})
    _bus(draft, one, alias, "disk")


def _beside(draft: Draft, one: Element, driver: Element, alias: str, device: str) -> None:
    _bus(draft, one, alias, device)
    settings = [f"{key}={value}" for key, value in driver.attributes.items() if key not in _DRIVER]
    if settings:
        why = "how an image is read and written is its engine's to choose"
        draft.lose(" ".join(settings), why, driver.line, "disks", alias)
    for child in one.children:
        if child.tag == "boot":
            meaning.boot_order(draft, "disks", alias, child.get("order"), child.line)
        elif child.tag not in _SILENT:
            what = f"<{child.tag}> {child.text}".rstrip()
            draft.lose(what, _REASONS.get(child.tag, f"vmlaunch knows no {shown(child)}"), child.line, "disks", alias)
    if one.first("shareable"):
        why = "an image that several VMs use at once is `readonly: true` in all of them"
        draft.lose("<shareable>", why, one.line, "disks", alias)


def _bus(draft: Draft, one: Element, alias: str, device: str) -> None:
    bus = one.said("target", "bus")
    meaning.other_bus(draft, alias, bus, device, one.said("target", "dev"), one.line)


def _name(one: Element) -> str:
    return one.said("target", "dev") or "disk"


def _parts(source: Element) -> dict[str, str]:
    return {key: source.get(key, key.upper()) for key in ("pool", "volume", "dir")}


def _where(source: Element) -> str:
    told = " ".join(filter(None, [source.get("protocol"), source.get("name") or source.get("volume")]))
    return f": {told}" if told else ""
