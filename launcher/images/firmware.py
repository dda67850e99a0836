"""The bytes of a firmware, or of a file of its variables, in; what kind it is, and how its variables lie in it, out.

Pure, and never raises: what lies is no firmware. Firmware volumes are those of UEFI PI 1.8, volume 3, 3.2.1; the header
of the variables behind that of their volume is EDK2's MdeModulePkg/Include/Guid/VariableFormat.h.
"""

from __future__ import annotations

import struct
from uuid import UUID

from launcher.images.boot_files import Flash
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]

LARGEST = 4 << 20  # what of the addresses below 4 GiB is nobody else's
PAGE = 4096
_HEADER = 0x64
_END = 20  # the reset vector is in the last 16 bytes
_VARIABLES = UUID("fff12b8d-7696-4c8b-a985-2747075b4f50").bytes_le  # EFI_SYSTEM_NV_DATA_FV_GUID
# EFI_VARIABLE_GUID, EFI_AUTHENTICATED_VARIABLE_GUID
_STORES = {
    UUID("ddcf3616-3275-4164-98b6-fe85707ffe7d").bytes_le: "plain",
    UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le: "authenticated",
}
_LZMA = UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf").bytes_le  # LZMA_CUSTOM_DECOMPRESS_GUID
_SECTION = 20  # where the offset of the data is in a section that is defined by a GUID, from its start
# SmmAccessPei, which OVMF's builds for Secure Boot have among the modules that run before there is memory. EDK2 packs
# the volume of those before that of all others, which has fifteen times as much to unpack.
_OF_SMM = UUID("6c0e75b4-b0b9-44d1-8210-3377d7b4e066").bytes_le
_FIRST = 1 << 20
_MOST_MEMORY = 128 << 20


def flash_of(size: int, read: Read) -> Flash | None:
    """None: it is neither a firmware for this machine nor a file of variables."""
    head, end = read(0, _HEADER), read(max(size - _END, 0), _END)
    layout, length = _variables(head)
    if layout and length == size:
        return Flash("variables", layout)
    if not _is_rom(size, end):
        return None
    if head[0x28:0x2C] != b"_FVH":
        return Flash("bios")
    return Flash("uefi", layout, _wants_smm(read(0, min(size, LARGEST))))


def layout_of(head: bytes) -> str:
    """Of variables that begin with these bytes; empty for what are none."""
    return _variables(head)[0]


def _variables(head: bytes) -> tuple[str, int]:
    """How they lie, in words, and how long their volume is; ("", 0) for other bytes."""
    if len(head) < _HEADER or head[0x10:0x20] != _VARIABLES or head[0x28:0x2C] != b"_FVH":
        return "", 0
    (length,), (offset,) = struct.unpack_from("<Q", head, 0x20), struct.unpack_from("<H", head, 0x30)
    kind = _STORES.get(head[offset : offset + 16])
    if kind is None or offset + 20 > len(head):
        return "", 0
    (store,) = struct.unpack_from("<I", head, offset + 16)
    return f"{store} bytes of {length}, {kind}", length


def _is_rom(size: int, end: bytes) -> bool:
    """Whole pages, which end in the reset vector: a jump, or waiting, then jump; EDK2 writes its name before it."""
    jumps = end[4:5] in (b"\xea", b"\xe9", b"\x90") or end[:4] == b"VTF\0"
    return len(end) == _END and size % PAGE == 0 and jumps


def _wants_smm(rom: bytes) -> bool:
    import lzma  # for a file of the spec only

    place = rom.find(_LZMA)
    if place < 4 or len(rom) < place + _SECTION:
        return _OF_SMM in rom
    (offset,) = struct.unpack_from("<H", rom, place + 16)
    packed = memoryview(rom)[place - 4 + offset :]
    unpacking = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_MOST_MEMORY)
    try:
        return _OF_SMM in unpacking.decompress(packed, max_length=_FIRST)
    except lzma.LZMAError:
        return False
