"""The bytes of a file in, a Draft of its machine out: which tool wrote it is told by its content. Pure."""

from __future__ import annotations

import re

from launcher.errors import Diagnostic, Refused, Where
from launcher.foreign.draft import Draft
from launcher.spec.yaml_text import decode

_SPEC = rb"(?s)(?!.*qemu-)(.*^(boot|cpus|memory|devices|vmlaunch)[ \t]*:|\s*\{.*\"boot\"\s*:)"
_PROXMOX = rb"(?s).*^(scsi|virtio|ide|sata|net|hostpci)[0-9]+: "
_VMWARE = rb"(?s).*^(config\.version|virtualHW\.version)\s*="
# What somebody might take for a machine of libvirt or QEMU -> what it is, and what to do with it.
_OTHERS = (
    (_PROXMOX, "a configuration of Proxmox", "`qm showcmd ID --pretty` prints its QEMU command line: import that"),
    (_VMWARE, "a configuration of VMware", "`virt-v2v -i vmx {file} -o local -os .` makes a domain and images of it"),
    (_SPEC, "a spec of vmlaunch already", "`vmlaunch plan {file}` says what this host has to it"),
    (rb"(?s).*<(ovf:)?Envelope", "an OVF appliance", "`virt-v2v -i ova {file} -o local -os .` makes a domain of it"),
    (rb"(?s).*Vagrant\.configure", "a Vagrantfile", "with vagrant-libvirt, `virsh dumpxml NAME` prints its domain"),
    (rb"QFI\xfb", "a disk image", "name it by `disks`: `vmlaunch init` begins a spec"),
    (rb"\x7fELF", "a program", "import its command line: `tr '\\0' ' ' < /proc/PID/cmdline`"),
)
_READ = "`vmlaunch import` takes what `virsh dumpxml NAME` prints, and QEMU command lines"


def drafted(raw: bytes, file: str) -> Draft:
    """Refused where it is neither, and says what it seems to be."""
    if _is_xml(raw):
        return _of_xml(raw, file)
    for form, what, way in _OTHERS:
        if re.match(form, raw[:65536], re.MULTILINE):
            raise _refused(f"it is {what}", way.format(file=file), file)
    from launcher.foreign.qemu import read_command

    text = decode(raw.replace(b"\0", b"\n") if _is_process(raw) else raw, file)
    draft = read_command(text, file, split=_is_process(raw))
    if draft is None:
        raise _refused("it is neither a domain of libvirt nor a command line of QEMU", _READ, file)
    return draft


def _is_xml(raw: bytes) -> bool:
    """In any encoding that expat knows."""
    start = (
        raw[:1024].replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    )
    return bool(re.match(rb"\s*<(\?xml|!--|!DOCTYPE|[A-Za-z])", start)) and b"Envelope" not in raw[:4096]


def _is_process(raw: bytes) -> bool:
    """/proc/PID/cmdline has a NUL behind each word."""
    return b"\0" in raw and raw.endswith(b"\0") and b"qemu" in raw.split(b"\0", 1)[0] + raw.split(b"\0", 1)[0].lower()


def _of_xml(raw: bytes, file: str) -> Draft:
    from launcher.foreign.libvirt import domain_in, read_domain
    from launcher.foreign.xml_tree import read_xml

    root = read_xml(raw, file)
    domain = domain_in(root)
    if domain is None:
        raise _refused(f"it is XML with <{root.tag[:40]}>, and no domain of libvirt", _READ, file)
    return read_domain(domain, file)


def _refused(fact: str, way: str, file: str) -> Refused:
    return Refused(Diagnostic("E024", f"the file is nothing to import: {fact}", Where(file), help=(way,)))
