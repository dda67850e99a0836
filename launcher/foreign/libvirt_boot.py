"""<os> of a domain in; in a draft what starts the guest. Pure."""

from __future__ import annotations

from launcher.foreign.draft import Draft
from launcher.foreign.libvirt_words import UNKNOWN, shown
from launcher.foreign.meaning import check_architecture, secure_boot, variables
from launcher.foreign.xml_tree import Element

_KERNEL = ("kernel", "initrd", "cmdline")
_LOST = {
    "bootmenu": "firmware asks nobody here what to boot",
    "bios": "the firmware's own settings cannot be said",
    "smbios": "the guest has no SMBIOS tables",
    "acpi": "the guest's ACPI tables are vmlaunch's own",
    "dtb": "a guest of x86 has no device tree",
    "shim": "there is no shim: the kernel that is named is started",
    "firmware": "which of the host's UEFI images is taken, and secure boot, cannot be said",
}
_OF_CONTAINERS = ("init", "initarg", "initenv", "initdir", "inituser", "initgroup", "loader_type")


def read_os(draft: Draft, domain: Element, file: str) -> None:
    for system in domain.all("os"):
        kind = system.first("type")
        if kind is not None:
            check_architecture(kind.get("arch"), file, kind.line)
            if kind.get("machine"):
                draft.skip(f"the machine {kind.get('machine')}", "the guest's board is vmlaunch's own", kind.line)
        _kernel(draft, system)
        for child in system.children:
            _rest(draft, child)
    if "kernel" not in draft.boot and not draft.firmware:
        draft.firmware = "bios"


def _kernel(draft: Draft, system: Element) -> None:
    draft.boot = {key: system.said(key) for key in _KERNEL if system.said(key)}
    if "kernel" in draft.boot:
        return
    for key in draft.boot:
        draft.lose(
            f"<{key}> {draft.boot[key]}", "it goes with a kernel, and the domain names none", system.line, "boot"
        )
    draft.boot = {}
    loader = system.first("loader")
    uefi = system.get("firmware") == "efi" or (loader is not None and _is_uefi(loader))
    draft.firmware = "uefi" if uefi else "bios"


def _is_uefi(loader: Element) -> bool:
    words = ("ovmf", "edk2", "efi", "aavmf")
    return loader.get("type") == "pflash" or any(word in loader.text.lower() for word in words)


def _rest(draft: Draft, child: Element) -> None:
    if child.tag in ("type", *_KERNEL, *_OF_CONTAINERS):
        return
    if child.tag == "boot":
        _order(draft, child)
    elif child.tag == "loader":
        why = "the host's own UEFI or SeaBIOS is taken" if draft.firmware else "a kernel that is named starts at once"
        draft.skip(f"the firmware {child.text or child.get('type')}".rstrip(), why, child.line)
        if child.get("secure") == "yes" and draft.firmware:
            secure_boot(draft, child.line)
    elif child.tag == "nvram":
        variables(draft, child.text or child.get("template"), child.line)
    else:
        draft.lose(shown(child), _LOST.get(child.tag, UNKNOWN), child.line, "boot")


def _order(draft: Draft, child: Element) -> None:
    word = child.get("dev")
    if draft.firmware and word != "hd":
        draft.lose(
            f"booting from {word}", "the firmware tries the disks, in the order of `boot-order`", child.line, "boot"
        )
