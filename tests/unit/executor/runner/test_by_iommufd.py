"""Passed devices by iommufd on the fake kernel: as by type1 to the guest, with calls and a teardown of its own."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from launcher.executor.runner import refused_bind
from launcher.kernel.api import Event
from launcher.plan.plan import Plan
from launcher.plan.steps import Member, OpenDevices, OpenIommufd
from launcher.record import replace
from launcher.values import MIB
from launcher.vms.holders import openers
from tests.budget import of_each_kind
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import COMMAND, DECODE, DRIVE, by_iommufd, config, guest, host_of, passing_plan
from tests.unit.executor.runner.test_passthrough import a_kernel, refusals
from tests.unit.executor.runner.test_runner import Run

IOMMUFD, UNMAP, DETACH = "open /dev/iommu", "IOMMU_IOAS_UNMAP", "VFIO_DEVICE_DETACH_IOMMUFD_PT"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(by_iommufd(passing_plan(tmp_path_factory.mktemp("vm"))), a_kernel())


def test_the_guest_has_the_same_devices_as_by_type1(tmp_path: Path, whole: Run) -> None:
    by_type1 = Run(passing_plan(tmp_path), a_kernel())
    assert whole.devices == by_type1.devices
    assert whole.states() == by_type1.states()
    resets = [[one.reset_count for one in run.kernel.host.functions] for run in (whole, by_type1)]
    assert resets[0] == resets[1] == [2, 0, 2, 2]
    assert whole.kernel.left() == []
    assert whole.fds_after == whole.fds_before
    assert not {name for name in whole.kernel.calls if "GROUP" in name or "/dev/vfio/vfio" in name or "TYPE1" in name}


def test_ram_is_mapped_once_for_all_in_a_space_and_no_bar_is(whole: Run) -> None:
    assert [(one["groups"], one["ram_maps"], one["ram_bytes"], one["peer_maps"]) for one in whole.containers] == [
        ([1, 3], 2, 96 * MIB, 0),
        ([2], 2, 96 * MIB, 0),
    ]
    assert whole.kernel.calls.count("IOMMU_IOAS_MAP") == 2 * 2


FEATURE, MAP_FILE = "VFIO_DEVICE_FEATURE", "IOMMU_IOAS_MAP_FILE"


def sharing(tmp_path: Path, **more: object) -> Run:
    """On a kernel that gives dma-bufs of BARs."""
    return Run(by_iommufd(passing_plan(tmp_path)), a_kernel(host=host_of(dma_bufs=True), **more))


def test_bars_are_mapped_for_other_devices_as_by_type1_where_the_kernel_gives_dma_bufs(tmp_path: Path) -> None:
    """One BAR is moved: it is taken out before, and mapped anew."""
    run = sharing(tmp_path)
    by_type1 = Run(passing_plan(tmp_path), a_kernel())
    assert run.containers == by_type1.containers
    assert sum(one["peer_maps"] for one in run.containers) == 14
    assert run.kernel.left() == []
    assert run.fds_after == run.fds_before
    calls = run.kernel.calls
    assert calls.count(MAP_FILE) == 14
    assert calls.count("IOMMU_IOAS_MAP") == 2 * 2
    assert calls.count(UNMAP) == 14 + 4
    last = len(calls) - 1 - calls[::-1].index(DETACH)
    assert UNMAP not in calls[last:]
    assert FEATURE not in calls[run.kernel.running :]  # a confined runner may not


def test_a_kernel_that_gives_none_is_asked_and_no_bar_is_mapped(whole: Run) -> None:
    assert FEATURE in whole.kernel.calls
    assert MAP_FILE not in whole.kernel.calls


def test_one_device_alone_is_not_asked(tmp_path: Path) -> None:
    plan = by_iommufd(passing_plan(tmp_path))
    kept = {
        OpenIommufd: lambda step: replace(step, functions=step.functions[:1]),
        OpenDevices: lambda step: replace(step, devices=step.devices[:1]),
    }
    steps = (kept[type(step)](step) if type(step) in kept else step for step in plan.steps)
    alone = ((config(DRIVE, COMMAND, DECODE), Event("power-off")),)
    run = Run(replace(plan, steps=tuple(steps)), a_kernel(host=host_of(dma_bufs=True), events=alone))
    assert FEATURE not in run.kernel.calls
    assert run.kernel.left() == []


def test_bars_that_no_peer_can_reach_by_iommufd_are_no_matter(tmp_path: Path) -> None:
    """No dma-buf of one piece, or one that is not mapped."""
    calls = sharing(tmp_path).kernel.calls
    for call, fewer in ((FEATURE, (2, 4)), (MAP_FILE, (1,))):
        for k in [k for k, name in enumerate(calls, 1) if name == call]:
            run = sharing(tmp_path, fail_at=k, error=errno.EINVAL)
            assert 14 - sum(one["peer_maps"] for one in run.containers) in fewer
            assert run.all_of("end")[0]["how"] == "power-off"
            assert run.kernel.left() == []
            assert {state for _, state in run.states()} == {"started", "done", "undone"}


def test_a_reboot_maps_the_same_dma_bufs_again_and_asks_nothing(tmp_path: Path) -> None:
    """Nor does it where there were none: a confined runner may not."""
    for dma_bufs in (True, False):
        run = rebooted(tmp_path, host=host_of(dma_bufs=dma_bufs))
        assert run.kernel.calls.count(FEATURE) == (10 if dma_bufs else 5)
        assert run.kernel.calls.count(MAP_FILE) == (2 * 14 if dma_bufs else 0)
        assert run.kernel.left() == []


def test_the_teardown_is_the_reverse_of_the_set_up(whole: Run) -> None:
    """What is mapped of a function, and KVM, go before its node: they would hold it."""
    calls = whole.kernel.calls[whole.kernel.ending :]
    end = ["KVM_SET_DEVICE_ATTR"] * 4 + [UNMAP] * 4 + [DETACH] * 2 + [DETACH, "IOMMU_DESTROY", DETACH, "IOMMU_DESTROY"]
    assert calls[-len(end) :] == end


def test_whichever_call_is_refused_before_the_guest_runs_nothing_is_left(tmp_path: Path, whole: Run) -> None:
    plan = by_iommufd(passing_plan(tmp_path))
    own = [
        one for one in refusals(whole.kernel.calls[: whole.kernel.running]) if "IOMMU" in one[1] or "/dev/" in one[1]
    ]
    for k, name, error, _ in of_each_kind(own, lambda one: one[1:3]):
        run = Run(plan, a_kernel(fail_at=k, error=error))
        told = (k, name, errno.errorcode[error])
        assert run.kernel.left() == [], told
        assert run.fds_after == run.fds_before, told
        assert "not-undone" not in {state for _, state in run.states()}, told
        assert os.strerror(error) in run.problem["message"], told
        assert name in run.problem["message"], told


def test_whichever_call_of_the_teardown_is_refused_it_is_counted_and_the_rest_is_done(
    tmp_path: Path, whole: Run
) -> None:
    plan, kernel = by_iommufd(passing_plan(tmp_path)), whole.kernel
    own = [(k, name) for k, name in enumerate(kernel.calls, 1) if k > kernel.ending and "IOMMU" in name]
    for k, name in of_each_kind(own, lambda one: one[1]):
        run = Run(plan, a_kernel(fail_at=k, error=errno.EIO))
        assert [state for _, state in run.states()].count("not-undone") >= 1, (k, name)
        assert [one for one in run.kernel.open if type(one).__name__ != "FakeIoas"] == [], (k, name)
        assert run.fds_after == run.fds_before, (k, name)


def test_a_group_that_a_driver_of_the_host_came_into_is_named(tmp_path: Path) -> None:
    """EPERM of VFIO_DEVICE_BIND_IOMMUFD, and without such a driver no guess."""
    kernel, plan = a_kernel(), by_iommufd(passing_plan(tmp_path))
    kernel.host.functions[3].driver = "e1000e"
    members = (Member(kernel.host.functions[2].address, 3),)
    steps = (
        replace(step, functions=members)
        if isinstance(step, OpenIommufd)
        else replace(step, devices=step.devices[2:3])
        if isinstance(step, OpenDevices)
        else step
        for step in plan.steps
    )
    alone = replace(plan, steps=tuple(steps))
    run = Run(alone, kernel)
    assert run.problem["code"] == "E521"
    assert "e1000e has 0000:03:00.1" in run.problem["message"]
    kernel.drivers.node = lambda _: "/dev/vfio/devices/vfio0"  # it has given it to VFIO, as NVIDIA's does with a vGPU
    assert Run(alone, kernel).problem["code"] == "E501"
    assert kernel.left() == []
    unsafe = a_kernel(host=host_of(safe=False))
    run = Run(plan, unsafe)
    assert run.problem["code"] == "E501"
    assert "VFIO_DEVICE_BIND_IOMMUFD" in run.problem["message"]
    assert unsafe.left() == []


@pytest.mark.parametrize(
    ("error", "node"), [(errno.EBUSY, "group"), (errno.EINVAL, "own"), (errno.EPERM, "own")], ids=errno.errorcode.get
)
def test_who_has_the_device_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Run, error: int, node: str
) -> None:
    """/dev/null stands in for nodes, and is open in another process."""
    kernel = a_kernel(fail_at=whole.kernel.calls.index("VFIO_DEVICE_BIND_IOMMUFD") + 1, error=error)
    kernel.drivers.node = lambda _: os.devnull if node == "own" else None
    monkeypatch.setattr(refused_bind, "openers", lambda path: openers(path.replace("/dev/vfio/1", os.devnull)))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        run = Run(by_iommufd(passing_plan(tmp_path)), kernel)
    assert run.problem["code"] == "E529"
    assert f"process {holder.pid}" in run.problem["message"]
    assert kernel.left() == []


@pytest.mark.parametrize("node", ["group", "own"])
def test_by_type1_too_who_has_the_group_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str) -> None:
    """By its node, or by the own one of a member, which somebody has bound."""
    plan = passing_plan(tmp_path)
    first = Run(plan, a_kernel()).kernel.calls.index("open /dev/vfio/1") + 1
    kernel = a_kernel(fail_at=first, error=errno.EBUSY)
    kernel.drivers.node = lambda _: os.devnull if node == "own" else None
    path = "/dev/vfio/1" if node == "group" else os.devnull
    monkeypatch.setattr(refused_bind, "openers", lambda asked: openers(os.devnull) if asked == path else ())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        run = Run(plan, kernel)
    assert run.problem["code"] == "E529"
    assert f"process {holder.pid}" in run.problem["message"]
    assert path in run.problem["message"]
    assert kernel.left() == []


def test_who_has_nothing_to_name_says_what_the_kernel_said(tmp_path: Path, whole: Run) -> None:
    for call, error in (("VFIO_DEVICE_BIND_IOMMUFD", errno.EINVAL), ("IOMMU_IOAS_MAP", errno.ENOMEM)):
        run = Run(by_iommufd(passing_plan(tmp_path)), a_kernel(fail_at=whole.kernel.calls.index(call) + 1, error=error))
        assert run.problem["code"] == "E501"
        assert call in run.problem["message"]
        assert ("ulimit -l" in str(run.problem.get("help"))) == (error == errno.ENOMEM)


# What each call can be refused with (and what no call of ours provokes is not here), and what is said then.
BIND, ATTACH, OPTION = "VFIO_DEVICE_BIND_IOMMUFD", "VFIO_DEVICE_ATTACH_IOMMUFD_PT", "IOMMU_OPTION"
TABLE = (
    (IOMMUFD, errno.ENOENT, "No such file or directory"),
    (IOMMUFD, errno.EACCES, "Permission denied"),
    (OPTION, errno.EPERM, "Operation not permitted"),
    (OPTION, errno.EBUSY, "Device or resource busy"),
    (BIND, errno.EBUSY, "Device or resource busy"),  # nobody is seen who has it: so for the next two
    (BIND, errno.EPERM, "Operation not permitted"),
    (BIND, errno.EINVAL, "Invalid argument"),
    (BIND, errno.EBADFD, "File descriptor in bad state"),
    ("IOMMU_IOAS_ALLOC", errno.ENOMEM, "Cannot allocate memory"),
    (ATTACH, errno.ENOMEM, "Cannot allocate memory"),
    (ATTACH, errno.ENOENT, "No such file or directory"),
    ("IOMMU_IOAS_IOVA_RANGES", errno.ENOENT, "No such file or directory"),
    ("IOMMU_IOAS_MAP", errno.EEXIST, "File exists"),
    ("IOMMU_IOAS_MAP", errno.EINVAL, "Invalid argument"),
    ("IOMMU_IOAS_MAP", errno.EFAULT, "Bad address"),
    ("IOMMU_IOAS_MAP", errno.ENOMEM, "Cannot allocate memory"),
    ("IOMMU_IOAS_MAP", errno.EOPNOTSUPP, "Operation not supported"),
)


@pytest.mark.parametrize(("call", "error", "said"), TABLE, ids=[f"{call} {errno.errorcode[n]}" for call, n, _ in TABLE])
def test_what_the_kernel_refuses_is_said_with_its_call(tmp_path: Path, call: str, error: int, said: str) -> None:
    plan = counted_by_process(by_iommufd(passing_plan(tmp_path)))
    kernel = a_kernel(fail_at=Run(plan, a_kernel()).kernel.calls.index(call) + 1, error=error)
    problem = Run(plan, kernel).problem
    print(problem["code"], problem["message"], *problem.get("help", ()))
    assert problem["code"] == "E501"
    assert problem["message"].endswith(f": {said} ({call})")
    assert ("ulimit -l" in str(problem.get("help"))) is (error == errno.ENOMEM and call in (ATTACH, "IOMMU_IOAS_MAP"))
    assert kernel.left() == []


def counted_by_process(plan: Plan) -> Plan:
    steps = (replace(one, locks="process") if isinstance(one, OpenIommufd) else one for one in plan.steps)
    return replace(plan, steps=tuple(steps))


def test_a_function_of_another_group_than_the_plan_says_is_not_opened(tmp_path: Path) -> None:
    kernel = a_kernel()
    kernel.host.functions[0].group = 9
    run = Run(by_iommufd(passing_plan(tmp_path)), kernel)
    assert run.problem["code"] == "E524"
    assert IOMMUFD not in kernel.calls
    assert kernel.left() == []


def test_a_node_of_another_device_is_not_taken_for_the_functions_own(tmp_path: Path) -> None:
    """Of the second group: the first is closed again."""
    kernel = a_kernel()
    kernel.host.functions[1].node_of_another = True
    run = Run(by_iommufd(passing_plan(tmp_path)), kernel)
    assert run.problem["code"] == "E524"
    assert "it is device 511:1, and the function's is 511:0" in run.problem["message"]
    assert kernel.left() == []


def rebooted(tmp_path: Path, **more: object) -> Run:
    again = (*guest()[0][:-1], Event("reset"))
    kernel: FakeKernel = a_kernel(events=(again,), after_reset=guest(), **more)
    return Run(by_iommufd(passing_plan(tmp_path)), kernel, reboot=True)


def test_a_reboot_opens_nothing_and_finds_the_devices_reset(tmp_path: Path, whole: Run) -> None:
    run = rebooted(tmp_path)
    once, twice = whole.kernel.calls, run.kernel.calls
    opened = {name for name in once if name.startswith("open /dev/")}
    for name in (*opened, "VFIO_DEVICE_BIND_IOMMUFD", "VFIO_DEVICE_ATTACH_IOMMUFD_PT", "IOMMU_IOAS_MAP", UNMAP, DETACH):
        assert twice.count(name) == once.count(name), name
    for name in ("KVM_CREATE_VM", "KVM_CREATE_DEVICE", "mmap of a BAR"):
        assert twice.count(name) == 2 * once.count(name), name
    assert once.count("VFIO_DEVICE_RESET") == 0
    assert twice.count("VFIO_DEVICE_RESET") == 1  # the drive's: the others have none
    assert [one.reset_count for one in run.kernel.host.functions] == [3, 0, 4, 4]
    assert run.all_of("reboot") == [{}]
    assert run.devices == whole.devices
    assert run.kernel.left() == []


def test_a_life_leaves_the_registers_of_a_device_as_it_found_them(tmp_path: Path) -> None:
    kernel = a_kernel()
    drives = kernel.host.functions
    before = [bytes(one.config[COMMAND : COMMAND + 2]) for one in drives]
    run = Run(by_iommufd(passing_plan(tmp_path)), kernel)
    assert [one["decodes"] for one in run.devices if one["alias"] == "drive"] == [["memory"]]
    assert [bytes(one.config[COMMAND : COMMAND + 2]) for one in drives] == before


def test_a_device_that_the_host_takes_while_the_guest_reboots_is_named(tmp_path: Path) -> None:
    """The reset finds it locked (pci_try_reset_function)."""
    calls = rebooted(tmp_path).kernel.calls
    first = calls.index("VFIO_DEVICE_RESET") + 1
    run = rebooted(tmp_path, fail_at=first, error=errno.EAGAIN)
    assert run.problem["code"] == "E524"
    assert run.problem["message"].startswith("drive: the host is taking 0000:01:00.0 back: Resource temp")
    assert run.kernel.left() == []
