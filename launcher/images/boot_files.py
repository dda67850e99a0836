"""What is known of the files a spec names, as values: kernel, initial RAM disk, firmware, option ROMs, disks. Pure."""

from __future__ import annotations

from launcher.record import field, record
from launcher.typed import TYPE_CHECKING, Literal
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
class Part:
    """Bytes of a file."""

    offset: int
    size: int


@record
class Inside:
    """What a unified kernel image has in it: where its kernel begins, its initial RAM disk and its command line."""

    kernel: int
    initrd: Part | None = None
    cmdline: str = ""


@record
class Flash:
    """What a file holds that is to be firmware, or variables of one.

    `layout`: how its variables lie, in words; empty where it has none in it. `smm`: its build needs System Management
    Mode, as those for Secure Boot do.
    """

    kind: Literal["bios", "uefi", "variables"]
    layout: str = ""
    smm: bool = False


@record
class Variables:
    """Where firmware keeps its variables. `identity` is device:inode; empty: there is no file, and one can be made.

    `layout` as in Flash, empty for a file that holds none. `writable`: by the user that plans, or there a file could be
    made. `locked`: somebody has it open as its variables. `target`: where the path leads, behind all links.
    """

    path: str
    kind: Literal["file", "other", "none"]
    identity: str = ""
    size: int = 0
    layout: str = ""
    writable: bool = True
    locked: bool = False
    target: str = ""


@record
class SeedText:
    """A file for cloud-init. `problem`: why it would make nothing of it, in words that follow the path."""

    path: str
    kind: Literal["file", "other"]
    size: int = 0
    sha256: str = ""
    problem: str | None = None


@record
class BootFile:
    """A file the spec names: identity and what its signature says.

    `kind`: pvh (ELF with a PVH entry note), elf (without one), bzimage, initrd (cpio or compressed), empty,
    directory, unknown.
    `segments` and `entry` are only there for pvh and bzimage; `initrd_max` is the last address a bzimage allows its
    initial RAM disk. `content` is what contents.py calls it, where it is no kernel; `linux`: a kernel that is Linux, by
    its own word. `rom` is there for files that were asked for as option ROMs, `flash` for those that were asked for as
    firmware, and are. `inside`: of a unified kernel image, whose kernel is a bzimage.
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
    flash: Flash | None = None
    inside: Inside | None = None


@record
class BootFiles:
    """`kernel` is None where firmware boots; `firmware` is there where it is a file of the spec. `seed`: files that the
    spec has for cloud-init, by name.

    `roms`: the option ROMs that are files, by the alias of their device. `disks` and `shares` by alias, `sockets` of
    other engines by the name of their entry, `disks.root`. `spec`: the paths of the spec, with and without links;
    empty where it is in no file."""

    kernel: BootFile | Missing | None
    initrd: BootFile | Missing | None = None
    roms: dict[str, BootFile | Missing] = field(default_factory=dict)
    disks: dict[str, Disk | Missing] = field(default_factory=dict)
    shares: dict[str, Folder | Missing] = field(default_factory=dict)
    sockets: dict[str, Socket | Missing] = field(default_factory=dict)
    firmware: BootFile | Missing | None = None
    variables: Variables | Missing | None = None
    seed: dict[str, SeedText | Missing] = field(default_factory=dict)
    spec: tuple[str, ...] = ()
