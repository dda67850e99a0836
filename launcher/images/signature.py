"""Bytes of a boot file in, what they are out. Pure, and never raises: a file that lies is `elf` or `unknown`."""

from __future__ import annotations

from launcher.images.bzimage import is_linux, parse_bzimage
from launcher.images.contents import COMPRESSED, content_of
from launcher.images.elf import Lies, content_of_elf, parse_elf, says_linux
from launcher.record import record
from launcher.typed import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.images.boot_files import Inside, Segment

Kind = Literal["pvh", "elf", "bzimage", "initrd", "empty", "directory", "unknown"]

# What Linux unpacks as an initial RAM disk, after lib/decompress.c.
_ARCHIVES = COMPRESSED | {"cpio"}
_HEADER = 0x1000


@record
class Image:
    """What BootFile says of the content; see there."""

    kind: Kind
    entry: int | None = None
    segments: tuple[Segment, ...] = ()
    problem: str | None = None
    initrd_max: int | None = None
    content: str | None = None  # of what cannot be started
    linux: bool = False
    inside: Inside | None = None  # of a unified kernel image


def identify(size: int, read: Callable[[int, int], bytes]) -> Image:
    """`read(offset, length)` gives bytes of a file of `size` bytes, fewer behind its end."""
    if size == 0:
        return Image("empty")
    head = read(0, _HEADER)
    if head.startswith(b"\x7fELF"):
        return _elf(size, head, read)
    # Boot flag and magic of the Linux/x86 boot protocol, at 0x1fe and 0x202.
    if head[0x1FE:0x200] == b"\x55\xaa" and head[0x202:0x206] == b"HdrS":
        return _bzimage(size, head, read)
    content = content_of(size, head, read)
    if content == "uki":
        return _uki(size, read)
    return Image("initrd" if content in _ARCHIVES else "unknown", content=content)


def _bzimage(size: int, head: bytes, read: Callable[[int, int], bytes]) -> Image:
    try:
        found = parse_bzimage(size, head)
    except Lies as lie:
        return Image("bzimage", problem=str(lie))
    linux = is_linux(head, read)
    return Image("bzimage", found.entry, (found.segment,), initrd_max=found.initrd_max, linux=linux)


def _uki(size: int, read: Callable[[int, int], bytes]) -> Image:
    """Few kernels are one: what reads it is imported for them."""
    from launcher.images.uki import parse_uki

    try:
        found = parse_uki(size, read)
    except Lies as lie:
        return Image("unknown", problem=str(lie), content="uki")
    return Image(
        "bzimage", found.entry, (found.segment,), initrd_max=found.initrd_max, linux=found.linux, inside=found.inside
    )


def _elf(size: int, head: bytes, read: Callable[[int, int], bytes]) -> Image:
    try:
        entry, segments = parse_elf(size, head, read)
    except Lies as lie:
        return Image("elf", problem=str(lie), content=content_of_elf(size, head, read))
    if entry is None:
        return Image("elf", content=content_of_elf(size, head, read))
    return Image("pvh", entry, segments, linux=says_linux(size, head, read))
