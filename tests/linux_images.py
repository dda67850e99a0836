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
