"""What is known of the files a spec names, as values: kernel, initial RAM disk, option ROMs, disks, shares. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from launcher.record import field, record
from launcher.values import Hex, Missing

if TYPE_CHECKING:
    from launcher.images.disk_files import Disk, Folder, Socket
    from launcher.images.option_rom import OptionRom


@record
class Segment:
    """Bytes of the boot file that go to a guest address; the rest of `memory_size` is zero."""

    offset: int
    file_size: int
    guest: Hex
    memory_size: int


@record
class BootFile:
    """A file the spec names: identity and what its signature says.

    `kind`: pvh (ELF with a PVH entry note), elf (without one), bzimage, initrd (cpio or compressed), empty,
    directory, unknown.
    `segments` and `entry` are only there for pvh and bzimage; `initrd_max` is the last address a bzimage allows its
    initial RAM disk. `content` is what contents.py calls it, where it is no kernel; `linux`: a kernel that is Linux, by
    its own word. `rom` is there for files that were asked for as option ROMs.
    """

    path: str
    kind: Literal["pvh", "elf", "bzimage", "initrd", "empty", "directory", "unknown"]
    size: int
    sha256: str
    entry: Hex | None = None
    segments: tuple[Segment, ...] = ()
    problem: str | None = None  # why a file that looks like a kernel cannot be started
    initrd_max: Hex | None = None
    content: str | None = None
    linux: bool = False
    rom: OptionRom | None = None


@record
class BootFiles:
    """`roms`: the option ROMs that are files, by the alias of their device. `disks` and `shares` by alias, `sockets` of
    other engines by the name of their entry, `disks.root`."""

    kernel: BootFile | Missing
    initrd: BootFile | Missing | None = None
    roms: dict[str, BootFile | Missing] = field(default_factory=dict)
    disks: dict[str, Disk | Missing] = field(default_factory=dict)
    shares: dict[str, Folder | Missing] = field(default_factory=dict)
    sockets: dict[str, Socket | Missing] = field(default_factory=dict)
