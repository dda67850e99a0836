"""-device vfio-pci, vsock, shares, other devices and objects in; in a draft what they are here, or why not. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.qemu_options import Option
from launcher.foreign.qemu_words import (
    LOST_DEVICES,
    NEEDLESS_DEVICES,
    OBJECTS_LOST,
    OBJECTS_NEEDLESS,
    reason,
)
from launcher.spec.addresses_of_others import in_guest, meant
from launcher.typed import Any
from launcher.values import PciAddress, is_uuid

_SILENT = ("driver", "host", "sysfsdev", "id", "bus", "addr", "multifunction", "rombar", "romfile", "bootindex",
           "x-vga", "display", "ramfb", "iommufd", "port", "chassis")  # fmt: skip


def read_shares(draft: Draft, options: Sequence[Option]) -> Iterator[int]:
    """-virtfs, -fsdev and virtiofs. Says which options, by their number, are devices of them."""
    folders = {one.get("id"): one for one in options if one.name == "fsdev"}
    for number, one in enumerate(options):
        driver = one.get("driver")
        if one.name == "virtfs":
            _share(draft, one, one)
        elif one.name == "device" and driver.startswith("virtio-9p"):
            yield number
            if (folder := folders.get(one.get("fsdev"))) is not None:
                _share(draft, one, folder)
            else:
                draft.lose(one.shown, "no -fsdev names its folder", one.line)
        elif one.name == "device" and driver.startswith("vhost-user-fs"):
            yield number
            why = "virtiofsd is started here: name the folder that it shares, `shares: {tag: ./folder}`"
            draft.lose(f"the share {one.get('tag')}", why, one.line)


def _share(draft: Draft, one: Option, folder: Option) -> None:
    path, tag = folder.get("path"), one.get("mount_tag") or folder.get("mount_tag")
    if not path:
        draft.lose(one.shown, "a share is a folder of the host", one.line)
        return
    readonly = {"readonly": True} if folder.is_on("readonly") else {}
    alias = draft.add("shares", tag or "share", {"path": path} | readonly)
    meaning.other_share(draft, alias, tag, "9p", one.line)
    if folder.get("security_model") not in ("", "passthrough", "none"):
        why = "files have the owners and modes that they have on the host"
        draft.lose(f"security_model={folder.get('security_model')}", why, one.line, "shares", alias)


def devices(draft: Draft, options: Sequence[Option], used: Collection[int]) -> None:
    for number, one in enumerate(options):
        if one.name == "device" and number not in used:
            _device(draft, one)
        elif one.name == "object":
            _object(draft, one)


def _device(draft: Draft, one: Option) -> None:
    driver = one.get("driver")
    if driver.startswith("vfio-pci"):
        _passed(draft, one)
    elif driver.startswith("vhost-vsock"):
        cid = one.get("guest-cid")
        draft.vsock = int(cid) if re.fullmatch("[0-9]{1,10}", cid) else True
    elif why := reason(NEEDLESS_DEVICES, driver):
        draft.skip(f"-device {driver}", why, one.line)
    else:
        why = reason(LOST_DEVICES, driver) or "vmlaunch knows no such device"
        draft.lose(f"-device {driver}", why, one.line)


def _passed(draft: Draft, one: Option) -> None:
    """A card of which Proxmox means all functions has one -device for each."""
    given = one.get("host") or one.get("sysfsdev").rstrip("/").rpartition("/")[2]
    if is_uuid(given):
        _mediated(draft, one, given.lower())
        return
    address = meant(given).fix if given else None
    if address is None:
        why = "it names no PCI function that a host can have, by domain, bus, device and function"
        draft.lose(one.shown, why, one.line)
        return
    alias = draft.add("devices", one.get("id") or "hostdev", {"pci": address, **_wishes(one)})
    if one.get("bootindex"):
        meaning.boot_order(draft, "devices", alias, one.get("bootindex"), one.line)
    others = [f"{key}={value}" for key, value in one.values.items() if key not in _SILENT]
    if others:
        draft.lose(" ".join(others), "vmlaunch has no such setting of a device", one.line, "devices", alias)
    if one.is_on("x-vga"):
        why = "the card is a display like any other: VGA's old ports are not passed"
        draft.lose("x-vga", why, one.line, "devices", alias)


def _mediated(draft: Draft, one: Option, uuid: str) -> None:
    """It has a place in the guest and nothing else to say."""
    place = {"guest": guest} if (guest := _wishes(one).get("guest")) else {}
    alias = draft.add("devices", one.get("id") or "mdev", {"mdev": uuid, **place})
    others = [f"{key}={value}" for key, value in one.values.items() if key not in _SILENT]
    if others:
        draft.lose(" ".join(others), "vmlaunch has no such setting of a mediated device", one.line, "devices", alias)


def _wishes(one: Option) -> dict[str, Any]:
    rom: dict[str, Any] = (
        {"rom": one.get("romfile")} if one.get("romfile") else {"rom": False} if one.is_off("rombar") else {}
    )
    place = in_guest(f"addr={one.get('addr')}") if one.get("addr") and _is_first(one) else None
    return rom | ({"guest": place} if place and PciAddress.parse(place) else {})


def _is_first(one: Option) -> bool:
    """On the guest's first bus."""
    return one.get("bus") in ("", "pcie.0", "pci.0")


def _object(draft: Draft, one: Option) -> None:
    kind = one.get("qom-type")
    if kind.startswith("memory-backend"):
        return  # read with the memory
    if why := reason(OBJECTS_NEEDLESS, kind):
        draft.skip(f"-object {kind}", why, one.line)
    else:
        why = reason(OBJECTS_LOST, kind) or "vmlaunch knows no such object"
        draft.lose(f"-object {kind}", why, one.line)
