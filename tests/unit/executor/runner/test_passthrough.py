"""Passed devices on the fake kernel: set up, used by a guest, torn down; and every call of it refused once."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier
from threading import Event as ThreadEvent

import pytest

from launcher.executor.runner import closing, telling
from launcher.executor.runner.devices.passed import PassedDevice
from launcher.executor.runner.live import Numbers
from launcher.kernel.api import Event
from launcher.machine.function import MASTER, MEMORY
from launcher.machine.pci import CONFIG_SIZE
from launcher.plan.steps import BarPlace, MapDma, OpenDevices, OpenGroups
from launcher.plan.virtio import Virtio
from launcher.record import replace
from launcher.values import KIB, MIB, PciAddress
from launcher.vms.channel import Channel
from tests.fakes.device import FakeDevice
from tests.fakes.engines import FakeVhostUser
from tests.fakes.host import nvme
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import (
    COMMAND,
    CONFIG,
    DECODE,
    DRIVE_BAR,
    MSIX,
    OTHER_BAR,
    config,
    guest,
    host_of,
    passed,
    passing_plan,
)
from tests.unit.executor.runner.test_runner import Run

# What the kernel can say to each call, and whether we can do without what it was for.
NEVER, ALWAYS = False, True
ERRNOS: dict[str, tuple[tuple[int, ...], bool]] = {
    "mmap": ((errno.ENOMEM,), NEVER),
    "MADV_POPULATE_WRITE": ((errno.ENOMEM, errno.EFAULT), NEVER),
    "open /dev/vfio/vfio": ((errno.ENOENT, errno.ENODEV, errno.EACCES, errno.EMFILE), NEVER),
    "open /dev/vfio/": ((errno.ENOENT, errno.EACCES, errno.EPERM, errno.EBUSY, errno.EMFILE), NEVER),
    "VFIO_GROUP_GET_STATUS": ((errno.EINVAL,), NEVER),
    "VFIO_GROUP_SET_CONTAINER": ((errno.EPERM, errno.EBUSY), NEVER),
    "VFIO_SET_IOMMU": ((errno.EPERM, errno.ENODEV, errno.EINVAL), NEVER),
    "VFIO_IOMMU_GET_INFO": ((errno.EINVAL,), NEVER),
    "VFIO_IOMMU_MAP_DMA": (
        (errno.EINVAL, errno.EEXIST, errno.ENOMEM, errno.ENOSPC, errno.EFAULT, errno.EOVERFLOW), NEVER,
    ),
    "VFIO_GROUP_GET_DEVICE_FD": ((errno.EINVAL, errno.EACCES, errno.ENODEV, errno.EMFILE), NEVER),
    "VFIO_DEVICE_GET_INFO": ((errno.EINVAL,), ALWAYS),
    "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO": ((errno.ENODEV,), ALWAYS),
    "VFIO_DEVICE_PCI_HOT_RESET": ((errno.EINVAL,), ALWAYS),
    "mmap of a BAR": ((errno.EINVAL, errno.ENOMEM), ALWAYS),
    "pread": ((errno.EIO,), NEVER),
    "pwrite": ((errno.EIO,), NEVER),
    "eventfd": ((errno.EMFILE,), NEVER),
    "VFIO_DEVICE_SET_IRQS": ((errno.ENOSPC, errno.EBUSY, errno.EINVAL), NEVER),
    "open /dev/iommu": ((errno.ENOENT, errno.EACCES, errno.EMFILE), NEVER),
    "open /dev/vfio/devices/": ((errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE), NEVER),
    "VFIO_DEVICE_BIND_IOMMUFD": ((errno.EBUSY, errno.EPERM, errno.EINVAL), NEVER),
    "IOMMU_IOAS_ALLOC": ((errno.ENOMEM,), NEVER),
    "VFIO_DEVICE_ATTACH_IOMMUFD_PT": ((errno.ENOMEM, errno.ENODEV), NEVER),
    "IOMMU_IOAS_IOVA_RANGES": ((errno.ENOENT,), NEVER),
    "IOMMU_IOAS_MAP": ((errno.EINVAL, errno.EEXIST, errno.ENOMEM, errno.EFAULT), NEVER),
}  # fmt: skip

# Refused while the guest runs, these leave what they should have taken away.
GO_AWAY = ("VFIO_IOMMU_UNMAP_DMA", "KVM_SET_USER_MEMORY_REGION", "KVM_IRQFD", "VFIO_DEVICE_SET_IRQS")
OTHERWISE = ((errno.EPERM, errno.ENOMEM, errno.EINVAL), NEVER)  # KVM's
SILENCING = ("pread", "pwrite")  # in the teardown: VFIO does it by itself, later
TAKEN = ("VFIO_GROUP_GET_DEVICE_FD", errno.ENODEV)  # the device is named then, not the step
NAMES = {OpenGroups: "open groups 1 2 3", MapDma: "map 96 MiB", OpenDevices: "open and reset 4 devices"}


def a_kernel(**more: object) -> FakeKernel:
    return FakeKernel(**{"events": guest(), "host": host_of()} | more)


def errnos(call: str) -> tuple[tuple[int, ...], bool]:
    """Of nodes by the folder that they are in."""
    return ERRNOS.get(call) or ERRNOS.get(f"{call.rpartition('/')[0]}/", OTHERWISE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run in which nothing fails."""
    return Run(passing_plan(tmp_path_factory.mktemp("vm")), a_kernel())


def refusals(calls: list[str]) -> Iterator[tuple[int, str, int, bool]]:
    for k, name in enumerate(calls, 1):
        found, dispensable = errnos(name)
        for error in found:
            yield k, name, error, dispensable


def test_all_is_set_up_in_order_and_undone_in_reverse_and_no_call_fails(whole: Run) -> None:
    assert [n for n, state in whole.states() if state == "done"] == list(range(2, 13))
    undone = [n for n, state in whole.states() if state == "undone"]
    assert undone == [12, 7, 5, 4, 8, 6, 3, 2], "nobody who wants a device waits for VM and memory to be freed"
    assert [state for _, state in whole.states() if state in ("failed", "not-undone")] == []
    assert whole.all_of("end")[0]["how"] == "power-off"
    assert whole.kernel.left() == []
    assert whole.fds_after == whole.fds_before


def test_the_teardown_is_the_reverse_of_the_set_up(whole: Run) -> None:
    calls = whole.kernel.calls[whole.kernel.ending :]
    last = {name: len(calls) - 1 - calls[::-1].index(name) for name in calls}
    in_order = ("KVM_IRQFD", "VFIO_DEVICE_SET_IRQS", "KVM_SET_USER_MEMORY_REGION", "VFIO_DEVICE_PCI_HOT_RESET")
    assert sorted(in_order, key=last.__getitem__) == list(in_order)
    end = ["VFIO_IOMMU_UNMAP_DMA"] * 4 + ["KVM_SET_DEVICE_ATTR"] * 3 + ["VFIO_GROUP_UNSET_CONTAINER"] * 3
    assert calls[-len(end) :] == end


def test_each_function_is_reset_before_and_after_by_itself_or_with_its_neighbours(whole: Run) -> None:
    assert [one.reset_count for one in whole.kernel.host.functions] == [2, 0, 2, 2]
    states = {one["alias"]: one["state"] for one in whole.devices}
    assert states == {
        "drive": "memory on",
        "card": "ports and memory on; not reset",
        "dual": "memory on",
        "other": "memory on",
    }


def test_the_report_says_how_each_interrupts(whole: Run) -> None:
    found = {one["alias"]: (one["interrupts"], one["vectors"]) for one in whole.devices}
    assert found == {"drive": ("msix", 4), "card": ("intx", 1), "dual": ("msi", 4), "other": ("none", 0)}


def test_the_report_says_how_each_bar_is_served(whole: Run) -> None:
    found = [(bar["guest"], bar["planned"], bar["served"]) for one in whole.devices for bar in one["bars"]]
    assert found[0] == (hex(DRIVE_BAR), "split", "split")
    assert [served for _, _, served in found] == ["split", "trap", "trap", "split", "split"]
    assert found[-1][0] == hex(OTHER_BAR + 0x10000)


def test_each_byte_of_ram_is_mapped_once_in_each_container(whole: Run) -> None:
    together, apart = whole.containers
    assert (together["groups"], apart["groups"]) == ([1, 3], [2])
    for one in (together, apart):
        assert (one["ram_maps"], one["ram_bytes"]) == (2, 96 * MIB)
        assert one["peer_maps"] == 7  # one piece of the drive's BAR, two of the others'; one BAR was moved
    maps = whole.kernel.calls[: whole.kernel.running].count("VFIO_IOMMU_MAP_DMA")
    assert maps == 2 * 2
    told = [(one["done"], one["total"]) for one in whole.all_of("outcome") if one["state"] == "progress"]
    assert len([total for _, total in told if total == 192 * MIB]) == maps - 1  # the step's end says the last


def test_groups_that_fit_share_a_container(tmp_path: Path) -> None:
    run = Run(passing_plan(tmp_path), a_kernel(host=host_of(apart=())))
    (one,) = run.containers
    assert (one["groups"], one["ram_maps"]) == ([1, 2, 3], 2)
    assert run.kernel.left() == []


def test_a_group_that_does_not_fit_when_it_comes_to_it_gets_a_container_of_its_own(tmp_path: Path) -> None:
    kernel = a_kernel(host=host_of(apart=()))
    calls = Run(passing_plan(tmp_path), kernel).kernel.calls
    second = [k for k, name in enumerate(calls, 1) if name == "VFIO_GROUP_SET_CONTAINER"][1]
    kernel = a_kernel(host=host_of(apart=()), fail_at=second, error=errno.EINVAL)
    run = Run(passing_plan(tmp_path), kernel)
    assert [one["groups"] for one in run.containers] == [[1, 3], [2]]
    assert kernel.left() == []


def test_bars_that_no_peer_can_reach_are_no_matter(tmp_path: Path) -> None:
    calls = Run(passing_plan(tmp_path), a_kernel()).kernel
    maps = [k for k, name in enumerate(calls.calls, 1) if name == "VFIO_IOMMU_MAP_DMA" and k > calls.running]
    assert len(maps) == 2 * 7
    for k in maps:
        run = Run(passing_plan(tmp_path), a_kernel(fail_at=k, error=errno.EINVAL))
        assert sum(one["peer_maps"] for one in run.containers) == 13
        assert run.all_of("end")[0]["how"] == "power-off"
        assert run.kernel.left() == []
        assert {state for _, state in run.states()} == {"started", "done", "undone"}


def test_whichever_call_of_the_set_up_fails_nothing_is_left(tmp_path: Path, whole: Run) -> None:
    plan = passing_plan(tmp_path)
    calls = whole.kernel.calls[: whole.kernel.running]
    assert len(set(calls)) > 30
    for k, name, error, dispensable in refusals(calls):
        run = Run(plan, a_kernel(fail_at=k, error=error))
        told = (k, name, errno.errorcode[error])
        assert run.kernel.left() == [], told
        assert run.fds_after == run.fds_before, told
        assert "not-undone" not in {state for _, state in run.states()}, told
        if not run.all_of("failed"):
            assert dispensable or _drive_does_without_intx(run, name), told
            assert run.all_of("end")[0]["how"] == "power-off", told
            continue
        message = run.problem["message"]
        assert os.strerror(error) in message, told
        assert name in message, told
        failed = next(n for n, state in run.states() if state == "failed")
        taken = re.match(r"\w+: the host has taken \S+ back: ", message) and (name, error) == TAKEN
        assert taken or message.startswith(f"failed to {NAMES.get(type(plan.steps[failed - 1]), '')}"), told


def _drive_does_without_intx(run: Run, call: str) -> bool:
    """It has MSI-X, which does as well."""
    drive = run.devices[0]
    return call in ("VFIO_DEVICE_SET_IRQS", "KVM_IRQFD", "eventfd") and "no INTx" in drive["state"]


def test_whichever_call_fails_while_it_runs_the_guest_goes_on(tmp_path: Path, whole: Run) -> None:
    plan, kernel = passing_plan(tmp_path), whole.kernel
    for k, name, error, _ in refusals(kernel.calls[: kernel.ending]):
        if k <= kernel.running:
            continue
        run = Run(plan, a_kernel(fail_at=k, error=error))
        told = (k, name, errno.errorcode[error])
        assert run.all_of("end")[0]["how"] == "power-off", told
        assert run.fds_after == run.fds_before, told
        noted = [one["state"] for one in run.devices] != [one["state"] for one in whole.devices]
        assert noted or name == "VFIO_IOMMU_MAP_DMA", told  # other devices do not reach a BAR: best effort
        if name not in GO_AWAY:
            assert run.kernel.left() == [], told


def test_whichever_call_of_the_teardown_fails_it_is_counted_and_the_rest_is_done(tmp_path: Path, whole: Run) -> None:
    plan, kernel = passing_plan(tmp_path), whole.kernel
    for k, name in enumerate(kernel.calls, 1):
        if k <= kernel.ending or errnos(name)[1] or name in SILENCING:
            continue
        run = Run(plan, a_kernel(fail_at=k, error=errno.EIO))
        assert [state for _, state in run.states()].count("not-undone") >= 1, (k, name)
        assert run.kernel.open == [], (k, name)
        assert run.fds_after == run.fds_before, (k, name)


UNMAPPED, FORGOTTEN = ["VFIO_IOMMU_UNMAP_DMA"] * 4, ["KVM_SET_DEVICE_ATTR"] * 3


def test_a_device_that_may_still_write_to_ram_is_closed_before_that_is_unmapped(tmp_path: Path, whole: Run) -> None:
    """All others are closed beside it."""
    kernel = whole.kernel
    told = [k for k, name in enumerate(kernel.calls, 1) if name in SILENCING and k > kernel.ending]
    assert len(told) == 4 * 3
    for k in told:
        assert_closed_in_turn(Run(passing_plan(tmp_path), a_kernel(fail_at=k, error=errno.EIO)))


def assert_closed_in_turn(run: Run) -> None:
    calls = [name for name in run.kernel.calls[run.kernel.ending :] if name in (*UNMAPPED, *FORGOTTEN)]
    assert calls[-7:] == [*FORGOTTEN, *UNMAPPED]  # behind the maps of BARs
    assert "not-undone" not in {state for _, state in run.states()}
    assert run.kernel.left() == []


@pytest.mark.parametrize("answers", [b"\xff\xff", b"\x07\x00", b""])
def test_a_device_that_does_not_say_that_it_is_silent_is_closed_before_ram_is_unmapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bytes
) -> None:
    """One that was pulled out, or hangs, takes no write, and the kernel says nothing of that."""
    kernel, read = a_kernel(), FakeDevice.read_config

    def answer(device: FakeDevice, offset: int, size: int) -> bytes:
        found = read(device, offset, size)
        ends = kernel.ending and device.address == kernel.host.functions[2].address
        return answers if ends and offset == COMMAND and size == 2 else found

    monkeypatch.setattr(FakeDevice, "read_config", answer)
    assert_closed_in_turn(Run(passing_plan(tmp_path), kernel))


def test_a_device_that_caches_translations_is_not_reset_while_ram_is_unmapped(tmp_path: Path) -> None:
    """It would not answer when it is told to forget them."""
    kernel = a_kernel()
    kernel.host.functions[0].config += translations(on=True)
    assert_closed_in_turn(Run(passing_plan(tmp_path), kernel))


def translations(*, on: bool) -> bytes:
    """The extended capability of Address Translation Services, in the rest of configuration space."""
    return struct.pack("<IHH", 0x0001000F, 0, on << 15).ljust(CONFIG_SIZE - 256, b"\0")


@pytest.mark.parametrize("cached", [False, True], ids=["beside", "in turn"])
def test_devices_that_the_host_waits_for_leave_nothing_to_undo(tmp_path: Path, cached: bool) -> None:
    """VFIO gives up the group of the last that is closed, and with that the container's maps, before we do."""
    kernel = a_kernel(host=host_of(apart=()))
    for one in kernel.host.functions:
        one.wanted = True
        one.config += translations(on=cached)
    run = Run(passing_plan(tmp_path), kernel)
    assert [state for _, state in run.states() if state == "not-undone"] == []
    assert run.all_of("end")[0]["how"] == "power-off"
    assert kernel.left() == []


def test_a_device_that_could_cache_translations_and_does_not_is_closed_beside(tmp_path: Path) -> None:
    kernel = a_kernel()
    kernel.host.functions[0].config += translations(on=False)
    calls = Run(passing_plan(tmp_path), kernel).kernel.calls[kernel.ending :]
    assert [name for name in calls if name in (*UNMAPPED, *FORGOTTEN)][-7:] == [*UNMAPPED, *FORGOTTEN]


def test_a_device_that_is_closed_begins_no_dma_and_keeps_its_memory(tmp_path: Path) -> None:
    kernel = a_kernel()
    Run(passing_plan(tmp_path), kernel)
    commands = [int.from_bytes(one.config[COMMAND : COMMAND + 2], "little") for one in kernel.host.functions]
    assert [command & MASTER for command in commands] == [0] * 4
    assert all(command & MEMORY for command in commands)


def test_devices_behind_one_bridge_are_closed_one_after_the_other_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel resets none while it resets another there: it does without."""
    plan, bridges = passing_plan(tmp_path), (PciAddress(0, 0, 1, 0), PciAddress(0, 0, 2, 0))
    (step,) = (one for one in plan.steps if isinstance(one, OpenDevices))
    devices = [replace(one, parent=bridges[n // 2]) for n, one in enumerate(step.devices)]
    steps = tuple(replace(one, devices=tuple(devices)) if one is step else one for one in plan.steps)
    at_once, beside, close = list[PciAddress](), Barrier(2), FakeDevice.close

    def closes(device: FakeDevice) -> None:
        bridge = next(one.parent for one in devices if one.address == device.address)
        assert bridge not in at_once
        at_once.append(bridge)
        beside.wait(10)
        close(device)
        at_once.remove(bridge)

    monkeypatch.setattr(FakeDevice, "close", closes)
    assert Run(replace(plan, steps=steps), a_kernel()).kernel.left() == []
    assert not beside.broken


def test_a_device_is_closed_in_its_turn_where_there_is_no_thread_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: object) -> None:
        raise OSError(errno.EAGAIN, "no thread", "pthread_create")

    monkeypatch.setattr(closing, "start", start)
    run = Run(passing_plan(tmp_path), a_kernel())
    assert "not-undone" not in {state for _, state in run.states()}
    assert run.kernel.left() == []


def test_each_device_whose_close_fails_is_told_and_the_rest_is_done(tmp_path: Path) -> None:
    kernel = a_kernel()
    for n in (1, 2):
        kernel.host.functions[n].close_error = errno.EIO
    run = Run(passing_plan(tmp_path), kernel)
    assert [n for n, state in run.states() if state == "not-undone"] == [8, 8]
    assert kernel.spaces == []


def note_words(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among the calls: what the runner says."""
    send = Channel.send

    def said(channel: Channel, message: dict[str, object]) -> None:
        kernel.calls.append(f"said {next(iter(message))}")
        send(channel, message)

    monkeypatch.setattr(Channel, "send", said)


def test_the_end_is_told_before_an_engine_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keeper takes one that goes before for the cause of the end."""
    kernel, close = a_kernel(), FakeVhostUser.close

    def hangs_up(engine: FakeVhostUser) -> None:
        kernel.calls.append("hung up")
        close(engine)

    note_words(kernel, monkeypatch)
    monkeypatch.setattr(FakeVhostUser, "close", hangs_up)
    share = Virtio("share", "fs", "vhost-user", PciAddress(0, 0, 1, 0), 0xC0100000, 1)
    Run(passing_plan(tmp_path, served=(share,)), kernel)
    assert kernel.calls.index("said end") < kernel.calls.index("hung up")


def test_nothing_is_said_of_the_end_before_devices_are_being_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor before their groups are: who is told anything wakes up, and the host may have one processor."""
    kernel = a_kernel()
    note_words(kernel, monkeypatch)
    Run(passing_plan(tmp_path), kernel)
    asked = kernel.calls.index("said counts")  # that it runs may be told when the guest is over already
    last = [k for k, name in enumerate(kernel.calls) if name in UNMAPPED][-1]
    assert kernel.calls[last + 1 : asked] == ["said device"] * 4 + ["said containers"]
    rest = [name for name in kernel.calls[asked:] if name not in FORGOTTEN]
    assert rest[:3] == ["said counts", "said end", "said outcome"]
    assert rest[3:6] == ["VFIO_GROUP_UNSET_CONTAINER"] * 3
    assert set(rest[6:]) == {"said outcome"}


def test_the_end_is_told_though_the_kernel_holds_on_to_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may wait for one that hangs for a minute and more: the keeper is to know, and to have its limit."""
    ended, send, silence = ThreadEvent(), Channel.send, PassedDevice.silence

    def said(channel: Channel, message: dict[str, object]) -> None:
        send(channel, message)
        if "end" in message:
            ended.set()

    def hangs(device: PassedDevice) -> None:
        assert ended.wait(10)
        silence(device)

    monkeypatch.setattr(telling, "MOMENT", 0.01)
    monkeypatch.setattr(Channel, "send", said)
    monkeypatch.setattr(PassedDevice, "silence", hangs)
    run = Run(passing_plan(tmp_path), a_kernel())
    assert [one["how"] for one in run.all_of("end")] == ["power-off"]
    assert run.kernel.left() == []


def test_nothing_is_kept_back_where_there_is_no_thread_to_end_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: object) -> None:
        raise OSError(errno.EAGAIN, "no thread", "pthread_create")

    kernel = a_kernel()
    note_words(kernel, monkeypatch)
    monkeypatch.setattr(telling, "start", start)
    Run(passing_plan(tmp_path), kernel)
    assert kernel.calls.index("said end") < kernel.calls.index("VFIO_IOMMU_UNMAP_DMA", kernel.ending)


def test_a_device_that_was_lost_is_not_given_to_a_guest(tmp_path: Path) -> None:
    kernel = a_kernel()
    kernel.host.functions[0].lost = True
    run = Run(passing_plan(tmp_path), kernel)
    assert run.problem["code"] == "E523"
    assert "drive: 0000:01:00.0 does not answer" in run.problem["message"]
    assert kernel.left() == []


def test_a_bar_that_vfio_does_not_have_is_not_served_from_another_one(tmp_path: Path) -> None:
    kernel = a_kernel()
    del kernel.host.functions[1].regions[1]
    run = Run(passing_plan(tmp_path), kernel)
    assert "card: BAR 1 of 0000:02:00.0 has 0 of 256 bytes" in run.problem["message"]
    assert kernel.left() == []


def test_a_group_that_a_driver_of_the_host_came_into_is_named(tmp_path: Path) -> None:
    kernel = a_kernel()
    kernel.host.functions[3].driver = "e1000e"
    run = Run(passing_plan(tmp_path), kernel)
    assert run.problem["code"] == "E521"
    assert "group 3" in run.problem["message"]
    assert kernel.left() == []


def test_ram_that_the_iommu_does_not_translate_is_refused_before_it_is_mapped(tmp_path: Path) -> None:
    kernel = a_kernel(host=host_of(width=32))
    run = Run(passing_plan(tmp_path), kernel)
    assert run.problem["code"] == "E522"
    assert "VFIO_IOMMU_UNMAP_DMA" not in kernel.calls
    assert kernel.left() == []


def test_a_drive_does_without_its_line_and_a_card_that_has_no_messages_does_not(tmp_path: Path, whole: Run) -> None:
    first = [k for k, name in enumerate(whole.kernel.calls, 1) if name == "VFIO_DEVICE_SET_IRQS"]
    drive, card = first[0], first[6]  # four for the drive's line and one for each of its alarms come before
    run = Run(passing_plan(tmp_path), a_kernel(fail_at=drive, error=errno.EBUSY))
    assert run.devices[0]["state"] == "memory on; no INTx: Device or resource busy (VFIO_DEVICE_SET_IRQS)"
    assert run.devices[0]["interrupts"] == "msix"
    run = Run(passing_plan(tmp_path), a_kernel(fail_at=card, error=errno.EBUSY))
    assert "Device or resource busy (VFIO_DEVICE_SET_IRQS)" in run.problem["message"]
    assert run.kernel.left() == []


def test_a_device_that_the_host_takes_while_the_guest_reboots_is_named(tmp_path: Path) -> None:
    again = (*guest()[0][:-1], Event("reset"))
    kernel = a_kernel(events=(again,), after_reset=guest())
    kernel.host.functions[1].wanted = True
    run = Run(passing_plan(tmp_path), kernel, reboot=True)
    assert run.problem["code"] == "E524"
    assert run.problem["message"].startswith("card: the host has taken 0000:02:00.0 back: No such device (VFIO_GROUP")
    assert [state for _, state in run.states() if state == "not-undone"] == []
    assert kernel.left() == []


def test_a_group_that_goes_before_it_is_opened_is_named(tmp_path: Path) -> None:
    kernel = a_kernel()
    kernel.host.functions = kernel.host.functions[:2]
    run = Run(passing_plan(tmp_path), kernel)
    assert run.problem["code"] == "E524"
    assert run.problem["message"] == "IOMMU group 3 has gone since it was planned"
    assert kernel.left() == []


def test_a_reboot_keeps_groups_and_ram_and_opens_the_devices_again(tmp_path: Path, whole: Run) -> None:
    again = (*guest()[0][:-1], Event("reset"))
    kernel = a_kernel(events=(again,), after_reset=guest())
    run = Run(passing_plan(tmp_path), kernel, reboot=True)
    once, twice = whole.kernel.calls, kernel.calls
    for name in ("VFIO_GROUP_SET_CONTAINER", "VFIO_SET_IOMMU", "VFIO_GROUP_UNSET_CONTAINER", "VFIO_IOMMU_GET_INFO"):
        assert twice.count(name) == once.count(name), name
    for name in ("VFIO_GROUP_GET_DEVICE_FD", "KVM_CREATE_VM", "KVM_CREATE_DEVICE", "mmap of a BAR"):
        assert twice.count(name) == 2 * once.count(name), name
    assert twice.count("open /dev/kvm") == 1  # a confined runner can open nothing
    assert [one["ram_maps"] for one in run.containers] == [2, 2]
    assert run.all_of("reboot") == [{}]
    assert run.devices == whole.devices
    assert run.all_of("end")[0]["how"] == "power-off"
    assert kernel.left() == []


def test_a_reboot_that_fails_leaves_nothing(tmp_path: Path) -> None:
    plan = passing_plan(tmp_path)
    kernel = a_kernel(events=((*guest()[0][:-1], Event("reset")),), after_reset=guest())
    calls = Run(plan, kernel, reboot=True).kernel.calls
    begins = [k for k, name in enumerate(calls, 1) if name == "KVM_CREATE_VM"][1]
    ends = max(k for k, name in enumerate(calls, 1) if name == "KVM_SET_LAPIC")
    for k in range(begins, ends + 1):
        if errnos(calls[k - 1])[1]:
            continue
        kernel = a_kernel(events=kernel.events, after_reset=guest(), fail_at=k, error=errno.ENOMEM)
        run = Run(plan, kernel, reboot=True)
        assert kernel.left() == [], (k, calls[k - 1])
        assert run.fds_after == run.fds_before, (k, calls[k - 1])
        assert run.all_of("failed") or _drive_does_without_intx(run, calls[k - 1]), (k, calls[k - 1])


def test_asked_for_numbers_in_the_middle_of_a_reboot_they_are_those_of_the_past() -> None:
    past = Numbers({"trapped": 3}, [5, 7], {(0, 0x80): 3})
    assert Numbers({}, [], {}).plus(past) == past
    now = Numbers({"trapped": 1, "faults": 1}, [2], {(0, 0x80): 1, (1, 0x1000): 2})
    together = Numbers({"trapped": 4, "faults": 1}, [7, 7], {(0, 0x80): 4, (1, 0x1000): 2})
    assert now.plus(past) == together


@pytest.mark.parametrize("count", [24, 100])
def test_many_drives_share_slots_and_all_of_them_work(tmp_path: Path, count: int) -> None:
    """The guest sees functions only where function 0 says that there are more."""
    drives, places = [], []
    for n in range(count):
        address, place = f"0000:{n + 0x10:02x}:00.0", (0x10 + n % 16) * 8 + n // 16
        bar = BarPlace(0, "mem64", True, 16 * KIB, 0xD0000000 + n * 0x10000, "split")
        drives.append(passed(f"d{n}", address, 100 + n, place, bar))
        places.append(place)
    header = [Event("read", (CONFIG, slot * 8 * CONFIG_SIZE + 0x0E, 1, 0)) for slot in range(0x10, 0x20)]
    used = [config(place, COMMAND, DECODE) for place in places]
    used += [config(place, MSIX + 2, 0x8000) for place in places]
    host = host_of(*(nvme(str(one.address), one.group) for one in drives))
    run = Run(passing_plan(tmp_path, *drives), a_kernel(events=guest(used, header), host=host))
    assert run.all_of("end")[0]["how"] == "power-off"
    assert [one["state"] for one in run.devices if one["alias"].startswith("d") and one["alias"][1:].isdigit()] == (
        ["memory on"] * count
    )
    assert run.kernel.replies[-16:] == [0x80 if n + 16 < count else 0 for n in range(16)]
    assert run.kernel.left() == []
