"""What is known of the files behind disks, shares and sockets of others, as values. Pure."""

from __future__ import annotations

from launcher.record import record
from launcher.typed import Literal
from launcher.values import PciAddress

# File systems whose files and folders are the kernel's own words, in no memory and on no disk.
OF_THE_KERNEL = frozenset(
    {"proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "configfs", "bpf", "efivarfs", "pstore"}
)
MOST_LINKS = 64  # of a backing chain; nobody's snapshots are that deep


@record
class Rights:
    """Who may do what with `path`: `mode` are permission bits, of which an access list (`listed`) may say more."""

    path: str
    uid: int
    gid: int
    mode: int
    listed: bool = False


@record
class Qcow2:
    """The header of a qcow2 image. `backing` is the name as it stands there; `unknown`: incompatible features.

    `problem`: why the header cannot be true.
    """

    version: int
    virtual_size: int = 0
    backing: str | None = None
    backing_format: str | None = None
    data_file: bool = False
    encrypted: bool = False
    dirty: bool = False
    corrupt: bool = False
    unknown: tuple[str, ...] = ()
    problem: str | None = None


@record
class DiskUse:
    """Something of the host's that stands on it: the words of a use of a passed device (host/facts.py Use)."""

    kind: str
    what: str
    name: str = ""


@record
class Opener:
    """A process that has it open. `command` is its comm."""

    pid: int
    command: str


# What QEMU's image locking calls permissions, in the order of their bytes (include/block/block-common.h).
Permission = Literal["read", "write", "write-unchanged", "resize"]


@record
class DiskFile:
    """A file or block device of a disk. `format` is what it is to be served as, whatever its content.

    `special`: neither file nor block device, or a file of the kernel's own. `identity` is device:inode, `number` the
    major:minor of a block device, `allocated` what the file takes of its file system, which has `free` bytes left;
    `read_only`: neither can be written, whoever asks. `function`: the PCI device that a block device is on.
    `boots`: which firmware would find a boot loader in its first sectors; None: they are not in it, or were not read.
    `taken` and `refused` are the permissions that others have locked, and that they leave to nobody; `openers` are
    known only where there is such a lock. `real`: the path without links, where it is another one.
    """

    path: str
    kind: Literal["file", "block", "directory", "special"]
    format: Literal["raw", "qcow2"]
    identity: str
    rights: Rights
    size: int = 0
    allocated: int = 0
    number: str | None = None
    content: str | None = None  # by its signature, as images/contents.py calls it
    qcow2: Qcow2 | None = None
    read_only: bool = False
    file_system: str | None = None
    free: int | None = None
    taken: tuple[Permission, ...] = ()
    refused: tuple[Permission, ...] = ()
    openers: tuple[Opener, ...] = ()
    uses: tuple[DiskUse, ...] = ()
    boots: tuple[Literal["bios", "uefi"], ...] | None = None
    function: PciAddress | None = None
    real: str | None = None

    @property
    def virtual_size(self) -> int:
        """What a guest sees of it."""
        return self.qcow2.virtual_size if self.format == "qcow2" and self.qcow2 else self.size


@record
class Broken:
    """Where a backing chain ends before its end: the image `by` names `name`, which is at `path`.

    loop: it is in the chain already. long: more than MOST_LINKS. remote: no file but a protocol of QEMU's, `nbd:`.
    unsaid: the name has no format, and the file begins as qcow2 does, which its guest may have written there itself.
    foreign: a format that is neither raw nor qcow2. Else why the file could not be read.
    """

    kind: Literal["absent", "denied", "asleep", "unreadable", "loop", "long", "remote", "unsaid", "foreign"]
    by: str
    name: str
    path: str = ""
    format: str | None = None


@record
class Disk:
    """`chain`: what the guest sees, then what that is based on, each on the next."""

    chain: tuple[DiskFile, ...]
    broken: Broken | None = None

    @property
    def top(self) -> DiskFile:
        return self.chain[0]


@record
class Folder:
    """What a share names. `other`: no directory, or one that the kernel makes up. `read_only`: its file system is
    mounted so. `real` as of a DiskFile. `above`: folders on the way to it that not everybody may pass."""

    path: str
    kind: Literal["directory", "other"]
    identity: str
    rights: Rights
    read_only: bool = False
    file_system: str | None = None
    real: str | None = None
    above: tuple[Rights, ...] = ()


@record
class Socket:
    """Where the engine of somebody else listens."""

    path: str
    kind: Literal["socket", "other"]
    rights: Rights
    identity: str = ""
