"""The runner on the fake kernel: every call of the set-up failed once, nothing left open."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from launcher import digests
from launcher.copies import START, Copies, Here
from launcher.executor.ending import EXIT_CODES
from launcher.executor.runner import runner
from launcher.executor.runner.runner import Runner
from launcher.kernel.api import Event
from launcher.kernel.console import Console
from launcher.kernel.resting import Rest
from launcher.plan.plan import HostIdentity, Plan, SpecIdentity, Summary
from launcher.plan.steps import (
    CreateVm,
    DescribeMachine,
    GiveMemory,
    KeepState,
    LoadInitrd,
    LoadKernel,
    LoadPart,
    RamRange,
    RunVcpus,
    TakeMemory,
)
from launcher.record import replace
from launcher.values import GIB, MIB
from launcher.vms.channel import Channel, Closed
from tests.fakes.kernel import FakeKernel

IMAGE = b"\x90" * 64


def plan_of(folder: Path, *, vcpus: int = 2, pin: tuple[int, ...] = ()) -> Plan:
    kernel, initrd = folder / "kernel", folder / "initrd"
    kernel.write_bytes(IMAGE)
    initrd.write_bytes(IMAGE)
    digest = hashlib.sha256(IMAGE).hexdigest()
    steps = (
        KeepState(str(folder / "state")),
        TakeMemory(0, 64 * MIB, 0, None, True),
        TakeMemory(1, 32 * MIB, 2 * MIB, 0, False),
        CreateVm(),
        GiveMemory((RamRange(0, 64 * MIB, 0, 0), RamRange(4 * GIB, 32 * MIB, 1, 0))),
        LoadKernel("pvh", str(kernel), digest, 0x200000, (LoadPart(0, 64, 0x200000, 128),), "hello"),
        LoadInitrd(str(initrd), digest, 64, 0x3000000),
        DescribeMachine(vcpus, None),
        RunVcpus(vcpus, pin),
    )
    nothing = Summary("yes", 0, 0, 0, 0)
    return Plan(
        "1.0", "0", "t", SpecIdentity("", "", {}), HostIdentity("", "", None, None), (), (), steps, (), (), nothing
    )


class Run:
    """What a runner said, and what its kernel saw."""

    def __init__(self, plan: Plan, kernel: FakeKernel, orders: tuple[str, ...] = (), *, reboot: bool = False) -> None:
        self.kernel = kernel
        mine, theirs = Channel.pair()
        console = Console()
        for order in orders:
            mine.send({"do": order})
        self.fds_before = len(os.listdir("/proc/self/fd"))
        Runner(plan, kernel, console, theirs, reboot=reboot).run()
        self.fds_after = len(os.listdir("/proc/self/fd"))
        theirs.close()
        console.close()
        self.said = list(self._hear(mine))
        mine.close()

    def _hear(self, channel: Channel) -> Any:
        try:
            while packet := channel.receive():
                yield packet.message
        except Closed:
            return

    def all_of(self, key: str) -> list[Any]:
        return [one[key] for one in self.said if key in one]

    @property
    def devices(self) -> list[Any]:
        """As they were told last."""
        return list({one["alias"]: one for one in self.all_of("device")}.values())

    @property
    def containers(self) -> list[Any]:
        return self.all_of("containers")[-1]["spaces"]

    @property
    def problem(self) -> Any:
        """What failed first."""
        return self.all_of("failed")[0]["diagnostics"][0]

    def states(self) -> list[tuple[int, str]]:
        return [(one["n"], one["state"]) for one in self.all_of("outcome") if one["state"] != "progress"]


def test_every_step_is_done_in_order_and_undone_in_reverse(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path), FakeKernel())
    assert [n for n, state in run.states() if state == "done"] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert [n for n, state in run.states() if state == "undone"] == [9, 5, 4, 3, 2]
    assert run.all_of("end")[0]["how"] == "power-off"


def test_what_is_quick_is_told_with_what_follows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each word wakes its keeper, and whoever follows that."""

    def send(channel: Channel, message: dict[str, Any]) -> None:
        if (outcome := message.get("outcome", {})).get("state") in ("started", "done"):
            told.append((outcome["n"], outcome["state"], len(kernel.calls)))
        real(channel, message)

    kernel, told, real = FakeKernel(), list[tuple[int, str, int]](), Channel.send
    monkeypatch.setattr(Channel, "send", send)
    Run(plan_of(tmp_path), kernel)
    assert [one[:2] for one in told] == [(n, state) for n in range(2, 10) for state in ("started", "done")]
    when = {(n, state): calls for n, state, calls in told}
    assert [when[n, "done"] == when[n + 1, "started"] for n in range(2, 9)] == [True] * 7
    assert when[4, "started"] < when[4, "done"]  # it may be the runner's last word


def test_population_reports_the_bytes_it_has_done(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path), FakeKernel())
    progress = [(one["done"], one["total"]) for one in run.all_of("outcome") if one["state"] == "progress"]
    assert progress == [(32 * MIB, 64 * MIB), (64 * MIB, 64 * MIB)]


def test_whichever_call_fails_nothing_stays_open(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, pin=(0, 1))
    calls = Run(plan, FakeKernel()).kernel.calls
    assert len(calls) > 20
    for k, name in enumerate(calls, 1):
        for error in (errno.EPERM, errno.ENOMEM, errno.EBUSY, errno.EINVAL):
            run = Run(plan, FakeKernel(fail_at=k, error=error))
            assert run.kernel.left() == [], name
            assert run.fds_after == run.fds_before, name
            failed = run.all_of("failed")
            assert failed, name
            (found,) = failed[0]["diagnostics"]
            assert found["code"] == "E501", name
            assert os.strerror(error) in found["message"]
            assert name in found["message"]


def test_a_kernel_file_that_changed_since_the_plan_is_not_run(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    (tmp_path / "kernel").write_bytes(b"another")
    run = Run(plan, FakeKernel())
    assert run.problem["code"] == "E509"
    assert run.kernel.left() == []


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copies:
    """As the process that planned has made them."""
    copies = Copies(os.memfd_create("copies", os.MFD_CLOEXEC))
    monkeypatch.setattr(Here, "copies", copies)
    monkeypatch.setattr("launcher.copies.LEAST", 1)
    plan_of(tmp_path)
    for content in ((tmp_path / name).read_bytes() for name in ("kernel", "initrd")):
        copies.digested([content], len(content), hashlib.sha256())
    return copies


def test_what_was_planned_is_loaded_though_a_file_has_changed_and_a_reboot_sees_it(
    tmp_path: Path, copies: Copies
) -> None:
    plan, (memfd,) = plan_of(tmp_path, vcpus=1), copies.descriptors()
    (tmp_path / "kernel").write_bytes(b"another")
    run = Run(plan, FakeKernel(events=(Event("reset"),)), reboot=True)
    assert run.all_of("running")
    assert run.all_of("reboot") == [{}]
    assert run.problem["code"] == "E509"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(memfd)


def test_who_had_copies_digests_in_the_next_life_without_an_import(
    tmp_path: Path, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many a Python has its SHA-256 in a file, and a confined runner opens none."""

    class ShutIn(FakeKernel):
        def confine(self, *, virtio: bool = False) -> dict[str, str]:
            monkeypatch.setattr(digests, "import_module", None)
            return super().confine(virtio=virtio)

    monkeypatch.setattr(digests, "_makers", {})
    assert copies.places
    run = Run(plan_of(tmp_path, vcpus=1), ShutIn(events=(Event("reset"),)), reboot=True)
    assert run.all_of("reboot") == [{}]
    assert run.all_of("failed") == []


@pytest.mark.parametrize("now", [None, b"another"])
def test_in_place_of_a_copy_that_is_not_whole_the_file_is_read(
    tmp_path: Path, copies: Copies, now: bytes | None
) -> None:
    plan = plan_of(tmp_path)
    os.ftruncate(*copies.descriptors(), START + 3)
    if now is not None:
        (tmp_path / "kernel").write_bytes(now)
    run = Run(plan, FakeKernel())
    assert run.all_of("running") if now is None else run.problem["code"] == "E509"
    assert copies.descriptors() == ()


def test_a_file_system_that_gives_a_part_at_a_time_has_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """9p without a cache gives as much as fits into a message of its own."""
    plan, whole = plan_of(tmp_path), os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: whole(file, min(size, 7), at))
    run = Run(plan, FakeKernel())
    assert (len(run.all_of("running")), run.all_of("failed")) == (1, [])


@pytest.mark.parametrize("name", ["kernel", "initrd"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_any_more_is_not_waited_for(tmp_path: Path, name: str, make: Any) -> None:
    plan = plan_of(tmp_path)
    (tmp_path / name).unlink()
    make(tmp_path / name)
    run = Run(plan, FakeKernel())
    assert "it is no regular file" in run.problem["message"]
    assert (run.kernel.left(), run.fds_after) == ([], run.fds_before)


@pytest.mark.parametrize(("change", "ending"), [(Path.unlink, "end"), (lambda file: file.write_bytes(b"!"), "failed")])
def test_a_reboot_reads_the_files_that_were_opened_first(tmp_path: Path, change: Any, ending: str) -> None:
    """One that has gone is still there for it; one that was written to is another."""

    class Changing(FakeKernel):
        def confine(self, *, virtio: bool = False) -> dict[str, str]:
            for name in ("kernel", "initrd"):
                change(tmp_path / name)
            return super().confine(virtio=virtio)

    run = Run(plan_of(tmp_path, vcpus=1), Changing(events=(Event("reset"),)), reboot=True)
    assert run.all_of("reboot") == [{}]
    assert run.all_of(ending)
    assert all(one["code"] == "E509" for failed in run.all_of("failed") for one in failed["diagnostics"])
    assert (run.kernel.left(), run.fds_after) == ([], run.fds_before)


@pytest.mark.parametrize(
    ("event", "how", "words"),
    [
        (Event("shutdown"), "crash", "triple fault"),
        (Event("internal-error", (1, 0)), "crash", "could not emulate"),
        (Event("fail-entry", (0x80000021,)), "crash", "0x80000021"),
        (Event("unknown-exit", (4,)), "crash", "KVM exit 4"),
        (Event("error", (errno.EIO,)), "crash", "Input/output error"),
        (Event("reset"), "reset", "asked for a reset"),
    ],
)
def test_the_guest_ends_as_its_vcpu_ended(tmp_path: Path, event: Event, how: str, words: str) -> None:
    run = Run(plan_of(tmp_path), FakeKernel(events=(event,)))
    (end,) = run.all_of("end")
    assert end["how"] == how
    assert words in end["detail"]
    assert EXIT_CODES[end["how"]] == (13 if how == "crash" else 0)
    assert run.kernel.left() == []


def test_memory_that_does_not_answer_ends_a_guest_without_devices_at_once(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path), FakeKernel(events=(Event("error", (errno.EFAULT,)),)))
    assert "Bad address" in run.all_of("end")[0]["detail"]
    assert run.all_of("counts")[-1]["counts"]["faults"] == 0


def test_a_host_that_refuses_kvm_a_thread_is_a_step_that_failed(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path), FakeKernel(events=(Event("error", (errno.EAGAIN,)),)))
    assert run.problem["code"] == "E501"
    assert "Resource temporarily unavailable (KVM_RUN)" in run.problem["message"]
    assert run.problem["help"]
    assert run.kernel.left() == []


def test_a_crash_shows_the_registers_that_the_cpu_still_has(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path), FakeKernel(events=(Event("shutdown"),)))
    assert run.all_of("end")[0]["registers"] == {"rip": "0x1234"}


def test_an_order_to_stop_during_set_up_undoes_what_was_done(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path), FakeKernel(), orders=("stop",))
    assert run.all_of("end") == []
    assert run.kernel.calls == []


def test_the_power_button_is_answered(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path), FakeKernel(events=()), orders=("power", "stop"))
    assert run.all_of("power") == [{"listens": False}]


@pytest.mark.parametrize("stands", [True, False])
def test_a_guest_with_other_clocks_has_no_late_ticks_kept_once_it_is_quiet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stands: bool
) -> None:
    class Quiet(Rest):
        def poll(self, interests: dict[int, int], seconds: float | None = None) -> dict[int, int]:
            """Nothing has come, the first time."""
            self.poll = super().poll  # type: ignore[method-assign]
            return {}

    monkeypatch.setattr(runner, "Rest", Quiet)
    run = Run(plan_of(tmp_path), FakeKernel(timer_stands=stands))
    assert ("KVM_REINJECT_CONTROL" in run.kernel.calls) is stands
    assert (run.all_of("end")[0]["how"], run.kernel.left()) == ("power-off", [])


@pytest.mark.parametrize("asleep", [True, False])
def test_that_no_interrupt_wakes_a_vcpu_is_told_with_the_last_numbers(tmp_path: Path, asleep: bool) -> None:
    run = Run(plan_of(tmp_path), FakeKernel(asleep=asleep))
    assert run.all_of("counts")[-1]["halted"] is asleep


def test_vcpus_that_were_found_asleep_one_by_one_were_not_all_of_them_asleep(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path), FakeKernel(asleep=True, woken=True))
    assert run.all_of("counts")[-1]["halted"] is False
    assert not run.kernel.untidy


@pytest.mark.parametrize("vcpus", [1, 8])
def test_kvm_is_asked_once_what_it_offers_every_vcpu(tmp_path: Path, vcpus: int) -> None:
    kernel = FakeKernel()
    Run(plan_of(tmp_path, vcpus=vcpus), kernel)
    assert kernel.calls.count("KVM_GET_SUPPORTED_CPUID") == 1
    assert sum(one.startswith("KVM_CREATE_VCPU") for one in kernel.calls) == vcpus


def test_a_pinned_vcpu_pins_its_thread(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path, pin=(0, 1)), FakeKernel())
    assert run.kernel.affinities == [{0}, {1}, os.sched_getaffinity(0)]


@pytest.mark.parametrize(
    ("confine", "refused", "runs"),
    [
        ("auto", "landlock", True),
        ("required", "landlock", False),
        ("required", "seccomp", False),
        ("required", "", True),
    ],
)
def test_a_guest_that_must_be_confined_does_not_run_without_a_measure(
    tmp_path: Path, confine: Any, refused: str, runs: bool
) -> None:
    class Shut(FakeKernel):
        def confine(self, *, virtio: bool = False) -> dict[str, str]:
            taken = super().confine(virtio=virtio)
            return {name: "Function not implemented" if name == refused else "on" for name in taken}

    plan = plan_of(tmp_path)
    plan = replace(plan, steps=(*plan.steps[:-1], RunVcpus(2, (), confine)))
    run = Run(plan, Shut())
    assert ("KVM_CREATE_VCPU" in run.kernel.calls) is runs
    assert run.all_of("confined")[0]["measures"].get(refused, "Function not implemented") == "Function not implemented"
    if not runs:
        failed = run.problem
        assert failed["code"] == "E546"
        assert f"the kernel refused {refused} (Function not implemented)" in failed["message"]
    assert run.kernel.left() == []
