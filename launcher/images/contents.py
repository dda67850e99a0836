"""The beginning and the end of a file in, the name of what it is out. Pure; a few reads, each of a bounded length.

Only for words: what can be started is decided by signature.py. The names are keys of the planner's table of remedies.
"""

from __future__ import annotations

import struct

from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

# (offset, bytes, name), the special before the general. Compression: lib/decompress.c. Kernels:
# Documentation/arch/arm64/booting.rst, arch/riscv/boot-image-header.rst, drivers/firmware/efi/libstub/zboot-header.S,
# arch/arm/boot/compressed/head.S. Disks: qemu's block/*.c. Firmware volumes: UEFI PI 3.2.1.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"070701", "cpio"),
    (0, b"070702", "cpio"),
    (0, b"070707", "old-cpio"),
    (0, b"\xc7\x71", "old-cpio"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"\x02\x21\x4c\x18", "lz4"),
    (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, b"BZh", "bzip2"),
    (0, b"\x5d\0\0", "lzma"),
    (0, b"\x89LZO", "lzo"),
    (0x38, b"ARM\x64", "arm64-image"),
    (0x38, b"RSC\x05", "riscv-image"),
    (0x24, b"\x18\x28\x6f\x01", "arm-zimage"),
    (4, b"zimg", "efi-zboot"),
    (0, b"\x27\x05\x19\x56", "uimage"),
    (0, b"\xd0\x0d\xfe\xed", "device-tree"),
    (0, b"QFI\xfb", "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd"),
    (0, b"QED\0", "qed"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0x28, b"_FVH", "firmware-volume"),
    (0, b"hsqs", "file-system"),
    (0, b"XFSB", "file-system"),
    (0x438, b"\x53\xef", "file-system"),
    (0x400, b"\xe2\xe1\xf5\xe0", "file-system"),
    (0x200, b"LABELONE", "raw-disk"),
    (0x200, b"EFI PART", "raw-disk"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"7z\xbc\xaf\x27\x1c", "zip"),
    (0x101, b"ustar", "tar"),
    (0, b"!<arch>\ndebian-binary", "deb"),
    (0, b"\xed\xab\xee\xdb", "rpm"),
    (0, b"version https://git-lfs", "git-lfs"),
    (0, b"NVGI", "nvgi"),
    (0, b"#!", "script"),
)

DISKS_OF_OTHERS = frozenset({"vmdk", "vdi", "vhd", "vhdx", "qed", "parallels"})
COMPRESSED = frozenset({"gzip", "xz", "zstd", "lz4", "bzip2", "lzma", "lzo"})

_SECTOR = 512
_ISO = (0x8001, b"CD001")  # ECMA-119, 8.4: the first volume descriptor
_BTRFS = (0x10040, b"_BHRfS_M")
_RESET = 16  # bytes below 4 GiB that a CPU starts in: a far jump, and by custom a date behind it
_PE_MACHINES = {0x8664: "efi", 0x14C: "efi-ia32", 0xAA64: "efi-foreign", 0x5064: "efi-foreign", 0x6264: "efi-foreign"}


def content_of(size: int, head: bytes, read: Read) -> str | None:
    """`head` are the first 4 KiB of the file, or all of it."""
    return next(_names(size, head, read), None)


def _names(size: int, head: bytes, read: Read) -> Iterator[str]:
    if head[:1] in (b"\0", b"\xff") and not head.strip(head[:1]) and _is_all(head[:1], size, read):
        yield "zeros" if head[0] == 0 else "ones"
    yield from (name for offset, sign, name in _SIGNATURES if head[offset : offset + len(sign)] == sign)
    if head.startswith(b"MZ"):
        yield _portable_executable(head, read)
    for (offset, sign), name in ((_ISO, "iso"), (_BTRFS, "file-system")):
        if read(offset, len(sign)) == sign:
            yield name
    if head.startswith(b"\x55\xaa"):
        yield "option-rom"
    if head[0x1FE:0x200] == b"\x55\xaa":
        yield "raw-disk"
    if _is_bios(size, read):
        yield "bios"
    if read(max(size - _SECTOR, 0), 8) == b"conectix":
        yield "vhd"
    if text := _text(head):
        yield text


def _is_all(byte: bytes, size: int, read: Read) -> bool:
    """Looked at in a few places: a file of zeros is most often one that was never written."""
    places = (size * part // 8 for part in range(1, 8))
    return all(not read(place, 4096).strip(byte) for place in (*places, max(size - 4096, 0)))


def _portable_executable(head: bytes, read: Read) -> str:
    """UKIs have a section .linux (systemd's ukify); others are EFI programs, or for Windows, which nobody asks for."""
    (place,) = struct.unpack_from("<I", head, 0x3C) if len(head) >= 0x40 else (0,)
    header = read(place, 24)
    if len(header) < 24 or header[:4] != b"PE\0\0":
        return "dos"
    machine, sections = struct.unpack_from("<HH", header, 4)
    (optional,) = struct.unpack_from("<H", header, 20)
    table = read(place + 24 + optional, min(sections, 96) * 40)
    if any(table[at : at + 8] == b".linux\0\0" for at in range(0, len(table), 40)):
        return "uki"
    return _PE_MACHINES.get(machine, "efi-foreign")


def _is_bios(size: int, read: Read) -> bool:
    """A ROM below 4 GiB: whole 16 KiB, which end in the reset vector: a jump, or waiting, then jump (OVMF)."""
    end = read(max(size - _RESET, 0), _RESET)
    return size >= 1 << 14 and size % (1 << 14) == 0 and len(end) == _RESET and end[:1] in (b"\xea", b"\xe9", b"\x90")


def _text(head: bytes) -> str | None:
    sample = head[:1024]
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample) or not sample:
        return None
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 4:
            return None
    start = sample.lstrip().lower()
    return "html" if start.startswith((b"<!doctype html", b"<html")) else "text"
