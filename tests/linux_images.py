"""Small bzImages, as far as a boot loader reads them."""

from __future__ import annotations

import struct

from launcher.images import bzimage as header

_MIB = 1 << 20


def bzimage(
    version: int = 0x20F, release: bytes = b"6.1.0-56-amd64 (debian-kernel@lists.debian.org) #1 SMP\0"
) -> bytes:
    """A kernel of one page behind its setup code; without a release nobody can tell that it is Linux."""
    image = bytearray(5 * header.SECTOR + 4096)
    image[header.SETUP_SECTORS] = 4
    image[0x1FE:0x200], image[0x202:0x206] = b"\x55\xaa", b"HdrS"
    struct.pack_into("<H", image, header.VERSION, version)
    struct.pack_into("<I", image, header.INITRD_MAX, 0x7FFFFFFF)
    struct.pack_into("<H", image, header.XLOADFLAGS, header.HAS_64_BIT_ENTRY)
    struct.pack_into("<Q", image, header.PREFERRED, 16 * _MIB)
    struct.pack_into("<I", image, header.INIT_SIZE, 32 * _MIB)
    if release:
        struct.pack_into("<H", image, header.NAME, 0x400)
        image[0x600 : 0x600 + len(release)] = release
    return bytes(image)


def unified(**sections: bytes) -> bytes:
    """A unified kernel image, as ukify makes one: an EFI program for x86-64 with these sections."""
    place, optional, count = 0x80, 240, len(sections)
    header = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, count, 0, 0, 0, optional, 0x22E) + bytes(optional)
    at = -(-(place + len(header) + 40 * count) // 512) * 512
    table, data = b"", b""
    for name, content in sections.items():
        whole = content.ljust(-(-len(content) // 512) * 512, b"\0")
        row = struct.pack("<8sIIII16x", b"." + name.encode(), len(content), 0x1000, len(whole), at + len(data))
        table, data = table + row, data + whole
    start = (b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", place)).ljust(place, b"\0")
    return (start + header + table).ljust(at, b"\0") + data
