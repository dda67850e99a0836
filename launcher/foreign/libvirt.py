"""A domain of libvirt, as XML, in; a Draft out. Pure."""

from __future__ import annotations

from collections.abc import Callable

from launcher.errors import Diagnostic, Refused, Where
from launcher.foreign.draft import Draft
from launcher.foreign.libvirt_boot import read_os
from launcher.foreign.libvirt_disks import disk
from launcher.foreign.libvirt_hostdevs import hostdev
from launcher.foreign.libvirt_machine import MACHINE, read_cpus, read_memory
from launcher.foreign.libvirt_nics import interface
from launcher.foreign.libvirt_shares import filesystem, vsock
from launcher.foreign.libvirt_words import LOST, LOST_DEVICES, NEEDLESS, NEEDLESS_DEVICES, UNKNOWN, shown
from launcher.foreign.shell_words import Word
from launcher.foreign.xml_tree import Element
from launcher.spec.words import by_word, plain_word

Reader = Callable[[Draft, Element], None]

_XEN = "the guest had Xen's disks (/dev/xvdX) and network cards: its initial RAM disk needs virtio_blk and virtio_net"
_KINDS = ("kvm", "qemu", "hvf", "xen", "")


def domain_in(root: Element) -> Element | None:
    """libvirt keeps a domain in a status file, a snapshot, a checkpoint or a list of them, too."""
    if root.tag == "domain":
        return root
    if root.tag not in ("domstatus", "domainsnapshot", "domaincheckpoint", "domains", "virtinst", "domainbackup"):
        return None
    return root.first("domain")


def read_domain(domain: Element, file: str) -> Draft:
    draft = Draft("a domain of libvirt")
    _check_kind(draft, domain, file)
    draft.call(domain.said("name"), domain.line)
    read_os(draft, domain, file)
    read_memory(draft, domain)
    read_cpus(draft, domain)
    for child in domain.children:
        _machine(draft, child)
    for devices in domain.all("devices"):
        for device in devices.children:
            _device(draft, device)
    for words in domain.all("commandline"):
        _own_words(draft, words, file)
    return draft


def _check_kind(draft: Draft, domain: Element, file: str) -> None:
    kind = domain.get("type")
    if kind in _KINDS and domain.said("os/type") not in ("exe", "linux", "uml", "xen", "xenpvh"):
        if kind == "xen":
            draft.lose("the hypervisor xen", _XEN, domain.line)
        return
    help_ = ("its disks may be used by a machine with a kernel of its own: `vmlaunch init` begins a spec",)
    what = domain.said("os/type") if kind in _KINDS else kind
    fact = f"a domain of the kind {what} is no virtual machine of KVM, and has no machine to bring over"
    raise Refused(Diagnostic("E026", fact, Where(file, domain.line, 1, 1), help=help_))


def _machine(draft: Draft, child: Element) -> None:
    word = plain_word(child.tag)
    if reader := MACHINE.get(child.tag):
        reader(draft, child)
    elif why := _LOST.get(word):
        draft.lose(shown(child), why, child.line)
    elif why := _NEEDLESS.get(word):
        draft.skip(shown(child), why, child.line)
    elif child.tag not in _READ:
        draft.lose(shown(child), UNKNOWN, child.line)


def _device(draft: Draft, device: Element) -> None:
    word = plain_word(device.tag)
    if reader := _DEVICES.get(device.tag):
        reader(draft, device)
    elif _is_none(device):
        pass
    elif why := _LOST_DEVICES.get(word):
        draft.lose(shown(device), why, device.line)
    elif why := _NEEDLESS_DEVICES.get(word):
        draft.skip(shown(device), why, device.line)
    else:
        draft.lose(shown(device), UNKNOWN, device.line)


def _own_words(draft: Draft, words: Element, file: str) -> None:
    """Arguments of QEMU that are in the domain as they are: what they say goes beside the rest."""
    from launcher.foreign.qemu import add_options

    given = [Word(one.get("value"), one.line) for one in words.all("arg")]
    if given:
        add_options(draft, given, file)


def _is_none(device: Element) -> bool:
    """`<memballoon model="none"/>` says that there is none."""
    return device.get("model") == "none" or device.get("type") == "none"


_DEVICES: dict[str, Reader] = {
    "disk": disk,
    "interface": interface,
    "hostdev": hostdev,
    "filesystem": filesystem,
    "vsock": vsock,
}
# By who reads what is around them.
_READ = frozenset(
    ["name", "os", "devices", "memory", "currentMemory", "maxMemory", "memoryBacking", "numatune", "vcpu", "cputune",
     "cpu", "commandline"]
)  # fmt: skip
_LOST, _NEEDLESS = by_word(LOST), by_word(NEEDLESS)
_LOST_DEVICES, _NEEDLESS_DEVICES = by_word(LOST_DEVICES), by_word(NEEDLESS_DEVICES)
