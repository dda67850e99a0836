"""The beginning of a bzImage in, what its setup header asks for out (Documentation/arch/x86/boot.rst). Pure."""

from __future__ import annotations

import struct

from launcher.images.boot_files import Segment
from launcher.images.elf import Lies
from launcher.patterns import re
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SETUP_SECTORS, VERSION, NAME, INITRD_MAX, XLOADFLAGS, PREFERRED, INIT_SIZE = (
    0x1F1,
    0x206,
    0x20E,
    0x22C,
    0x236,
    0x258,
    0x260,
)
SECTOR = 512
OLDEST = 0x020C  # 2.12, Linux 3.8: the first with xloadflags
HAS_64_BIT_ENTRY = 1
ENTRY_64 = 0x200  # behind the start of the protected-mode kernel
MOST_INIT_SIZE = 1 << 31


_RELEASE = rb"[0-9]+\.[0-9]+[^ ]* \(.*\) #[0-9]+"


def is_linux(head: bytes, read: Callable[[int, int], bytes]) -> bool:
    """By `kernel_version`, which points to what `file` prints. Others that use the protocol (memtest86+) have none."""
    pointer = struct.unpack_from("<H", head, NAME)[0] if len(head) >= NAME + 2 else 0
    return bool(pointer and re.match(_RELEASE, read(pointer + 0x200, 256)))


class BzImage(NamedTuple):
    entry: int
    segment: Segment
    initrd_max: int  # the last address an initial RAM disk may occupy


def parse_bzimage(size: int, head: bytes) -> BzImage:
    """Lies, with the reason, when it cannot be started by the 64-bit boot protocol."""
    if len(head) < INIT_SIZE + 4:
        raise Lies("it ends within its setup header")
    (version,) = struct.unpack_from("<H", head, VERSION)
    if version < OLDEST:
        raise Lies(f"its boot protocol is {version >> 8}.{version & 0xFF:02}, and 2.12 is needed (Linux 3.8)")
    (flags,) = struct.unpack_from("<H", head, XLOADFLAGS)
    if not flags & HAS_64_BIT_ENTRY:
        raise Lies("it is a 32-bit kernel")
    (initrd_max,) = struct.unpack_from("<I", head, INITRD_MAX)
    (preferred,) = struct.unpack_from("<Q", head, PREFERRED)
    (init_size,) = struct.unpack_from("<I", head, INIT_SIZE)
    start = ((head[SETUP_SECTORS] or 4) + 1) * SECTOR
    if start >= size:
        raise Lies("it ends before its kernel begins")
    if not size - start <= init_size <= MOST_INIT_SIZE or preferred > 1 << 32:
        raise Lies("its sizes contradict each other")
    return BzImage(preferred + ENTRY_64, Segment(start, size - start, preferred, init_size), initrd_max)
