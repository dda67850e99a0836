"""A host -> the ACPI tables by which its firmware describes the IOMMU, where they are not to be those of QEMU. Pure.

QEMU keeps no memory for devices and covers all of them. DMAR: VT-d 3.3, chapter 8; IVRS: AMD I/O Virtualization
Technology (IOMMU) 3.06, chapter 5.2.
"""

from __future__ import annotations

from struct import pack

from tests.lab.hosts import Host, Iommu, Region

REVISION = 2  # the kernel takes a table instead of one of the same name and OEM with a lower revision; QEMU's is 1
NAMES = (b"BOCHS ", b"BXPC    ", REVISION, b"BXPC", 1)


def tables(host: Host) -> dict[str, bytes]:
    if not (host.regions or host.covers):
        return {}
    return {"IVRS": _ivrs(host)} if host.iommu is Iommu.AMD else {"DMAR": _dmar(host)}


def _table(signature: bytes, content: bytes) -> bytes:
    """With the header that all tables have, whose checksum makes the sum of all bytes 0."""
    head = pack("<4sIBB6s8sI4sI", signature, 36 + len(content), 1, 0, *NAMES)
    check = -sum(head + content) & 0xFF
    return head[:9] + bytes([check]) + head[10:] + content


def _dmar(host: Host) -> bytes:
    remaps_interrupts, bits = 1, 48
    parts = (pack("<BB10x", bits - 1, remaps_interrupts), _unit(host), *map(_rmrr, host.regions))
    return _table(b"DMAR", b"".join(parts))


def _unit(host: Host) -> bytes:
    """DRHD: of all devices, or of those named; and of QEMU's I/O APIC, at ff:00.0 by definition."""
    everything, registers, io_apic = 0 if host.covers else 1, 0xFED90000, _scope(3, 0xFF, 0, 0)
    scopes = io_apic + b"".join(_scope(1, 0, *_slot(one)) for one in host.covers)
    return pack("<HHBBHQ", 0, 16 + len(scopes), everything, 0, 0, registers) + scopes


def _rmrr(region: Region) -> bytes:
    scope = _scope(1, 0, *_slot(region.device))
    return pack("<HHHHQQ", 1, 24 + len(scope), 0, 0, region.start, region.start + region.size - 1) + scope


def _scope(kind: int, bus: int, device: int, function: int) -> bytes:
    """A device on a root bus. Kind 1 is a PCI endpoint, 3 an I/O APIC."""
    return pack("<BBHBBBB", kind, 8, 0, 0, bus, device, function)


def _ivrs(host: Host) -> bytes:
    """IVinfo with 40 bits of physical address, as QEMU has it."""
    parts = (pack("<I8x", 40 << 8), _ivhd(), *map(_ivmd, host.regions))
    return _table(b"IVRS", b"".join(parts))


def _ivhd() -> bytes:
    """The IOMMU at 00:01.0 with its capability at 0x40, of all devices; and of the I/O APIC, which sends as 00:14.0."""
    all_devices = pack("<BHB", 1, 0, 0)
    io_apic = pack("<BHBBHB", 0x48, 0, 0, 0, 0x14 << 3, 1)
    entries = all_devices + io_apic
    return pack("<BBHHHQHHI", 0x10, 0xD1, 24 + len(entries), 1 << 3, 0x40, 0xFED80000, 0, 0, 0x44) + entries


def _ivmd(region: Region) -> bytes:
    """Type 21h is for one device; flags: unity mapped, read, write."""
    device, function = _slot(region.device)
    return pack("<BBHHHQQQ", 0x21, 7, 32, device << 3 | function, 0, 0, region.start, region.size)


def _slot(address: str) -> tuple[int, int]:
    device, function = address.split(".")
    return int(device, 16), int(function, 16)
