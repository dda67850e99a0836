"""A <hostdev> of a domain in; in a draft a device, or why there is none. Pure."""

from __future__ import annotations

from launcher.foreign import meaning
from launcher.foreign.draft import Draft
from launcher.foreign.xml_tree import Element
from launcher.spec.addresses_of_others import in_mapping, place_in_mapping
from launcher.typed import Any
from launcher.values import is_uuid

_NO_PCI = {
    "usb": "a single USB device is not passed: pass the USB controller that it is plugged into, by `devices`",
    "scsi": "a single SCSI device is not passed: name its block device as a disk, or pass its controller by `devices`",
    "scsi_host": "there is no vhost-scsi: name the block devices as disks",
    "mdev": "of mediated devices those are passed that a guest finds on its PCI bus, by their UUIDs",
    "storage": "a guest of KVM has no devices of this kind",
    "misc": "a guest of KVM has no devices of this kind",
    "net": "a guest of KVM has no devices of this kind",
}
_SILENT = ("source", "address", "alias", "rom", "boot", "mac", "vlan", "driver", "model", "target")


def address_of(element: Element | None) -> str | None:
    """libvirt writes its numbers in hex with 0x, or in decimal."""
    if element is None:
        return None
    return in_mapping(dict(element.attributes), _number)


def _number(given: object) -> int | None:
    text = str(given).strip()
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        return None


def hostdev(draft: Draft, one: Element) -> None:
    kind = one.get("type")
    source = one.first("source") or Element("source", one.line)
    named = source.first("address")
    if kind == "mdev" and named is not None and one.get("model") in ("", "vfio-pci") and is_uuid(named.get("uuid")):
        place = _place(one)
        draft.add("devices", "mdev", {"mdev": named.get("uuid").lower()} | ({"guest": place} if place else {}))
        return
    address = address_of(named) if kind == "pci" else None
    if address is None:
        told = [one.get("mode"), kind, *(value for child in source.children for value in child.attributes.values())]
        why = _NO_PCI.get(kind, "no PCI address is named")
        draft.lose(f"the device of the host ({' '.join(filter(None, told))})", why, one.line)
        return
    pass_device(draft, one, "hostdev", {"pci": address})


def pass_device(draft: Draft, one: Element, word: str, entry: dict[str, Any]) -> None:
    own = one.said("alias", "name")
    entry |= {"bind": "never"} if one.get("managed") == "no" else {}
    if (rom := one.first("rom")) is not None:
        entry |= {"rom": rom.get("file")} if rom.get("file") else {"rom": False} if _is_off(rom) else {}
    if (place := _place(one)) is not None:
        entry["guest"] = place
    alias = draft.add("devices", own.removeprefix("ua-") if own.startswith("ua-") else word, entry)
    for child in one.children:
        if child.tag == "boot":
            meaning.boot_order(draft, "devices", alias, child.get("order"), child.line)
        elif child.tag not in _SILENT:
            draft.lose(f"<{child.tag}>", "vmlaunch knows no such element of a device", child.line, "devices", alias)


def _is_off(rom: Element) -> bool:
    return rom.get("bar") == "off" or rom.get("enabled") == "no"


def _place(one: Element) -> str | None:
    """Where it was on the guest's first bus, if that is a slot for passed devices here."""
    address = one.first("address")
    return place_in_mapping(dict(address.attributes)) if address is not None and address.get("type") == "pci" else None
