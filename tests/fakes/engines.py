"""Engines of virtio functions in the fake kernel: their calls in the order that the real ones want, or an error."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from launcher.kernel.api import MemoryPart, RingPlace
from tests.fakes.handle import refuse

if TYPE_CHECKING:
    from tests.fakes.kernel import FakeKernel

BLK_FEATURES, NET_FEATURES = 0x1_7500_7E46, 0x1_3000_8000
CAPACITY = 2048  # sectors


class FakeEngine:
    """What vhost and vhost-user have in common. `running`: the queues that are worked on. It outlives VMs."""

    def __init__(self, kernel: FakeKernel, features: int) -> None:
        self.kernel, self.closed = kernel, False
        self.fd, self._woken = os.pipe()  # readable when it has gone
        self.offered = features
        self.memory: tuple[MemoryPart, ...] = ()
        self.taken = 0  # features
        self.rings: dict[int, RingPlace] = {}
        self.calls: dict[int, int] = {}
        self.kicks: dict[int, int] = {}
        self.running: set[int] = set()
        self.refuses = ""  # the call that it refuses
        self.gone = False
        kernel.engines.append(self)

    def call(self, name: str) -> None:
        self.kernel.call(name)
        if name == self.refuses:
            refuse(errno.EPROTO, name)

    def set_features(self, features: int) -> None:
        self.call("SET_FEATURES")
        assert not self.running
        if features & ~self.offered:
            refuse(errno.EOPNOTSUPP, "SET_FEATURES")
        self.taken = features

    def set_memory(self, parts: Sequence[MemoryPart]) -> None:
        self.call("SET_MEM_TABLE")
        assert not self.memory
        self.memory = tuple(parts)

    def set_ring(self, ring: RingPlace) -> None:
        self.call("SET_VRING_ADDR")
        assert ring.number not in self.running
        assert self.memory
        for place in (ring.descriptors, ring.driver, ring.device):
            assert any(one.address <= place < one.address + one.size for one in self.memory)
        self.rings[ring.number] = ring

    def set_kick(self, number: int, event: int) -> None:
        self.call("SET_VRING_KICK")
        assert event in {one.fd for one in self.kernel.eventfds}
        self.kicks[number] = event

    def set_call(self, number: int, event: int) -> None:
        self.call("SET_VRING_CALL")
        assert event in {-1, *(one.fd for one in self.kernel.eventfds)}
        self.calls[number] = event

    def interrupt(self, number: int) -> None:
        """As the engine does when it has used buffers of the queue."""
        assert number in self.running
        if self.calls[number] >= 0:
            self.kernel.fire(self.calls[number])

    def end(self) -> None:
        """The process has died."""
        self.gone = True
        os.write(self._woken, b"!")

    def take(self) -> bool:
        return self.gone

    def close(self) -> None:
        if self.running:
            self.kernel.untidy.append(f"{type(self).__name__} closed while it works on queues")
        if not self.closed:
            os.close(self.fd)
            os.close(self._woken)
        self.closed = True


class FakeVhost(FakeEngine):
    def __init__(self, kernel: FakeKernel, kind: str) -> None:
        super().__init__(kernel, NET_FEATURES)
        self.kind = kind
        self.owned = False

    def set_owner(self) -> None:
        self.call("VHOST_SET_OWNER")
        self.owned = True

    def features(self) -> int:
        self.call("VHOST_GET_FEATURES")
        return self.offered

    def set_features(self, features: int) -> None:
        self.call("VHOST_SET_FEATURES")
        assert self.owned
        if features & ~self.offered:
            refuse(errno.EOPNOTSUPP, "VHOST_SET_FEATURES")

    def set_backend(self, number: int, tap: int) -> None:
        self.call("VHOST_NET_SET_BACKEND")
        if tap >= 0:
            assert number in self.rings
            self.running.add(number)
        else:
            self.running.discard(number)

    def set_cid(self, cid: int) -> None:
        self.call("VHOST_VSOCK_SET_GUEST_CID")
        if cid in self.kernel.taken_cids:
            refuse(errno.EADDRINUSE, "VHOST_VSOCK_SET_GUEST_CID")

    def set_running(self, *, running: bool) -> None:
        self.call("VHOST_VSOCK_SET_RUNNING")
        self.running = set(self.rings) if running else set()


class FakeTap:
    def __init__(self, kernel: FakeKernel) -> None:
        self.kernel, self.fd = kernel, 1 << 19
        self.offloads: dict[str, bool] = {}

    def set_offloads(self, **wanted: bool) -> None:
        self.kernel.call("TUNSETOFFLOAD")
        self.offloads = wanted


class FakeVhostUser(FakeEngine):
    """`in_flight`: looks until its requests have come back; its memory is none that could be read. `nonsense`: what its
    ring says in place of that."""

    in_flight = looks = nonsense = 0

    def begin(self, wanted: int) -> int:
        self.call("GET_FEATURES")
        return self.offered

    def queues(self) -> int:
        return 4

    def config(self, size: int) -> bytes:
        self.call("GET_CONFIG")
        return CAPACITY.to_bytes(8, "little").ljust(size, b"\0")

    def set_memory(self, parts: Sequence[MemoryPart]) -> None:
        assert all(one.file is not None for one in parts)
        super().set_memory(parts)

    def enable(self, number: int) -> None:
        self.call("SET_VRING_ENABLE")
        assert number in self.rings
        self.running.add(number)

    def unanswered(self, ring: RingPlace) -> int:
        self.in_flight = max(0, self.in_flight - 1)
        self.looks += 1
        return self.nonsense or min(self.in_flight, ring.size)

    def stop(self, number: int) -> None:
        self.call("GET_VRING_BASE")
        self.running.discard(number)
