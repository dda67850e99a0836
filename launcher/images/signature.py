"""Bytes of a boot file in, what they are out. Pure, and never raises: a file that lies is `elf` or `unknown`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from launcher.images.bzimage import parse_bzimage
from launcher.images.elf import Lies, parse_elf
from launcher.record import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.images.boot_files import Segment

Kind = Literal["pvh", "elf", "bzimage", "initrd", "empty", "directory", "unknown"]

# How an initial RAM disk begins: cpio archives, and what the kernel can unpack (lib/decompress.c).
_ARCHIVES = (
    b"070701",
    b"070702",
    b"\x1f\x8b",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"\x02\x21\x4c\x18",
    b"\x04\x22\x4d\x18",
    b"BZh",
    b"\x5d\0\0",
    b"\x89LZO",
)
_HEADER = 0x1000


@record
class Image:
    """What BootFile says of the content; see there."""

    kind: Kind
    entry: int | None = None
    segments: tuple[Segment, ...] = ()
    problem: str | None = None
    initrd_max: int | None = None


def identify(size: int, read: Callable[[int, int], bytes]) -> Image:
    """`read(offset, length)` gives bytes of a file of `size` bytes, fewer behind its end."""
    if size == 0:
        return Image("empty")
    head = read(0, _HEADER)
    if head.startswith(b"\x7fELF"):
        return _elf(size, head, read)
    # Boot flag and magic of the Linux/x86 boot protocol, at 0x1fe and 0x202.
    if head[0x1FE:0x200] == b"\x55\xaa" and head[0x202:0x206] == b"HdrS":
        return _bzimage(size, head)
    return Image("initrd" if head.startswith(_ARCHIVES) else "unknown")


def _bzimage(size: int, head: bytes) -> Image:
    try:
        found = parse_bzimage(size, head)
    except Lies as lie:
        return Image("bzimage", problem=str(lie))
    return Image("bzimage", found.entry, (found.segment,), initrd_max=found.initrd_max)


def _elf(size: int, head: bytes, read: Callable[[int, int], bytes]) -> Image:
    try:
        entry, segments = parse_elf(size, head, read)
    except Lies as lie:
        return Image("elf", problem=str(lie))
    if entry is None:
        return Image("elf")
    return Image("pvh", entry, segments)
