"""(BootFiles, RAM, Layout) -> what is loaded where. Pure."""

from __future__ import annotations

from launcher.images.boot_files import BootFile, Inside
from launcher.plan.steps import LoadInitrd, LoadKernel, LoadPart
from launcher.planner.memory import span_of
from launcher.record import replace
from launcher.typed import TYPE_CHECKING, Literal
from launcher.values import KIB, Missing, Span, align_down

if TYPE_CHECKING:
    from launcher.images.boot_files import BootFiles
    from launcher.machine.board import Layout
    from launcher.plan.steps import RamRange
    from launcher.spec.parts import VmSpec

_PAGE = 4 * KIB


def load_kernel(kernel: BootFile | Missing | None, cmdline: str) -> LoadKernel | None:
    """None when the file cannot be started; the rules about boot files say why."""
    if kernel is None or isinstance(kernel, Missing) or kernel.entry is None:
        return None
    parts = tuple(LoadPart(one.offset, one.file_size, one.guest, one.memory_size) for one in kernel.segments)
    inside = kernel.inside or Inside(0)
    return LoadKernel(
        protocol_of(kernel), kernel.path, kernel.sha256, kernel.entry, parts, cmdline or inside.cmdline, inside.kernel
    )


def cmdline_of(spec: VmSpec, files: BootFiles) -> str:
    """What the kernel is told: what the spec says, else what a unified kernel image has in it."""
    inside = files.kernel.inside if isinstance(files.kernel, BootFile) else None
    return spec.boot.cmdline or (inside.cmdline if inside else "")


def has_initrd(spec: VmSpec, files: BootFiles) -> bool:
    inside = files.kernel.inside if isinstance(files.kernel, BootFile) else None
    return spec.boot.initrd is not None or (inside is not None and inside.initrd is not None)


def protocol_of(kernel: BootFile | Missing | None) -> Literal["pvh", "linux64"]:
    """Of a file that is missing, the one that most kernels have."""
    return "linux64" if isinstance(kernel, BootFile) and kernel.kind == "bzimage" else "pvh"


def load_initrd(files: BootFiles, ranges: tuple[RamRange, ...], layout: Layout) -> LoadInitrd | None:
    """As high as it can be in low RAM, so that it is in nobody's way; None when there is none or no room for it."""
    initrd = _initrd_of(files)
    if initrd is None or not initrd.size:
        return None
    taken = [Span(0, layout.kernel_start), *segments_of(files.kernel)]
    if isinstance(files.kernel, BootFile) and files.kernel.initrd_max is not None:
        taken.append(Span.between(files.kernel.initrd_max + 1, layout.hole.end))
    pieces = (piece for ram in low_ram(ranges, layout) for piece in ram.minus(taken))
    starts = ((piece.start, align_down(max(piece.end - initrd.size, 0), _PAGE)) for piece in pieces)
    highest = max((start for lowest, start in starts if start >= lowest), default=None)
    return None if highest is None else replace(initrd, guest=highest)


def _initrd_of(files: BootFiles) -> LoadInitrd | None:
    """The spec's, else that of a unified kernel image; it has no place yet."""
    initrd, kernel = files.initrd, files.kernel
    if initrd is not None:
        return LoadInitrd(initrd.path, initrd.sha256, initrd.size, 0) if isinstance(initrd, BootFile) else None
    if isinstance(kernel, BootFile) and kernel.inside and (part := kernel.inside.initrd):
        return LoadInitrd(kernel.path, kernel.sha256, part.size, 0, part.offset)
    return None


def low_ram(ranges: tuple[RamRange, ...], layout: Layout) -> list[Span]:
    return [span_of(one) for one in ranges if one.guest < layout.hole.start]


def segments_of(kernel: BootFile | Missing | None) -> list[Span]:
    segments = kernel.segments if isinstance(kernel, BootFile) else ()
    return [Span(one.guest, one.memory_size) for one in segments]
