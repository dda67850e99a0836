"""virtio functions on the fake kernel: started, wired, moved, reset, rebooted; every call of it refused once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from launcher.executor.runner import runner
from launcher.kernel.api import SPACES, Event
from launcher.machine.pci import CONFIG_SIZE
from launcher.machine.virtio import BAR_SIZE, NOTIFY, TABLE
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import GiveMemory, RamRange, TakeMemory
from launcher.plan.virtio import AddVirtio, Virtio
from launcher.record import replace
from launcher.values import MIB, PciAddress
from tests.fakes.engines import FakeVhostUser
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.runner.test_runner import Run, plan_of

MEMORY, CONFIG = (next(n for n, name in SPACES.items() if name == kind) for kind in ("memory", "config"))
COMMAND, MSIX = 0x04, 0x98  # where config_space has its MSI-X capability
WINDOW = 0xC000_0000
ROOT, LAN, WORK, SOCKETS = (WINDOW + n * BAR_SIZE for n in range(4))
FUNCTIONS = (
    Virtio("root", "blk", "vhost-user", PciAddress(0, 0, 1, 0), ROOT, 1),
    Virtio("lan", "net", "vhost-net", PciAddress(0, 0, 2, 0), LAN, 1, mac="52:54:00:00:00:01"),
    Virtio("work", "fs", "vhost-user", PciAddress(0, 0, 3, 0), WORK, 1),
    Virtio("sockets", "vsock", "vhost-vsock", PciAddress(0, 0, 4, 0), SOCKETS, 1, cid=7),
)
# Refused while the guest runs or ends, these leave what they should have taken away.
GO_AWAY = ("KVM_IRQFD", "KVM_IOEVENTFD", "VHOST_NET_SET_BACKEND", "VHOST_VSOCK_SET_RUNNING", "GET_VRING_BASE")
QUEUES = {ROOT: 1, LAN: 2, WORK: 2, SOCKETS: 3}
SLOTS = {ROOT: 1, LAN: 2, WORK: 3, SOCKETS: 4}


def virtio_plan(folder: Path, functions: tuple[Virtio, ...] = FUNCTIONS) -> Plan:
    plan = plan_of(folder, vcpus=1)
    steps = []
    for step in plan.steps:
        steps.append(replace(step, shared=True) if isinstance(step, TakeMemory) else step)
        if isinstance(step, GiveMemory):
            steps.append(AddVirtio(functions))
    return replace(plan, steps=tuple(steps))


def write(address: int, value: int, size: int) -> Event:
    return Event("write", (MEMORY, address, size, value))


def config(bar: int, offset: int, value: int, size: int = 2) -> Event:
    return Event("write", (CONFIG, SLOTS[bar] * 8 * CONFIG_SIZE + offset, size, value))


def decode(bar: int) -> list[Event]:
    return [config(bar, COMMAND, 6)]


def vectors(bar: int) -> list[Event]:
    """MSI-X is on, with a vector for each queue and one for the configuration."""
    found = [config(bar, MSIX + 2, 0x8000)]
    for n in range(QUEUES[bar] + 1):
        for word, value in enumerate((0xFEE0_0000, 0, 0x40 + n, 0)):
            found.append(write(bar + TABLE + 16 * n + 4 * word, value, 4))
    return found


def driver(bar: int, *, at: int = 0x10000, size: int = 64, features: int = 1 << 32) -> list[Event]:
    """What Linux does, in its order."""
    found = [write(bar + 0x14, 0, 1), write(bar + 0x14, 3, 1)]
    for half in (0, 1):
        found += [write(bar + 0x08, half, 4), write(bar + 0x0C, features >> 32 * half & 0xFFFFFFFF, 4)]
    found += [write(bar + 0x14, 11, 1), write(bar + 0x10, 0, 2)]
    for n in range(QUEUES[bar]):
        place = at + n * 0x4000
        found += [write(bar + 0x16, n, 2), write(bar + 0x18, size, 2)]
        found += [write(bar + 0x20 + 8 * area, place + area * 0x1000, 4) for area in range(3)]
        found += [write(bar + 0x24 + 8 * area, 0, 4) for area in range(3)]
        found += [write(bar + 0x1A, n + 1, 2), write(bar + 0x1C, 1, 2)]
    return [*found, write(bar + 0x14, 15, 1)]


def guest(*more: Iterable[Event]) -> tuple[tuple[Event, ...], ...]:
    return ((*(event for events in more for event in events), Event("power-off")),)


def everything() -> list[list[Event]]:
    return [[*decode(bar), *vectors(bar), *driver(bar)] for bar in QUEUES]


def virtio(run: Run, alias: str) -> dict[str, object]:
    return next(one for one in reversed(run.all_of("virtio")) if one["alias"] == alias)


def run_of(folder: Path, *more: Iterable[Event], **kernel: object) -> Run:
    return Run(virtio_plan(folder), FakeKernel(**{"events": guest(*more)} | kernel))


def test_each_driver_starts_its_engine_and_nothing_stays(tmp_path: Path) -> None:
    run = run_of(tmp_path, *everything())
    assert run.all_of("end")[0]["how"] == "power-off"
    assert run.kernel.left() == []
    assert run.fds_after == run.fds_before
    for alias, queues in (("root", 1), ("lan", 2), ("work", 2), ("sockets", 3)):
        told = virtio(run, alias)
        assert (told["state"], told["queues"], told["starts"], told["notified"]) == ("its driver runs", queues, 1, 0)
        assert told["vectors"] == queues + 1


def test_notifications_and_interrupts_are_the_kernels(tmp_path: Path) -> None:
    """While it runs: an ioeventfd for each queue at its place, and an irqfd behind each queue's eventfd."""
    kernel = FakeKernel(events=guest(*everything()))
    seen: dict[str, object] = {}
    call = kernel.call

    def spy(name: str) -> None:
        if name == "VHOST_VSOCK_SET_RUNNING" and not seen:
            seen["places"] = sorted(kernel.ioeventfds)
            root = kernel.engines[0]
            root.interrupt(0)
            seen["delivered"] = list(kernel.delivered)
            seen["kick"] = root.kicks[0] == kernel.ioeventfds[ROOT + NOTIFY]
        call(name)

    kernel.call = spy  # type: ignore[method-assign]
    Run(virtio_plan(tmp_path), kernel)
    assert seen["places"] == [bar + NOTIFY + 4 * n for bar, count in QUEUES.items() for n in range(count)]
    assert len(seen["delivered"]) == 1  # type: ignore[arg-type]
    assert seen["kick"]


def test_the_order_of_a_start_is_what_engines_want(tmp_path: Path) -> None:
    one = (FUNCTIONS[0],)
    run = Run(virtio_plan(tmp_path, one), FakeKernel(events=guest(decode(ROOT), vectors(ROOT), driver(ROOT))))
    order = [name for name in run.kernel.calls if name.startswith(("SET_", "GET_VRING"))]
    assert order == [
        "SET_FEATURES", "SET_MEM_TABLE", "SET_VRING_ADDR", "SET_VRING_CALL", "SET_VRING_KICK", "SET_VRING_ENABLE",
        "GET_VRING_BASE",
    ]  # fmt: skip


def test_a_driver_that_starts_again_tells_of_memory_no_more(tmp_path: Path) -> None:
    again = [*driver(ROOT), *driver(ROOT, at=0x20000)]
    events = guest(decode(ROOT), vectors(ROOT), driver(ROOT), again)
    run = Run(virtio_plan(tmp_path, FUNCTIONS[:1]), FakeKernel(events=events))
    assert run.kernel.calls.count("SET_MEM_TABLE") == 1
    assert run.kernel.calls.count("GET_VRING_BASE") == 3
    assert virtio(run, "root")["starts"] == 3
    assert run.kernel.left() == []


def test_a_bar_that_moves_takes_its_notifications_with_it(tmp_path: Path) -> None:
    there = ROOT + 16 * BAR_SIZE
    moves = [config(ROOT, COMMAND, 0), config(ROOT, 0x10, there, 4), config(ROOT, COMMAND, 6)]
    kernel = FakeKernel(events=guest(decode(ROOT), moves))
    places: list[set[int]] = []
    call = kernel.call

    def spy(name: str) -> None:
        if name == "KVM_IOEVENTFD":
            places.append(set(kernel.ioeventfds))
        call(name)

    kernel.call = spy  # type: ignore[method-assign]
    run = Run(virtio_plan(tmp_path), kernel)
    assert {ROOT + NOTIFY} in places
    assert {there + NOTIFY} in places
    assert run.kernel.left() == []


@pytest.mark.parametrize("at", [96 * MIB, 64 * MIB - 0x200, (1 << 64) - 0x1000, 0xFEE0_0000])
def test_rings_that_are_not_in_ram_start_nothing(tmp_path: Path, at: int) -> None:
    """Outside, over the end of a range, at the end of all addresses, where the interrupts are."""
    events = [*driver(ROOT)]
    bad = [one if one.data[1] - ROOT != 0x20 else write(ROOT + 0x20, at, 8) for one in events]
    run = run_of(tmp_path, decode(ROOT), [one for one in bad if one.data[1] - ROOT != 0x24])
    assert "SET_VRING_ADDR" not in run.kernel.calls
    told = virtio(run, "root")
    assert "is not in one piece of its RAM" in str(told["state"])
    assert run.all_of("end")[0]["how"] == "power-off"
    assert run.kernel.left() == []


def test_an_engine_that_refuses_is_told_to_the_driver(tmp_path: Path) -> None:
    """It reads that the device needs a reset."""
    status = Event("read", (MEMORY, ROOT + 0x14, 1, 0))
    kernel = FakeKernel(events=guest(decode(ROOT), driver(ROOT), [status]))
    plan = virtio_plan(tmp_path)
    call = kernel.call

    def spy(name: str) -> None:
        if name == "SET_VRING_KICK":
            raise OSError(errno.EPROTO, "the engine refuses", name)
        call(name)

    kernel.call = spy  # type: ignore[method-assign]
    run = Run(plan, kernel)
    assert kernel.replies == [15 | 0x40]
    assert "the engine refuses (SET_VRING_KICK)" in str(virtio(run, "root")["state"])
    assert run.kernel.left() == []


def test_a_disk_that_is_to_be_read_only_and_is_not_has_no_engine(tmp_path: Path) -> None:
    """As that of somebody else's engine, which was not told."""
    root = replace(FUNCTIONS[0], readonly=True)
    run = Run(virtio_plan(tmp_path, (root,)), FakeKernel(events=guest()))
    assert run.problem["code"] == "E570"
    assert "root: the disk is to be read only" in run.problem["message"]
    assert run.kernel.left() == []


def test_memory_in_more_pieces_than_an_engine_takes_is_told_before_the_guest_runs(tmp_path: Path) -> None:
    def cut(step: Step) -> Step:
        if not isinstance(step, GiveMemory):
            return step
        first, *others = step.ranges
        pieces = (RamRange(first.guest + n * MIB, MIB, first.bank, first.offset + n * MIB) for n in range(8))
        rest = RamRange(first.guest + 8 * MIB, first.size - 8 * MIB, first.bank, first.offset + 8 * MIB)
        return replace(step, ranges=(*pieces, rest, *others))

    plan = virtio_plan(tmp_path, FUNCTIONS[:1])
    run = Run(replace(plan, steps=tuple(map(cut, plan.steps))), FakeKernel(events=guest()))
    assert run.problem["code"] == "E570"
    assert "pieces, and an engine takes 8" in run.problem["message"]
    assert run.kernel.left() == []


def test_a_reset_ends_though_the_engine_does_not_answer(tmp_path: Path) -> None:
    """Linux waits for a status of 0, for as long as it takes."""
    kernel = FakeKernel(events=guest(decode(ROOT), driver(ROOT), [write(ROOT + 0x14, 0, 1), status_of(ROOT)]))
    plan, call = virtio_plan(tmp_path), kernel.call

    def spy(name: str) -> None:
        if name == "GET_VRING_BASE":
            raise OSError(errno.EPROTO, "the engine did not answer for 30 s", name)
        call(name)

    kernel.call = spy  # type: ignore[method-assign]
    run = Run(plan, kernel)
    assert kernel.replies == [0]
    assert "did not answer for 30 s (GET_VRING_BASE)" in str(virtio(run, "root")["state"])


def status_of(bar: int) -> Event:
    return Event("read", (MEMORY, bar + 0x14, 1, 0))


def test_ten_thousand_starts_are_as_good_as_one(tmp_path: Path) -> None:
    toggles = [write(ROOT + 0x14, 0, 1), *driver(ROOT)] * 300
    run = run_of(tmp_path, decode(ROOT), toggles)
    assert virtio(run, "root")["starts"] == 300
    assert run.kernel.left() == []


def test_engines_stay_when_the_guest_reboots(tmp_path: Path) -> None:
    kernel = FakeKernel(
        events=((*(event for events in everything() for event in events), Event("reset")),),
        after_reset=guest(*everything()),
    )
    run = Run(virtio_plan(tmp_path), kernel, reboot=True)
    assert [one for one in run.kernel.calls if one.startswith("open /dev/vhost")] == [
        "open /dev/vhost-net",
        "open /dev/vhost-vsock",
    ]
    assert len(run.kernel.engines) == 4
    assert run.kernel.calls.count("SET_MEM_TABLE") == 4
    assert virtio(run, "root")["starts"] == 1  # in this life
    assert run.kernel.left() == []
    assert run.fds_after == run.fds_before


def test_a_disk_is_let_finish_when_the_guest_reboots_and_not_when_the_vm_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next kernel gets its memory, and after the last one nobody does."""
    monkeypatch.setattr(FakeVhostUser, "in_flight", 5)
    life = [*decode(ROOT), *vectors(ROOT), *driver(ROOT)]
    kernel = FakeKernel(events=((*life, Event("reset")),), after_reset=guest(life))
    Run(virtio_plan(tmp_path, FUNCTIONS[:1]), kernel, reboot=True)
    (engine,) = kernel.engines
    assert isinstance(engine, FakeVhostUser)
    assert (engine.in_flight, engine.looks, engine.running) == (0, 5, set())


def test_an_engine_that_has_gone_is_an_alarm_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel(events=((),))
    told: list[object] = []
    watch = runner.Runner._alarm

    def alarm(it: runner.Runner, descriptor: int) -> None:
        watch(it, descriptor)
        told.append(descriptor)
        it._live.vcpus[0].kick()
        raise runner.StopOrdered

    monkeypatch.setattr(runner.Runner, "_alarm", alarm)
    began = FakeKernel.confine_vcpu

    def confined(it: FakeKernel, *, devices: bool, virtio: bool) -> None:
        began(it, devices=devices, virtio=virtio)
        kernel.engines[0].end()

    monkeypatch.setattr(FakeKernel, "confine_vcpu", confined)
    run = Run(virtio_plan(tmp_path), kernel)
    assert run.all_of("alarm") == [{"alias": "root", "kind": "gone"}]
    assert told
    assert run.kernel.left() == []


def test_an_engine_that_has_gone_before_the_guest_is_that_alarm_and_no_failure_of_the_runner_s(tmp_path: Path) -> None:
    """Its keeper knows how it ended."""
    kernel = FakeKernel(events=guest())
    call = kernel.call

    def spy(name: str) -> None:
        if name == "GET_CONFIG":
            raise ConnectionResetError(errno.ECONNRESET, "the engine has gone", name)
        call(name)

    kernel.call = spy  # type: ignore[method-assign]
    run = Run(virtio_plan(tmp_path), kernel)
    assert run.all_of("alarm") == [{"alias": "root", "kind": "gone"}]
    assert run.all_of("failed") == []
    assert run.kernel.left() == []


def test_a_context_id_that_another_guest_has_is_refused_by_name(tmp_path: Path) -> None:
    run = run_of(tmp_path, taken_cids=(7,))
    assert run.problem["code"] == "E570"
    assert "sockets" in run.problem["message"]
    assert "VHOST_VSOCK_SET_GUEST_CID" in run.problem["message"]
    assert run.kernel.left() == []


def test_whichever_call_fails_nothing_stays_open(tmp_path: Path) -> None:
    plan = virtio_plan(tmp_path)
    events = guest(*everything())
    calls = Run(plan, FakeKernel(events=events)).kernel.calls
    assert len(calls) > 100
    for k, name in enumerate(calls, 1):
        run = Run(plan, FakeKernel(events=events, fail_at=k, error=errno.EINVAL))
        went = [one for one in run.kernel.left() if not one.startswith(("ioeventfd", "irqfd", "eventfd"))]
        assert went == [] or name in GO_AWAY, (k, name, went)
        assert run.fds_after == run.fds_before, name
        assert run.all_of("failed") or run.all_of("end"), name


def test_an_engine_that_fills_up_an_eventfd_hurts_nobody_else(tmp_path: Path) -> None:
    """A vector of its queue may be that of the configuration, too, and the guest may have masked it."""
    kernel = FakeKernel()
    call, most = kernel.call, (1 << 64) - 2

    def spy(name: str) -> None:
        if name == "SET_VRING_CALL" and kernel.engines[0].calls.get(0, -1) >= 0:
            os.eventfd_write(kernel.engines[0].calls[0], most)
            raise OSError(errno.EPROTO, "the engine refuses", name)
        call(name)

    kernel.call = spy  # type: ignore[method-assign]
    masked = [write(ROOT + TABLE + 12 + 16, 1, 4)]
    same = [write(ROOT + 0x10, 1, 2)]  # the vector of its one queue
    none = [write(ROOT + 0x1A, 0xFFFF, 2)]
    kernel.events = guest(decode(ROOT), vectors(ROOT), driver(ROOT), same, masked, none)
    run = Run(virtio_plan(tmp_path), kernel)
    assert "the engine refuses (SET_VRING_CALL)" in str(virtio(run, "root")["state"])
    assert run.all_of("end")[0]["how"] == "power-off"
