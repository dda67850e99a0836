"""Rules about the files that a spec names: each is there, is what it is named as, and has room in the guest. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.images.boot_files import BootFile
from launcher.patterns import re
from launcher.planner.boot import load_initrd, low_ram, segments_of
from launcher.planner.places import in_spec
from launcher.planner.rules.contents import ACCEPTED, named, ways_out
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING
from launcher.values import MIB, Missing, align_up, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.images.boot_files import BootFiles
    from launcher.machine.board import Layout
    from launcher.plan.steps import RamRange
    from launcher.planner.decided import Situation
    from launcher.values import Span

UNREADABLE = {
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
    "bzimage": ("E415", "is a bzImage that cannot be started", "take a 64-bit build of it; of Linux, 3.8 or later"),
    "elf": (
        "E416",
        "is an ELF file without a PVH entry",
        "build the kernel with CONFIG_PVH=y; `readelf -n` then shows a Xen note of type 0x12",
    ),
    "initrd": ("E417", "is an archive, not a kernel", "if it is an initial RAM disk, name it as `boot.initrd`"),
    "unknown": ("E418", "is no kernel that vmlaunch knows", ACCEPTED),
}
# What a shell replaces and nobody else does: ~, $HOME, ${HOME}, *; and what a template is filled in for.
FOR_A_SHELL = r"/~|\$\{?\w|\{\{|\*"
AS_IT_IS = "write the whole path: ~, $VARIABLE and * are a shell's and a template's, and are taken as they stand here"

# Of these the name says more than what is wrong with their headers.
_BY_NAME = frozenset({"elf-object", "elf-core"})


def check_boot(files: BootFiles, ranges: tuple[RamRange, ...], layout: Layout) -> Iterator[Diagnostic]:
    """Of a file with nothing in it, or that cannot be read, nothing more is said."""
    judges = {"boot.kernel": _kernel, "boot.initrd": _initrd}
    roms = {f"devices.{alias}.rom": rom for alias, rom in files.roms.items()}
    booted = {"boot.kernel": files.kernel, "boot.initrd": files.initrd, "boot.firmware": files.firmware}
    for path, found in {**booted, **roms}.items():
        if found is None:
            continue
        if isinstance(found, Missing) or found.kind in _NO_FILE:
            code, fact, help_ = UNREADABLE[found.missing] if isinstance(found, Missing) else _NO_FILE[found.kind]
            help_ = AS_IT_IS if code == "E410" and re.search(FOR_A_SHELL, found.path or "") else help_
            yield Diagnostic(code, f"{found.path} {fact}", in_spec(path), help=(help_,))
        elif path in judges:
            yield from judges[path](found, files, ranges, layout)


def _kernel(kernel: BootFile, files: BootFiles, ranges: tuple[RamRange, ...], layout: Layout) -> Iterator[Diagnostic]:
    if kernel.kind in _NO_KERNEL and kernel.entry is None:
        code, fact, help_ = _NO_KERNEL[kernel.kind]
        told = kernel.problem and kernel.content not in _BY_NAME
        message = f"{kernel.path}: {kernel.problem}" if told else f"{kernel.path} {named(kernel) or fact}"
        yield Diagnostic(code, message, in_spec("boot.kernel"), help=ways_out(kernel) or (help_,))
    for segment in segments_of(kernel):
        yield from _segment(kernel, segment, ranges, layout)
    inside = kernel.inside.initrd if kernel.inside and files.initrd is None else None
    if inside and _starts_at_0(low_ram(ranges, layout)) and load_initrd(files, ranges, layout) is None:
        fact = f"the initial RAM disk in {kernel.path} ({show_size(inside.size)}) does not fit into low RAM beside it"
        yield Diagnostic("E422", fact, in_spec("boot.kernel"), help=("make the first bank larger",))


def _segment(kernel: BootFile, segment: Span, ranges: tuple[RamRange, ...], layout: Layout) -> Iterator[Diagnostic]:
    where, low = in_spec("boot.kernel"), low_ram(ranges, layout)
    if segment.start < layout.kernel_start:
        fact = f"{kernel.path} wants {segment}, where the launcher's own tables are"
        yield Diagnostic("E421", fact, where, help=(f"link it to load from {layout.kernel_start:#x} on",))
    elif _starts_at_0(low) and not any(ram.covers(segment) for ram in low):
        evidence = tuple(f"RAM below 4 GiB: {ram}" for ram in low)
        top, enough = layout.hole.start, show_size(align_up(segment.end, MIB))
        within = f"it needs low RAM up to {enough}: make the first bank larger"
        beyond = f"link it to load below {show_size(top)}, where low RAM ends at the latest"
        help_ = (beyond if segment.end > top else within,)
        yield Diagnostic("E420", f"{kernel.path} does not fit into RAM at {segment}", where, evidence, help_)


def _starts_at_0(low: Sequence[Span]) -> bool:
    """Where nothing is, E307 says so, and no size mends that."""
    return any(ram.start == 0 for ram in low)


def _initrd(initrd: BootFile, files: BootFiles, ranges: tuple[RamRange, ...], layout: Layout) -> Iterator[Diagnostic]:
    where = in_spec("boot.initrd")
    if initrd.kind in ("pvh", "elf", "bzimage"):
        fact = f"{initrd.path} is {'an ELF file' if initrd.kind == 'elf' else 'a kernel'}, not an initial RAM disk"
        yield Diagnostic("E419", fact, where, help=(_instead_of_kernel(files.kernel),))
    elif initrd.content == "special":
        fact = f"{initrd.path} {named(initrd)}, and no initial RAM disk"
        yield Diagnostic("E419", fact, where, help=(_instead_of_kernel(files.kernel),))
        return
    elif initrd.kind == "unknown":
        name = f"{what}, and " if (what := named(initrd)) else "is "
        fact = f"{initrd.path} {name}no archive that Linux knows; it is loaded as it is"
        yield Diagnostic("W404", fact, where, help=("an initial RAM disk is a cpio archive, compressed or not",))
    if _starts_at_0(low_ram(ranges, layout)) and load_initrd(files, ranges, layout) is None:
        fact = f"{initrd.path} ({show_size(initrd.size)}) does not fit into low RAM beside the kernel"
        yield Diagnostic("E422", fact, where, help=("make the first bank larger",))


def _instead_of_kernel(kernel: BootFile | Missing | None) -> str:
    """To swap them helps only where the other one is an archive."""
    swapped = isinstance(kernel, BootFile) and kernel.kind == "initrd"
    return "swap the two files" if swapped else "name the initial RAM disk, a cpio archive, or leave `initrd` out"


def _boot(it: Situation) -> Iterator[Diagnostic]:
    return check_boot(it.files, it.ranges, it.board.layout)


RULES: tuple[Rule, ...] = (Rule("kernel", _boot),)
