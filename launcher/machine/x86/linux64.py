"""What a 64-bit Linux kernel finds when it starts: the zero page, page tables, descriptor table, registers. Pure.

Source: Documentation/arch/x86/boot.rst (64-bit boot protocol) and zero-page.rst.
"""

from __future__ import annotations

import struct

from launcher.machine.start import Boot, Patch
from launcher.machine.x86 import layout
from launcher.typed import Any
from launcher.values import GIB, MIB

ZERO_PAGE_SIZE = 4096
HEADER = slice(0x1F1, 0x290)  # the setup header, copied from the file
HEAD_SIZE = HEADER.stop
RSDP, EXT_INITRD, EXT_INITRD_SIZE, EXT_CMDLINE = 0x70, 0xC0, 0xC4, 0xC8
E820_COUNT, E820_TABLE, MOST_ENTRIES = 0x1E8, 0x2D0, 128
LOADER_TYPE, LOADER_UNDEFINED = 0x210, 0xFF
INITRD, INITRD_SIZE, CMDLINE = 0x218, 0x21C, 0x228

PRESENT_WRITABLE, LARGE = 0x3, 0x80
CODE_64, DATA = 0x00AF9B000000FFFF, 0x00CF93000000FFFF  # at selectors 0x10 and 0x18
PAGED_PROTECTED_MODE = 0x80000011  # CR0: PG, ET, PE
PHYSICAL_ADDRESS_EXTENSION = 0x20  # CR4
LONG_MODE = 0x500  # EFER: LMA, LME


def patches(boot: Boot) -> tuple[Patch, ...]:
    return (
        Patch(layout.START_INFO.start, _zero_page(boot)),
        Patch(layout.CMDLINE.start, boot.cmdline.encode() + b"\0"),
        Patch(layout.GDT.start, struct.pack("<4Q", 0, 0, CODE_64, DATA)),
        Patch(layout.PAGE_TABLES.start, _identity_map()),
    )


def _zero_page(boot: Boot) -> bytes:
    page, initrd = bytearray(ZERO_PAGE_SIZE), boot.initrd
    length = min(HEADER.stop, 0x202 + boot.head[0x201])  # the header says where it ends
    page[HEADER.start : length] = boot.head[HEADER.start : length]
    page[LOADER_TYPE] = LOADER_UNDEFINED
    struct.pack_into("<Q", page, RSDP, boot.rsdp)
    struct.pack_into("<I", page, CMDLINE, layout.CMDLINE.start)
    if initrd is not None:
        struct.pack_into("<II", page, INITRD, initrd.start & 0xFFFFFFFF, initrd.size & 0xFFFFFFFF)
        struct.pack_into("<II", page, EXT_INITRD, initrd.start >> 32, initrd.size >> 32)
    if len(boot.entries) > MOST_ENTRIES:
        raise ValueError(f"{len(boot.entries)} memory map entries, and the zero page holds {MOST_ENTRIES}")
    page[E820_COUNT] = len(boot.entries)
    for n, (span, kind) in enumerate(boot.entries):
        struct.pack_into("<QQI", page, E820_TABLE + 20 * n, span.start, span.size, kind)
    return bytes(page)


def _identity_map() -> bytes:
    """4 GiB in pages of 2 MiB: one top table, one directory pointer table, four directories."""
    start = layout.PAGE_TABLES.start
    top = struct.pack("<512Q", start + 0x1000 | PRESENT_WRITABLE, *[0] * 511)
    pointers = [start + 0x2000 + 0x1000 * n | PRESENT_WRITABLE for n in range(4)]
    directories = [n * 2 * MIB | PRESENT_WRITABLE | LARGE for n in range(4 * GIB // (2 * MIB))]
    return top + struct.pack("<512Q", *pointers, *[0] * 508) + struct.pack("<2048Q", *directories)


def first_sregs() -> dict[str, Any]:
    """64-bit mode, flat segments, the identity map on."""
    data = _segment(0x18, 0x3, long=False)
    return {
        "cs": _segment(0x10, 0xB, long=True),
        **dict.fromkeys(("ds", "es", "fs", "gs", "ss"), data),
        "gdt": {"base": layout.GDT.start, "limit": 4 * 8 - 1},
        "cr0": PAGED_PROTECTED_MODE,
        "cr3": layout.PAGE_TABLES.start,
        "cr4": PHYSICAL_ADDRESS_EXTENSION,
        "efer": LONG_MODE,
    }


def first_regs(entry: int) -> dict[str, int]:
    """`entry` is startup_64: 0x200 behind the start of the protected-mode kernel."""
    return {"rip": entry, "rsi": layout.START_INFO.start, "rflags": 2}


def _segment(selector: int, kind: int, *, long: bool) -> dict[str, int]:
    flat = {"base": 0, "limit": 0xFFFFFFFF, "present": 1, "dpl": 0, "s": 1, "g": 1, "avl": 0, "unusable": 0}
    return {"selector": selector, "type": kind, "db": int(not long), "l": int(long), **flat}
