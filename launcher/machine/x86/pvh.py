"""What a PVH guest finds when it starts: hvm_start_info, its memory map and modules, 32-bit registers. Pure.

Source: Xen, "x86/HVM direct boot ABI" (docs/misc/pvh.pandoc) and hvm_start_info version 1.
"""

from __future__ import annotations

import struct

from launcher.machine.start import Boot, Patch
from launcher.machine.x86 import layout
from launcher.typed import Any

MAGIC = 0x336EC578
MODULE_SIZE = 32  # of hvm_modlist_entry
HEADER_SIZE = 56  # of hvm_start_info
HEAD_SIZE = 0  # the kernel's file has nothing to say

ENTRY_SIZE = 24  # of hvm_memmap_table_entry
MOST_ENTRIES = (layout.START_INFO.size - HEADER_SIZE - MODULE_SIZE) // ENTRY_SIZE

PROTECTED_MODE = 0x11  # CR0: PE, ET
CODE, DATA, TASK = 0xB, 0x3, 0xB  # descriptor types: execute/read, read/write, busy TSS


def patches(boot: Boot) -> tuple[Patch, ...]:
    """The hvm_start_info page with its memory map and module list, and the command line."""
    table = b"".join(struct.pack("<QQII", span.start, span.size, kind, 0) for span, kind in boot.entries)
    initrd = boot.initrd
    modules = struct.pack("<QQQQ", initrd.start, initrd.size, 0, 0) if initrd else b""
    start = layout.START_INFO.start
    modules_at = start + HEADER_SIZE
    header = struct.pack(
        "<IIIIQQQQII",
        MAGIC, 1, 0, 1 if initrd else 0,
        modules_at if initrd else 0, layout.CMDLINE.start, boot.rsdp,
        modules_at + MODULE_SIZE, len(boot.entries), 0,
    )  # fmt: skip
    page = header + modules.ljust(MODULE_SIZE, b"\0") + table
    if len(boot.entries) > MOST_ENTRIES:
        raise ValueError(f"{len(boot.entries)} memory map entries do not fit into the start info page")
    return Patch(start, page), Patch(layout.CMDLINE.start, boot.cmdline.encode() + b"\0")


def first_sregs() -> dict[str, Any]:
    """32-bit protected mode without paging, flat segments."""
    return {
        "cs": _segment(0x10, CODE),
        **{name: _segment(0x18, DATA) for name in ("ds", "es", "fs", "gs", "ss")},
        "tr": {"base": 0, "limit": 0x67, "selector": 0, "type": TASK, "present": 1, "s": 0, "db": 0, "g": 0},
        "cr0": PROTECTED_MODE,
        "cr4": 0,
    }


def first_regs(entry: int) -> dict[str, int]:
    return {"rip": entry, "rbx": layout.START_INFO.start, "rflags": 2}


def _segment(selector: int, kind: int) -> dict[str, int]:
    flat = {"base": 0, "limit": 0xFFFFFFFF, "present": 1, "dpl": 0, "db": 1, "s": 1, "l": 0, "g": 1, "avl": 0}
    return {"selector": selector, "type": kind, "unusable": 0, **flat}
