"""(BootFiles, RAM) -> what is loaded where, and what is wrong with the files. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from launcher.errors import Diagnostic
from launcher.host.boot_files import BootFile
from launcher.machine.x86.layout import HOLE, KERNEL_START
from launcher.plan.steps import LoadInitrd, LoadKernel, LoadPart
from launcher.planner.memory import span_of
from launcher.planner.places import field
from launcher.values import KIB, Missing, Span, align_down, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.boot_files import BootFiles
    from launcher.plan.steps import RamRange

_PAGE = 4 * KIB
_UNREADABLE = {
    "absent": (
        "E410",
        "is not there",
        "put it there or correct the path: it is relative to the spec, or to the working directory (stdin)",
    ),
    "denied": ("E411", "may not be read", "make it readable for the user that runs vmlaunch"),
    "asleep": ("E412", "cannot be read", "read it by hand: `sha256sum` says what the kernel answers"),
    "unreadable": ("E412", "cannot be read", "read it by hand: `sha256sum` says what the kernel answers"),
}
_NO_FILE = {
    "directory": ("E413", "is a directory", "name the file in it"),
    "empty": ("E414", "is empty", "copy or build it again"),
}
_NO_KERNEL = {
    "bzimage": ("E415", "is a bzImage that cannot be started", "take a 64-bit kernel of Linux 3.8 or later"),
    "elf": (
        "E416",
        "is an ELF file without a PVH entry",
        "build the kernel with CONFIG_PVH=y; `readelf -n` then shows a Xen note of type 0x12",
    ),
    "initrd": ("E417", "is an initial RAM disk, not a kernel", "name it as `boot.initrd`"),
    "unknown": ("E418", "is no kernel that vmlaunch knows", "name an ELF file with a PVH entry, such as vmlinux"),
}


def load_kernel(kernel: BootFile | Missing, cmdline: str) -> LoadKernel | None:
    """None when the file cannot be started; check_kernel says why."""
    if isinstance(kernel, Missing) or kernel.entry is None:
        return None
    parts = tuple(LoadPart(one.offset, one.file_size, one.guest, one.memory_size) for one in kernel.segments)
    protocol: Literal["pvh", "linux64"] = "linux64" if kernel.kind == "bzimage" else "pvh"
    return LoadKernel(protocol, kernel.path, kernel.sha256, kernel.entry, parts, cmdline)


def load_initrd(files: BootFiles, ranges: tuple[RamRange, ...]) -> LoadInitrd | None:
    """As high as it can be in low RAM, so that it is in nobody's way; None when there is none or no room for it."""
    initrd = files.initrd
    if not isinstance(initrd, BootFile) or not initrd.size:
        return None
    taken = [Span(0, KERNEL_START), *_segments(files.kernel)]
    if isinstance(files.kernel, BootFile) and files.kernel.initrd_max is not None:
        taken.append(Span.between(files.kernel.initrd_max + 1, HOLE.end))
    pieces = (piece for ram in _low(ranges) for piece in ram.minus(taken))
    starts = ((piece.start, align_down(max(piece.end - initrd.size, 0), _PAGE)) for piece in pieces)
    highest = max((start for lowest, start in starts if start >= lowest), default=None)
    return None if highest is None else LoadInitrd(initrd.path, initrd.sha256, initrd.size, highest)


def _low(ranges: tuple[RamRange, ...]) -> list[Span]:
    return [span_of(one) for one in ranges if one.guest < HOLE.start]


def _segments(kernel: BootFile | Missing) -> list[Span]:
    return [] if isinstance(kernel, Missing) else [Span(one.guest, one.memory_size) for one in kernel.segments]


def check_boot(files: BootFiles, ranges: tuple[RamRange, ...]) -> Iterator[Diagnostic]:
    yield from _check_kernel(files.kernel, ranges)
    if files.initrd is not None:
        yield from _check_initrd(files, files.initrd, ranges)
    for alias, rom in files.roms.items():
        yield from _check_file(rom, f"devices.{alias}.rom")


def _check_kernel(kernel: BootFile | Missing, ranges: tuple[RamRange, ...]) -> Iterator[Diagnostic]:
    yield from _check_file(kernel, "boot.kernel")
    if isinstance(kernel, Missing):
        return
    if kernel.kind in _NO_KERNEL and kernel.entry is None:
        code, fact, help_ = _NO_KERNEL[kernel.kind]
        message = f"{kernel.path}: {kernel.problem}" if kernel.problem else f"{kernel.path} {fact}"
        yield Diagnostic(code, message, field("boot.kernel"), help=(help_,))
    for segment in _segments(kernel):
        yield from _check_segment(kernel, segment, ranges)


def _check_segment(kernel: BootFile, segment: Span, ranges: tuple[RamRange, ...]) -> Iterator[Diagnostic]:
    where, low = field("boot.kernel"), _low(ranges)
    if segment.start < KERNEL_START:
        fact = f"{kernel.path} wants {segment}, where the launcher's own tables are"
        yield Diagnostic("E421", fact, where, help=(f"link it to load from {KERNEL_START:#x} on",))
    elif not any(ram.covers(segment) for ram in low):
        evidence = tuple(f"RAM below 4 GiB: {ram}" for ram in low)
        help_ = (f"it needs low RAM up to {show_size(segment.end)}: make the first bank larger",)
        yield Diagnostic("E420", f"{kernel.path} does not fit into RAM at {segment}", where, evidence, help_)


def _check_initrd(files: BootFiles, initrd: BootFile | Missing, ranges: tuple[RamRange, ...]) -> Iterator[Diagnostic]:
    where = field("boot.initrd")
    yield from _check_file(initrd, "boot.initrd")
    if isinstance(initrd, Missing) or initrd.kind in _NO_FILE:
        return
    if initrd.kind in ("pvh", "elf", "bzimage"):
        fact = f"{initrd.path} is a kernel, not an initial RAM disk"
        yield Diagnostic("E419", fact, where, help=("swap the two files",))
    elif initrd.kind == "unknown":
        fact = f"{initrd.path} is no archive that Linux knows; it is loaded as it is"
        yield Diagnostic("W404", fact, where, help=("an initial RAM disk is a cpio archive, compressed or not",))
    if load_initrd(files, ranges) is None:
        fact = f"{initrd.path} ({show_size(initrd.size)}) does not fit into low RAM beside the kernel"
        yield Diagnostic("E422", fact, where, help=("make the first bank larger",))


def _check_file(found: BootFile | Missing, path: str) -> Iterator[Diagnostic]:
    if isinstance(found, Missing):
        code, fact, help_ = _UNREADABLE[found.missing]
    elif found.kind in _NO_FILE:
        code, fact, help_ = _NO_FILE[found.kind]
    else:
        return
    yield Diagnostic(code, f"{found.path} {fact}", field(path), help=(help_,))
