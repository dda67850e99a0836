"""Disks, networks, shares and vsock: the steps that start who serves them, and the one that puts them on the bus.

The keeper starts an engine, or opens a tap; the runner has its end by the alias. Pure.
"""

from __future__ import annotations

from launcher.plan.seed import StartSeedEngine
from launcher.plan.step import Step
from launcher.record import record
from launcher.typed import TYPE_CHECKING, Literal
from launcher.values import Hex, PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ImageFormat = Literal["raw", "qcow2"]


@record
class Image:
    """A file or block device that an engine opens. `identity` was its `device:inode` when the plan was made."""

    path: str
    format: ImageFormat
    identity: str


@record
class ServedDisk:
    """`images`: what the guest sees, then what that is based on, each on the next; only the first is written."""

    alias: str
    images: tuple[Image, ...]
    readonly: bool
    discard: bool
    queues: int


@record
class StartDiskEngine(Step):
    """One qemu-storage-daemon for all disks whose images belong to `uid`; it runs as that user and that group.

    `maps`: bytes of guest memory that it maps for each of them.
    """

    op = "start-disk-engine"
    by = "keeper"
    undo = "ended"
    program: str
    uid: int
    gid: int
    disks: tuple[ServedDisk, ...]
    maps: int

    def describe(self) -> str:
        served = ", ".join(f"{one.alias} ({one.images[0].path})" for one in self.disks)
        return f"start qemu-storage-daemon as uid {self.uid} for {served}"


@record
class StartShareEngine(Step):
    """A virtiofsd for one folder. In the guest, root is `uid`. `maps`: bytes of guest memory."""

    op = "start-share-engine"
    by = "keeper"
    undo = "ended"
    program: str
    kind: Literal["c", "rust"]  # their command lines differ
    alias: str
    path: str
    identity: str
    readonly: bool
    uid: int
    gid: int
    maps: int

    def describe(self) -> str:
        return (
            f"start virtiofsd as uid {self.uid} for {self.alias} ({self.path}{', read-only' if self.readonly else ''})"
        )

    @property
    def device(self) -> str:
        return self.alias


@record
class StartUserNetwork(Step):
    """A passt for one NIC: the guest reaches what this host's user reaches, and nobody reaches the guest.

    It runs as `uid`; None, of root's VM: as a user that no other VM has. `maps`: bytes of guest memory.
    """

    op = "start-user-network"
    by = "keeper"
    undo = "ended"
    program: str
    alias: str
    uid: int | None
    gid: int | None
    maps: int

    @property
    def user(self) -> str:
        return "a uid of its own" if self.uid is None else f"uid {self.uid}"

    def describe(self) -> str:
        return f"start passt as {self.user} for {self.alias}"

    @property
    def device(self) -> str:
        return self.alias


@record
class MakeTap(Step):
    """A tap of ours that joins a bridge; the kernel removes it when nobody has it open any more."""

    op = "make-tap"
    by = "keeper"
    mark = "~"
    undo = "removed"
    alias: str
    tap: str
    bridge: str
    mtu: int

    def describe(self) -> str:
        return f"make tap {self.tap} for {self.alias}, in bridge {self.bridge}"

    @property
    def device(self) -> str:
        return self.alias


@record
class OpenTap(Step):
    """A tap that is there already."""

    op = "open-tap"
    by = "keeper"
    undo = "closed"
    alias: str
    tap: str

    def describe(self) -> str:
        return f"open tap {self.tap} for {self.alias}"

    @property
    def device(self) -> str:
        return self.alias


@record
class ConnectEngine(Step):
    """Somebody else's engine listens at this socket, whose `device:inode` was `identity` when the plan was made."""

    op = "connect-engine"
    by = "keeper"
    undo = "closed"
    alias: str
    socket: str
    identity: str

    def describe(self) -> str:
        return f"connect to the engine at {self.socket} for {self.alias}"

    @property
    def device(self) -> str:
        return self.alias


@record
class Virtio:
    """A virtio function of the guest and who works on its queues.

    `engine` is vhost-net or vhost-vsock of the kernel, or vhost-user: a process at the other end of a socket. `bar` is
    where its one BAR is first. `queues`: pairs of a net, request queues of a blk and fs. `cid` is that of a vsock.
    """

    alias: str
    kind: Literal["net", "blk", "fs", "vsock"]
    engine: Literal["vhost-net", "vhost-vsock", "vhost-user"]
    guest: PciAddress
    bar: Hex
    queues: int
    readonly: bool = False
    mac: str | None = None
    mtu: int | None = None
    cid: int | None = None


@record
class AddVirtio(Step):
    """Put the virtio functions into the guest's slots, and tell their engines of its memory when its drivers start."""

    op = "add-virtio"
    undo = "with the VM"
    functions: tuple[Virtio, ...]

    def describe(self) -> str:
        served = ", ".join(f"{one.alias} at {one.guest.guest}" for one in self.functions)
        return f"give the guest {served} by virtio"


def aliases_served(step: Step) -> tuple[str, ...]:
    """Those whose functions a step of the keeper brings an engine, or a tap."""
    if isinstance(step, StartDiskEngine):
        return tuple(one.alias for one in step.disks)
    if isinstance(step, (StartShareEngine, StartUserNetwork, StartSeedEngine, MakeTap, OpenTap, ConnectEngine)):
        return (step.alias,)
    return ()


def images_of(steps: Iterable[Step]) -> Iterator[Image]:
    """Of all disks that engines of ours serve, and what they are based on."""
    for step in steps:
        for disk in step.disks if isinstance(step, StartDiskEngine) else ():
            yield from disk.images


def written_images(steps: Iterable[Step]) -> dict[str, bool]:
    """Identity -> whether it is written: by one of the disks that have it is enough."""
    found: dict[str, bool] = {}
    for step in steps:
        for disk in step.disks if isinstance(step, StartDiskEngine) else ():
            for number, image in enumerate(disk.images):
                found[image.identity] = found.get(image.identity, False) or (number == 0 and not disk.readonly)
    return found
