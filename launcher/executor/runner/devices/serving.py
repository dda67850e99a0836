"""Who works on a virtio function's queues, kernel or process: told of memory, queues and eventfds, in their order.

None of the calls is made per request: an engine sees the driver's notifications and fires its interrupts by eventfds.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from launcher.kernel.api import MemoryPart, RingPlace, Tap, Vhost, VhostUser
from launcher.kernel.vhost_user import CONFIG, MQ
from launcher.machine.virtio import EVENT_IDX, INDIRECT_DESC, VERSION_1
from launcher.plan.virtio import Virtio
from launcher.row import NamedTuple
from launcher.typed import Protocol

NO_EVENT = -1
PATIENCE, TICK = 10.0, 0.0005  # seconds for requests in flight when a driver resets its disk, and between two looks

CSUM, GUEST_CSUM, MTU, MAC, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, HOST_TSO4, HOST_TSO6, HOST_ECN, MRG_RXBUF, STATUS = (
    *(0, 1, 3, 5, 7, 8, 9, 11, 12, 13, 15, 16),
)
OF_TAPS = (CSUM, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, HOST_TSO4, HOST_TSO6, HOST_ECN)
OF_VHOST_NET = (MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1)
LINK_UP = 1
READ_ONLY = 5  # of blk
BLK_CONFIG, BLK_QUEUES_AT = 60, 34  # bytes of struct virtio_blk_config that every engine answers, and num_queues in it


class Wired(NamedTuple):
    """A queue and its eventfds."""

    place: RingPlace
    kick: int
    call: int


class Engine(Protocol):
    """`features`, `queues` and `config` are what the guest is offered."""

    features: int
    queues: int
    config: bytes

    def start(self, features: int, rings: Sequence[Wired]) -> None:
        """The driver is ready. OSError: the engine is not, and touches nothing."""

    def set_call(self, number: int, event: int) -> None:
        """Of a queue that was started: its interrupts go there from now on."""

    def stop(self, numbers: Sequence[int]) -> None:
        """Those queues that were started. Nothing of them is touched when this returns."""


class VhostNet:
    """Frames between a tap and the guest, in the kernel."""

    def __init__(self, step: Virtio, vhost: Vhost, tap: Tap, memory: Sequence[MemoryPart]) -> None:
        self._vhost, self._tap = vhost, tap
        vhost.set_owner()
        vhost.set_memory(memory)
        own = vhost.features() & _bits(OF_VHOST_NET)
        self.features = own | _bits((*OF_TAPS, MAC, STATUS, *(() if step.mtu is None else (MTU,))))
        self.queues, self.config = 2, net_config(step)

    def start(self, features: int, rings: Sequence[Wired]) -> None:
        self._vhost.set_features(features & _bits(OF_VHOST_NET))
        self._tap.set_offloads(
            checksum=bool(features >> GUEST_CSUM & 1),
            tso4=bool(features >> GUEST_TSO4 & 1),
            tso6=bool(features >> GUEST_TSO6 & 1),
            ecn=bool(features >> GUEST_ECN & 1),
        )
        _wire(self._vhost, rings)
        for one in rings:
            self._vhost.set_backend(one.place.number, self._tap.fd)

    def set_call(self, number: int, event: int) -> None:
        self._vhost.set_call(number, event)

    def stop(self, numbers: Sequence[int]) -> None:
        """What fails does not keep the rest, and is raised."""
        with ExitStack() as all_of_them:  # last first
            for number in reversed(numbers):
                all_of_them.callback(self._vhost.set_backend, number, NO_EVENT)


class VhostVsock:
    """Sockets between the host and the guest, in the kernel. The third queue, of events, has none: migration is not."""

    def __init__(self, step: Virtio, vhost: Vhost, memory: Sequence[MemoryPart]) -> None:
        assert step.cid is not None
        self._vhost = vhost
        vhost.set_owner()
        vhost.set_memory(memory)
        vhost.set_cid(step.cid)
        self.features = vhost.features()
        self.queues, self.config = 3, step.cid.to_bytes(8, "little")

    def start(self, features: int, rings: Sequence[Wired]) -> None:
        self._vhost.set_features(features)
        _wire(self._vhost, [one for one in rings if one.place.number < 2])
        self._vhost.set_running(running=True)

    def set_call(self, number: int, event: int) -> None:
        if number < 2:
            self._vhost.set_call(number, event)

    def stop(self, _: Sequence[int]) -> None:
        self._vhost.set_running(running=False)


class UserEngine:
    """A process at the other end of a socket. It is told of guest memory once, when a driver first starts. `ends`: the
    VM does, and nobody has its memory after it."""

    def __init__(
        self,
        step: Virtio,
        session: VhostUser,
        memory: Sequence[MemoryPart],
        ends: Callable[[], bool] = lambda: False,
    ) -> None:
        self.session, self._memory, self._ends = session, memory, ends
        self._told = False
        self._finishes = step.kind == "blk"  # buffers of a NIC wait for frames; shares are served in order
        self._patience = PATIENCE
        self._rings: dict[int, Wired] = {}
        self._own = session.begin(1 << MQ | (1 << CONFIG if step.kind == "blk" else 0))
        if step.kind == "blk" and step.readonly and not self._own >> READ_ONLY & 1:
            raise OSError(errno.EROFS, "the disk is to be read only, and the engine lets it be written", "GET_FEATURES")
        # A NIC's configuration is ours, and what of it there is.
        ours = (MAC, STATUS, *(() if step.mtu is None else (MTU,))) if step.kind == "net" else ()
        self.features = self._own | _bits(ours)
        self.queues = _queues(step, session)
        self.config = CONFIGS[step.kind](step, session)

    def start(self, features: int, rings: Sequence[Wired]) -> None:
        self._rings = {one.place.number: one for one in rings}
        self.session.set_features(features & self._own)
        if not self._told:
            self.session.set_memory(self._memory)
            self._told = True
        _wire(self.session, rings)
        for one in rings:
            self.session.enable(one.place.number)

    def set_call(self, number: int, event: int) -> None:
        self.session.set_call(number, event)

    def stop(self, numbers: Sequence[int]) -> None:
        """A disk's requests come back first: what is late would be written into what is somebody else's memory by then.
        Engines drop those that make no sense: who was waited for in vain is not waited for again, until all have come
        back once."""
        if self._finishes and not self._ends():
            self._patience = PATIENCE if self._finish([self._rings[number] for number in numbers]) else 0.0
        for number in numbers:
            self.session.stop(number)

    def _finish(self, rings: Sequence[Wired]) -> bool:
        """A driver may have offered what it has not told."""
        busy = self._busy(rings)
        for one in busy:
            with suppress(OSError):  # it is full of notifications
                os.eventfd_write(one.kick, 1)
        until = time.monotonic() + self._patience
        while busy and not self._ends() and time.monotonic() < until and not self.session.take():
            time.sleep(TICK)
            busy = self._busy(busy)
        return not busy

    def _busy(self, rings: Sequence[Wired]) -> list[Wired]:
        """Not one with more requests than it has places: a kernel that another has started (kexec) finds a disk that
        runs, and may have written over its rings. An engine that looks into those then hangs up."""
        return [one for one in rings if 0 < self.session.unanswered(one.place) <= one.place.size]


def _wire(to: Vhost | VhostUser, rings: Sequence[Wired]) -> None:
    for one in rings:
        to.set_ring(one.place)
        to.set_call(one.place.number, one.call)
        to.set_kick(one.place.number, one.kick)


def _bits(numbers: Sequence[int]) -> int:
    return sum(1 << one for one in numbers)


def _queues(step: Virtio, session: VhostUser) -> int:
    """As many as planned, or as the engine has: a NIC has two for each pair, a share one more for what is urgent."""
    planned = {"net": 2 * step.queues, "fs": step.queues + 1}.get(step.kind, step.queues)
    if step.kind == "fs":  # virtiofsd has as many as its configuration says, and no number to ask for
        return planned
    return max(min(planned, session.queues()), 1) if step.kind == "blk" else planned


def net_config(step: Virtio) -> bytes:
    """struct virtio_net_config: MAC, status, pairs of queues, MTU."""
    mac = bytes.fromhex((step.mac or "").replace(":", ""))
    return struct.pack("<6sHHH", mac, LINK_UP, 1, step.mtu or 0)


def _blk_config(step: Virtio, session: VhostUser) -> bytes:
    config = bytearray(session.config(BLK_CONFIG))
    struct.pack_into("<H", config, BLK_QUEUES_AT, min(step.queues, session.queues()))
    return bytes(config)


def _fs_config(step: Virtio, _: VhostUser) -> bytes:
    """struct virtio_fs_config: the tag, request queues."""
    return struct.pack("<36sI", step.alias.encode(), step.queues)


CONFIGS = {
    "net": lambda step, _: net_config(step),
    "blk": _blk_config,
    "fs": _fs_config,
}
