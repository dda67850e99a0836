"""A virtio function whose engine is slow: who wants something else of it does not wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from threading import Thread

import pytest

from launcher.executor.runner.devices import serving
from launcher.executor.runner.devices.service import Kicks, VirtioService
from launcher.executor.runner.devices.serving import NO_EVENT, UserEngine, VhostNet, Wired
from launcher.kernel.api import MemoryPart, RingPlace
from launcher.kernel.virtio import VirtioRegisters
from launcher.machine.virtio_config import FIRST_DEVICE, VENDOR, VirtioConfig
from launcher.plan.virtio import Virtio
from launcher.values import PciAddress
from tests.fakes.engines import FakeTap, FakeVhost, FakeVhostUser
from tests.fakes.kernel import FakeKernel
from tests.fakes.kvm import FakeVm

PATIENCE = 20.0


def disk(kernel: FakeKernel, queues: int = 1, memory: tuple[MemoryPart, ...] = ()) -> VirtioService:
    root = Virtio("root", "blk", "vhost-user", PciAddress(0, 0, 1, 0), 0xC000_0000, queues)
    engine = UserEngine(root, FakeVhostUser(kernel, 1 << 32), memory)
    registers = VirtioRegisters(engine.features, engine.queues, engine.config)
    config = VirtioConfig("blk", registers.vectors)
    return VirtioService(config, registers, engine, Kicks(FakeVm(kernel), ()), memory, print)


def test_configuration_space_is_read_and_written_while_an_engine_is_waited_for() -> None:
    """Whoever waits here has the lock of the bus, for which every other function waits then."""
    service = disk(FakeKernel())
    read: list[bytes] = []

    def look() -> None:
        service.write_config(4, b"\x06\0")
        read.append(service.read_config(0, 4))

    with service._lock:  # as while an engine is told of a start, or drains at a reset
        looking = Thread(target=look, daemon=True)
        looking.start()
        looking.join(PATIENCE)
        assert read == [VENDOR.to_bytes(2, "little") + (FIRST_DEVICE + 2).to_bytes(2, "little")]


def test_a_queue_that_cannot_be_stopped_keeps_no_other_running() -> None:
    kernel = FakeKernel()
    vhost, memory = FakeVhost(kernel, "net"), (MemoryPart(0, 1 << 20, 0x1000_0000, None, 0),)
    lan = Virtio("lan", "net", "vhost-net", PciAddress(0, 0, 2, 0), 0xC000_0000, 1, mac="52:54:00:00:00:01")
    engine = VhostNet(lan, vhost, FakeTap(kernel), memory)
    with closing(kernel.eventfd()) as kick:
        places = [RingPlace(n, 256, *(0x1000_0000,) * 3) for n in range(engine.queues)]
        engine.start(0, [Wired(place, kick.fd, -1) for place in places])
        kernel.fail_at = len(kernel.calls) + 1
        with pytest.raises(OSError, match="VHOST_NET_SET_BACKEND"):
            engine.stop((0, 1))
    assert vhost.running == {0}


def test_an_engine_hears_of_vectors_when_the_bus_is_free_again() -> None:
    """Who is alone with a function takes the bus's lock inside, and an engine may be slow to answer."""
    kernel = FakeKernel()
    service = disk(kernel)
    service.write(0x1A, b"\0\0")  # the vector of its queue
    service._calls = {0: NO_EVENT}  # as once it was started
    with closing(kernel.eventfd()) as event:
        with service.alone():
            service.set_irq_events("msix", 0, (event.fd,))
            assert "SET_VRING_CALL" not in kernel.calls
        assert (kernel.calls.count("SET_VRING_CALL"), service._calls) == (1, {0: event.fd})


def test_queues_that_a_driver_left_alone_are_not_counted_when_it_has_stopped() -> None:
    """A guest of one processor takes one queue of four."""
    kernel = FakeKernel()
    service = disk(kernel, 4, (MemoryPart(0, 1 << 20, 0x1000_0000, 3, 0),))
    assert service.queues == 4
    with closing(kernel.eventfd()) as kick:
        service.kicks.events = (kick,)
        service.registers.rings = lambda: iter([(0, 256, 0, 0, 0)])  # type: ignore[method-assign]
        service._start(0)
        service._stop()
    assert service.queues == 1


def started(
    kernel: FakeKernel, kind: str = "blk", ends: Callable[[], bool] = lambda: False
) -> tuple[UserEngine, FakeVhostUser]:
    memory = (MemoryPart(0, 1 << 20, 0x1000_0000, 3, 0),)
    session = FakeVhostUser(kernel, 1 << 32)
    step = Virtio("root", kind, "vhost-user", PciAddress(0, 0, 1, 0), 0xC000_0000, 1)
    engine = UserEngine(step, session, memory, ends)
    engine.start(0, [Wired(RingPlace(0, 256, *(0x1000_0000,) * 3), kernel.eventfd().fd, NO_EVENT)])
    return engine, session


def test_a_disk_has_no_request_in_flight_when_its_queue_stops() -> None:
    """A driver may have offered what it has not told: its queue is kicked."""
    kernel = FakeKernel()
    engine, session = started(kernel)
    session.in_flight = 5
    engine.stop((0,))
    assert (session.in_flight, session.running) == (0, set())
    assert kernel.eventfds[0].take()


def test_requests_that_never_come_back_are_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 0.05)
    engine, session = started(FakeKernel())
    for looks in (2, 1):
        session.in_flight, session.looks = 1 << 30, 0
        engine.stop((0,))
        assert session.looks >= looks
    assert session.looks == 1


def test_one_that_was_waited_for_in_vain_and_then_was_in_order_is_waited_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its storage stood still for a while."""
    monkeypatch.setattr(serving, "PATIENCE", 0.05)
    engine, session = started(FakeKernel())
    session.in_flight = 1 << 30
    engine.stop((0,))
    session.in_flight = 0
    engine.stop((0,))
    session.in_flight = 3
    engine.stop((0,))
    assert session.in_flight == 0


def test_a_ring_that_is_somebody_elses_memory_by_then_is_neither_waited_for_nor_kicked() -> None:
    kernel = FakeKernel()
    engine, session = started(kernel)
    session.nonsense = 257
    engine.stop((0,))
    assert (session.looks, session.running) == (1, set())
    assert not kernel.eventfds[0].take()


def test_nobody_is_waited_for_when_the_vm_ends() -> None:
    """Not even who is waited for by then: his keeper gives the runner ten seconds for all of its disks."""
    ending = iter((False, False, False, True))
    engine, session = started(FakeKernel(), ends=lambda: next(ending))
    session.in_flight = 1 << 30
    engine.stop((0,))
    assert session.looks == 3
    ended, session = started(FakeKernel(), ends=lambda: True)
    session.in_flight = 1 << 30
    ended.stop((0,))
    assert (session.looks, session.running) == (0, set())


def test_an_engine_that_has_gone_is_not_waited_for() -> None:
    engine, session = started(FakeKernel())
    session.in_flight = 1 << 30
    session.end()
    engine.stop((0,))
    assert session.looks == 1


def test_buffers_of_a_share_may_stay() -> None:
    engine, session = started(FakeKernel(), "fs")
    session.in_flight = 1 << 30
    engine.stop((0,))
    assert session.looks == 0
