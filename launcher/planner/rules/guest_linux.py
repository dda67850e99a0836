"""Rules about a guest that is Linux: its console is one that the machine has, its root one that the spec can be. Pure.

They only warn: what a kernel has built in (CONFIG_CMDLINE, an initramfs) is not seen from outside.
"""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.images.boot_files import BootFile
from launcher.patterns import re
from launcher.planner.boot import cmdline_of, has_initrd
from launcher.planner.functions import is_kind
from launcher.planner.kernel_cmdline import parameters, values
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import PciFunction
    from launcher.planner.decided import Situation

_CMDLINE = in_spec("boot.cmdline")

# What Linux calls the serial port at 0x3f8, the only one there is (drivers/tty/serial/8250/8250_early.c).
_SERIAL = r"ttyS0(,.*)?|uart(8250)?,io,0x3f8(,.*)?"
_SCREEN = r"tty[0-9]*(,.*)?"
_SILENT = ("", "null")  # nobody writes these by mistake (kernel/printk/printk.c)

# SCSI, IDE, RAID, ATA, SATA, SAS, other storage, FireWire, USB, Fibre Channel: all that Linux has sd* behind.
_SCSI = ("0100", "0101", "0104", "0105", "0106", "0107", "0180", "0c00", "0c03", "0c04")
_ANY = (*_SCSI, "0108", "0805")
_NETWORK = ("02", "0c06")  # cards, and InfiniBand of old
_VIRTIO_DISKS = ("1af4:1001", "1af4:1042")
_VIRTIO_SCSI = ("1af4:1004", "1af4:1048")
_VIRTIO = (*_VIRTIO_DISKS, *_VIRTIO_SCSI)


class _Disk(NamedTuple):
    """`name` of a block device in Linux; `classes` and `ids` of functions that can be it; `what` they are, in words."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    what: str


# Names after Documentation/admin-guide/devices.txt and drivers/nvme, drivers/block.
_BLOCK_DEVICES = (
    _Disk(r"nvme[0-9]+", ("0108",), (), "an NVMe drive"),
    _Disk(r"(sd[a-z]|sr[0-9]|scd)", _SCSI, _VIRTIO_SCSI, "a disk behind a SATA, SCSI or USB controller"),
    _Disk(r"hd[a-z]", ("0101",), (), "a disk behind an IDE controller"),
    _Disk(r"vd[a-z]", (), _VIRTIO_DISKS, "a virtio disk"),
    _Disk(r"xvd[a-z]", (), (), "a disk of Xen"),
    _Disk(r"mmcblk[0-9]", ("0805",), (), "a card in an SD or eMMC host"),
    _Disk(r"(md|dm-|mapper/|bcache|disk/)", _ANY, _VIRTIO, "on a disk"),
    _Disk(r"(nfs$|nbd)", _NETWORK, (), "on the network, by a network card"),
)
_ON_A_DISK = _Disk("", _ANY, _VIRTIO, "on a disk")
_ON_THE_NETWORK = _Disk("", _NETWORK, (), "on the network, by a network card")

# What only an initial RAM disk can look up: the kernel knows PARTUUID=, PARTLABEL=, /dev/NAME and numbers
# (block/early-lookup.c).
_FOR_AN_INITRD = r"(UUID|LABEL)=|/dev/[^/]+/|/dev/dm-|ZFS=|zfs[:=]"
_BY_TAG = r"(PART)?(UUID|LABEL)="
_SHARED = ("virtiofs", "9p")


def _mute(it: Situation) -> Iterator[Diagnostic]:
    kernel, cmdline = it.files.kernel, cmdline_of(it.spec, it.files)
    if not isinstance(kernel, BootFile) or kernel.entry is None or not (kernel.linux or kernel.kind == "bzimage"):
        return
    consoles = values(cmdline, "console")
    if any(re.fullmatch(_SERIAL, one) for one in consoles) or (consoles and consoles[-1] in _SILENT) or _keeps(cmdline):
        return
    if any(re.fullmatch(_SCREEN, one) for one in consoles) and any(_is_display(one) for one in it.passing.functions):
        return
    has = f"not {' or '.join(consoles)}" if consoles else "the command line has no console="
    fact = f"nothing will be seen of the guest: its console is the serial port ttyS0, and {has}"
    help_ = ("add `console=ttyS0` to `boot.cmdline`, if the kernel has not got it built in",)
    yield Diagnostic("W433", fact, _CMDLINE, help=help_)


def _keeps(cmdline: str) -> bool:
    """An early console on the serial port that is told to stay."""
    early = [one.split(",") for one in values(cmdline, "earlyprintk")]
    return any("keep" in words and words[0] in ("serial", "ttyS0") for words in early)


def _is_display(function: PciFunction) -> bool:
    return is_kind(function, "display")


def _rootless(it: Situation) -> Iterator[Diagnostic]:
    kernel = it.files.kernel
    if not isinstance(kernel, BootFile) or kernel.entry is None or not (kernel.linux or kernel.kind == "bzimage"):
        return
    found = dict(parameters(cmdline_of(it.spec, it.files)))
    root = found.get("root", "")
    if root:
        yield from _root(root, found, it)
    elif kernel.linux and not has_initrd(it.spec, it.files) and not found.keys() & {"rdinit", "root", "nfsroot"}:
        fact = "the guest has no root: the command line has no root=, and there is no `boot.initrd`"
        help_ = (
            "add `root=` with its disk, as in `root=/dev/nvme0n1p2` or `root=/dev/vda1`, or name an initial RAM disk",
            "a kernel with an initramfs built in needs neither",
        )
        yield Diagnostic("W435", fact, _CMDLINE, help=help_)


def _root(root: str, found: dict[str, str], it: Situation) -> Iterator[Diagnostic]:
    if any(choice.function is None for choice in it.passing.choices):
        return  # what it would be is not known
    if not has_initrd(it.spec, it.files) and re.match(_FOR_AN_INITRD, root):
        fact = f"the kernel cannot find root={root} by itself: an initial RAM disk does that, and there is none"
        help_ = ("name the distribution's as `boot.initrd`, or write `root=` with PARTUUID= or a name such as "
                 "/dev/nvme0n1p2",)  # fmt: skip
        yield Diagnostic("W434", fact, _CMDLINE, help=help_)
    elif (kind := found.get("rootfstype")) in _SHARED:
        yield from _shared(root, str(kind), it)
    elif (disk := _disk(root)) and not _can_be(disk, it):
        fact = f"root={root} is {disk.what}, and nothing that the spec gives the guest can be that"
        yield Diagnostic("W434", fact, _CMDLINE, help=(_way_out(it),))
    elif (letter := re.match(r"/dev/vd([a-z])(?![a-z])", root)) and ord(letter[1]) - ord("a") >= _virtio_disks(it):
        disks = _virtio_disks(it)
        fact = f"root={root} is a virtio disk that is not there: the guest has {disks} of them"
        yield Diagnostic("W434", fact, _CMDLINE, help=(_way_out(it),))


def _shared(root: str, kind: str, it: Situation) -> Iterator[Diagnostic]:
    """virtiofs is mounted by its tag; 9p nobody serves."""
    if kind == "9p":
        fact = f"root={root} is a folder of the host by 9p, and vmlaunch shares by virtiofs"
        yield Diagnostic(
            "W434", fact, _CMDLINE, help=("write `rootfstype=virtiofs`, and `root=` with the share's key",)
        )
    elif root not in it.spec.shares:
        fact = f"root={root} is a folder of the host (virtiofs), and `shares` has none of that name"
        yield Diagnostic("W434", fact, _CMDLINE, help=(f"add it: `shares: {{{root}: ./root}}`",))


def _disk(root: str) -> _Disk | None:
    if re.match(_BY_TAG, root):
        return _ON_A_DISK
    if root.startswith(("nfs:", "nfs4:", "nbd:", "iscsi:", "cifs:", "//")):
        return _ON_THE_NETWORK
    name = root.removeprefix("/dev/")
    return next((one for one in _BLOCK_DEVICES if root != name and re.match(one.name, name)), None)


def _can_be(disk: _Disk, it: Situation) -> bool:
    """A network card brings disks, too, once an initial RAM disk has logged in (iSCSI, NVMe over fabrics, NBD)."""
    remote = _NETWORK if has_initrd(it.spec, it.files) and disk.classes else ()
    classes = (*disk.classes, *remote)
    if it.spec.disks and disk.ids and set(_VIRTIO_DISKS) <= {*disk.ids}:
        return True
    if it.spec.nics and {*_NETWORK} <= {*classes}:
        return True
    return any(one.class_code.startswith(classes) or one.id in disk.ids for one in it.passing.functions)


def _virtio_disks(it: Situation) -> int:
    return len(it.spec.disks) + sum(one.id in _VIRTIO for one in it.passing.functions)


def _way_out(it: Situation) -> str:
    drives = [one for one in it.passing.functions if one.class_code.startswith("0108")]
    if drives:
        return "the NVMe drive that is passed is /dev/nvme0n1 to the guest, its partitions /dev/nvme0n1p1 and so on"
    if it.spec.disks:
        return "the first of `disks` is /dev/vda to the guest, its partitions /dev/vda1 and so on, the next is /dev/vdb"
    return "give it by `disks:`, the first of which is /dev/vda, or pass the drive or its controller by `devices:`"


RULES: tuple[Rule, ...] = (Rule("policy", _mute), Rule("policy", _rootless))
