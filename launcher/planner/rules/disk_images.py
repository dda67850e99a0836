"""Rules about what an image is: there, a disk, of the format that it is served as, sound. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.images.contents import DISKS_OF_OTHERS
from launcher.images.disk_files import OF_THE_KERNEL, Disk, DiskFile
from launcher.patterns import re
from launcher.planner.places import in_spec
from launcher.planner.rules.access import SETFACL, who
from launcher.planner.rules.boot import AS_IT_IS, FOR_A_SHELL
from launcher.planner.rules.contents import CONTENTS
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.row import NamedTuple
from launcher.shell import quote
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.planner.decided import Situation

_SECTOR = 512
_LET_READ = f"let that user read it: `setfacl -m u:{{uid}}:r {{path}}` ({SETFACL})"
_MISSING = {
    "absent": ("E600", "is not there", "correct the path, or make the disk"),
    "denied": ("E601", "may not be read by {who}", _LET_READ),
    "asleep": ("E602", "cannot be read", "read it by hand: `sha256sum` says what the kernel answers"),
    "unreadable": ("E602", "cannot be read", "read it by hand: `sha256sum` says what the kernel answers"),
}
_LISTED = "`lsblk -p` lists the block devices; a volume of LVM is among them after `vgchange -ay`"
_OF_ROOT = "a device cgroup, of a container or a service, keeps it from root, or a network file system does"
# What a download or a pipe leaves in the place of an image.
_PACKED = frozenset({"gzip", "xz", "zstd", "lz4", "bzip2", "zip", "git-lfs", "html", "rpm", "deb"})
_UNPACK = {"gzip": "zcat", "xz": "xzcat", "zstd": "zstdcat", "lz4": "lz4cat", "bzip2": "bzcat"}


def where(alias: str) -> Where:
    return in_spec(f"disks.{alias}.path")


def disks_there(it: Situation) -> Iterator[tuple[str, Disk]]:
    """In file order; those that are served here, and not at somebody's socket."""
    found = ((alias, it.files.disks.get(alias)) for alias in it.spec.disks)
    yield from ((alias, disk) for alias, disk in found if isinstance(disk, Disk))


class Seen(NamedTuple):
    """An image of a disk's chain, and the subject of a sentence about it."""

    alias: str
    disk: Disk
    image: DiskFile
    subject: str

    @property
    def is_top(self) -> bool:
        return self.image is self.disk.top


def images_of(it: Situation) -> Iterator[Seen]:
    for alias, disk in disks_there(it):
        for above, one in zip((None, *disk.chain), disk.chain, strict=False):
            based = f", which {above.path} is based on," if above else ""
            yield Seen(alias, disk, one, f"{alias}: {one.path}{based}")


def _there(it: Situation) -> Iterator[Diagnostic]:
    for alias in it.spec.disks:
        found = it.files.disks.get(alias)
        if isinstance(found, Missing):
            code, fact, help_ = _MISSING[found.missing]
            process = it.host.process
            fact = f"{alias}: {found.path} {fact.format(who=who(process))}"
            way = _OF_ROOT if code == "E601" and process.uid == 0 else _LISTED if _is_device(found) else help_
            shell = (AS_IT_IS,) if code == "E600" and re.search(FOR_A_SHELL, found.path) else ()
            yield Diagnostic(
                code, fact, where(alias), help=(*shell, way.format(uid=process.uid, path=quote(found.path)))
            )


def _is_device(found: Missing) -> bool:
    return found.missing == "absent" and found.path.startswith("/dev/")


def _kind(it: Situation) -> Iterator[Diagnostic]:
    for seen in images_of(it):
        alias, one = seen.alias, seen.image
        above = seen.disk.chain[seen.disk.chain.index(one) - 1]  # of a base
        rebase = f"name the right one: `qemu-img rebase -u -F raw -b BASE {quote(above.path)}`, with its format"
        if one.kind == "directory":
            help_ = ("name the image in it", f"a folder is shared: `shares: {{{alias}: ...}}`")
            ways = help_ if seen.is_top else (rebase,)
            yield Diagnostic("E603", f"{seen.subject} is a directory", where(alias), help=ways)
        elif one.kind == "special":
            kernel = one.file_system in OF_THE_KERNEL
            fact = f"{seen.subject} {'is made up by the kernel' if kernel else 'is neither a file nor a block device'}"
            evidence = (f"it is in {one.file_system}, whose files are on no disk",) if kernel else ()
            way = "name an image or a block device" if seen.is_top else rebase
            yield Diagnostic("E603", fact, where(alias), evidence, (way,))


def _size(it: Situation) -> Iterator[Diagnostic]:
    """Of a base it does not matter: what is behind its end reads as zeros."""
    for alias, disk in disks_there(it):
        one = disk.top
        if one.kind not in ("file", "block") or (one.size and _is_no_disk(one)):
            continue
        if one.size == 0 and one.kind == "block":
            yield Diagnostic("E604", f"{alias}: {one.path} has no medium", where(alias), help=(_filling(one),))
        elif one.virtual_size == 0:
            yield Diagnostic("E604", f"{alias}: {one.path} has 0 bytes", where(alias), help=(_making(one),))
        elif one.virtual_size % _SECTOR and one.kind == "file":
            yield _odd(alias, one)


def _filling(one: DiskFile) -> str:
    """A loop device and one of nbd are there before anything is behind them."""
    path = quote(one.path)
    if re.fullmatch(r"/dev/loop[0-9]+", one.path):
        return f"put a file behind it, `losetup {path} FILE`, or name that file here: no loop device is needed"
    if re.fullmatch(r"/dev/nbd[0-9]+", one.path):
        return f"connect it first, as by `nbd-client HOST {path}` or `qemu-nbd -c {path} FILE`"
    return "put one in"


def _making(one: DiskFile) -> str:
    path = quote(one.path)
    if one.format == "qcow2" and one.size == 0:
        return f"make it, as in `qemu-img create -f qcow2 {path} 20G`, or copy it again"
    if one.format == "qcow2":
        return f"give it a size, as in `qemu-img resize -f qcow2 {path} 20G`, or copy it again"
    return f"give it a size, as in `truncate -s 20G {path}`, or copy it again"


def _odd(alias: str, one: DiskFile) -> Diagnostic:
    many = "1 byte" if one.virtual_size == 1 else f"{one.virtual_size} bytes"
    fact = f"{alias}: {one.path} has {many}, which is no multiple of {_SECTOR}, a sector of a disk"
    if one.content in _PACKED and one.format == "raw":
        return Diagnostic("E605", fact, where(alias), help=(_unpacking(one),))
    if one.format == "qcow2":
        size = -(-one.virtual_size // _SECTOR) * _SECTOR
        fix = f"qemu-img resize -f qcow2 {quote(one.path)} {size}"
    else:
        fix = f"truncate -s %{_SECTOR} {quote(one.path)}"
    help_ = ("copy it again, if it was cut off", f"or fill up the last one: `{fix}`")
    return Diagnostic("E605", fact, where(alias), help=help_, fix=fix)


def _is_no_disk(one: DiskFile) -> bool:
    """Of which E606 to E609 say why its size is not known, or not the guest's disk's."""
    if one.format == "raw":
        return one.qcow2 is not None or one.content in DISKS_OF_OTHERS
    return one.qcow2 is None or one.qcow2.problem is not None


def _contradicts(it: Situation) -> Iterator[Diagnostic]:
    """The name, or `format`, says one thing and the content another. The content never decides: a guest writes it."""
    for seen in images_of(it):
        one = seen.image
        if one.kind not in ("file", "block") or (not one.size and (seen.is_top or one.format == "raw")):
            continue
        if one.format == "qcow2" and one.qcow2 is None:
            yield _no_qcow2(seen)
        elif one.format == "raw" and seen.is_top:
            yield from _no_raw(seen.alias, one, seen.subject)


def _no_qcow2(seen: Seen) -> Diagnostic:
    alias, _, one, subject = seen
    found = CONTENTS.get(one.content or "")
    is_ = f"is {found.words if found else 'none by its content'}" if one.size else "has 0 bytes"
    fact = f"{subject} is to be served as qcow2, and {is_}"
    if not one.size:
        help_ = "copy it again"
    elif not seen.is_top:
        help_ = f"say in the image above what it is: `qemu-img rebase -u -F raw -b {quote(one.path)} ...`"
    elif one.content in DISKS_OF_OTHERS:
        help_ = _converting(one)
    else:
        help_ = "write `format: raw` if it is a raw disk"
    return Diagnostic("E607", fact, where(alias), help=(help_,))


def _no_raw(alias: str, one: DiskFile, subject: str) -> Iterator[Diagnostic]:
    if one.qcow2 is not None:
        fact = f"{subject} is to be served as a raw disk, and has a qcow2 header"
        evidence = ("as a raw disk a guest would see the header in place of its data",)
        fix = "format: qcow2"
        caution = "not if a guest had it as a raw disk: it may have written that header, to have any file of the host"
        yield Diagnostic("E606", fact, where(alias), evidence, (f"write `{fix}` if it was made so", caution), fix)
    elif one.content in DISKS_OF_OTHERS:
        fact = f"{subject} is to be served as a raw disk, and is {CONTENTS[one.content].words}"
        yield Diagnostic("E608", fact, where(alias), help=(_converting(one),))
    elif one.content in _PACKED:
        fact = f"{subject} is to be served as a raw disk, and is {CONTENTS[one.content].words}"
        yield Diagnostic("W608", fact, where(alias), help=(_unpacking(one),))


def _unpacking(one: DiskFile) -> str:
    unpack = _UNPACK.get(one.content or "")
    return f"unpack it: `{unpack} {quote(one.path)} > disk.raw`" if unpack else "fetch the image itself"


def _converting(one: DiskFile) -> str:
    path = quote(one.path)
    return f"convert it: `qemu-img convert -p -O qcow2 {path} {quote(one.path.rpartition('.')[0] or one.path)}.qcow2`"


def _sound(it: Situation) -> Iterator[Diagnostic]:
    """What an engine would refuse to open, or would open and lose data of."""
    for alias, _, one, subject in images_of(it):
        head = one.qcow2 if one.format == "qcow2" else None
        if head is None:
            continue
        path = quote(one.path)
        if head.problem is not None:
            yield Diagnostic("E609", f"{subject} {head.problem}", where(alias), help=("copy it again",))
            continue
        if head.corrupt:
            fix = f"qemu-img check -r all {path}"
            help_ = (f"copy it, then repair it: `{fix}`",)
            yield Diagnostic("E610", f"{subject} is marked corrupt", where(alias), help=help_, fix=fix)
        if head.encrypted:
            help_ = ("decrypt it with `qemu-img convert`; a guest can encrypt its disk itself (LUKS)",)
            yield Diagnostic("E611", f"{subject} is encrypted, and no key can be given", where(alias), help=help_)
        if head.data_file:
            help_ = (f"put both into one: `qemu-img convert -O qcow2 {path} whole.qcow2`",)
            yield Diagnostic("E612", f"{subject} has its data in another file", where(alias), help=help_)
        if head.unknown:
            fact = f"{subject} has features that are not known: {series(head.unknown)}"
            yield Diagnostic("E613", fact, where(alias), help=("convert it with the `qemu-img` that made it",))
        if head.dirty and not head.corrupt:
            yield _dirty(alias, one, subject)


def _dirty(alias: str, one: DiskFile, subject: str) -> Diagnostic:
    fact = f"{subject} was not closed the last time, and is checked when it is opened"
    fix = f"qemu-img check -r all {quote(one.path)}"
    size = show_size(one.size)
    return Diagnostic("W610", fact, where(alias), (f"it has {size}",), (f"check it before: `{fix}`",), fix)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _there),
    Rule("kernel", _kind),
    Rule("kernel", _size),
    Rule("policy", _contradicts),
    Rule("kernel", _sound),
)
