"""The keeper's steps on the fake kernel: drivers changed and put back, whatever the kernel refuses on the way."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.errors import HostNotRestored, LauncherError, StepFailed
from launcher.executor.ending import diagnostics_of
from launcher.executor.keeper.changing import change, check, left_by, memory_of, undo_all
from launcher.executor.keeper.restore import restore
from launcher.plan.step import Step
from launcher.plan.steps import BindDriver, LoadModules
from launcher.values import PciAddress
from launcher.vms.folder import StateFolder
from launcher.vms.journal import Journal
from tests.fakes.host import FakeFunction, FakeHost, dual_card, nvme, old_card
from tests.fakes.kernel import FakeKernel

DRIVE, CARD, IDLE = (PciAddress.parse(f"0000:0{n}:00.0") for n in (1, 2, 3))
STEPS = (
    LoadModules(("vfio-pci",)),
    BindDriver(DRIVE, "nvme", "vfio-pci", None),
    BindDriver(CARD, "r8169", None, "r8169"),
    BindDriver(IDLE, None, "vfio-pci", None),
)
ERRNOS = {
    "modprobe": (errno.ENOENT, errno.EINVAL),
    "driver_override": (errno.EINVAL, errno.ENOMEM, errno.EACCES),
    "unbind": (errno.ETIMEDOUT, errno.ENODEV),
    "drivers_probe": (errno.EINVAL, errno.EBUSY, errno.ENODEV),
}


def a_kernel(fail_at: int = 0, error: int = 0, **drive: object) -> FakeKernel:
    functions = (
        nvme(str(DRIVE), 1, driver="nvme", native="nvme", **drive),
        old_card(str(CARD), 2, driver="r8169", native="r8169", override="r8169"),
        dual_card(str(IDLE), 3, driver=None),
    )
    return FakeKernel(host=FakeHost(functions), fail_at=fail_at, error=error)


def drivers(kernel: FakeKernel) -> list[tuple[str | None, str | None]]:
    return [(one.driver, one.override) for one in kernel.host.functions]


BEFORE = drivers(a_kernel())


class Keeper:
    """What the keeper does with its steps: journal, deed; then all of it back."""

    def __init__(self, kernel: FakeKernel, folder: StateFolder) -> None:
        self.kernel, self.failed = kernel, ""
        self.journal = Journal(folder)

    def change(self) -> None:
        for n, step in enumerate(STEPS, 1):
            if not self._perform(n, step):
                return

    def _perform(self, n: int, step: Step) -> bool:
        memory = memory_of(step, self.kernel)
        if memory is not None:
            self.journal.before(n, step.op, memory)
        try:
            change(step, self.kernel)
        except (OSError, LauncherError) as error:
            self.failed = diagnostics_of(step, error)[0].message
            return False
        return True

    def put_back(self) -> list[int]:
        """Numbers of the steps that are left."""
        return [entry.n for entry, _ in undo_all(left_by(self.journal), self.journal, self.kernel)]


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[StateFolder]:
    return (StateFolder.claim(tmp_path / f"vm-{n}") for n in range(1000))


def test_drivers_are_changed_and_put_back(folders: Iterator[StateFolder]) -> None:
    keeper = Keeper(a_kernel(), next(folders))
    keeper.change()
    assert drivers(keeper.kernel) == [("vfio-pci", "vfio-pci"), (None, "r8169"), ("vfio-pci", "vfio-pci")]
    assert keeper.put_back() == []
    assert drivers(keeper.kernel) == BEFORE
    assert keeper.journal.pending() == []


def test_whichever_call_fails_the_drivers_are_as_before_and_the_step_is_named(folders: Iterator[StateFolder]) -> None:
    whole = Keeper(a_kernel(), next(folders))
    whole.change()
    assert set(whole.kernel.calls) == set(ERRNOS)
    for k, name in enumerate(whole.kernel.calls, 1):
        for error in ERRNOS[name]:
            keeper = Keeper(a_kernel(fail_at=k, error=error), next(folders))
            keeper.change()
            assert f"({name})" in keeper.failed, (k, name)
            assert keeper.failed.startswith("failed to "), (k, name)
            assert keeper.put_back() == [], (k, name)
            assert drivers(keeper.kernel) == BEFORE, (k, name)


def test_whichever_call_of_putting_back_fails_it_is_put_back_the_next_time(folders: Iterator[StateFolder]) -> None:
    whole = Keeper(a_kernel(), next(folders))
    whole.change()
    done = len(whole.kernel.calls)
    whole.put_back()
    assert len(whole.kernel.calls) > done + 5
    for k in range(done + 1, len(whole.kernel.calls) + 1):
        keeper = Keeper(a_kernel(fail_at=k, error=errno.EIO), next(folders))
        keeper.change()
        assert len(keeper.put_back()) == 1, k
        assert keeper.put_back() == [], k
        assert drivers(keeper.kernel) == BEFORE, k


def test_a_driver_that_never_lets_go_keeps_its_device_and_loses_our_override(folders: Iterator[StateFolder]) -> None:
    keeper = Keeper(a_kernel(holds_on=True), next(folders))
    keeper.change()
    assert "Connection timed out (unbind)" in keeper.failed
    assert keeper.put_back() == []
    assert drivers(keeper.kernel) == BEFORE


def test_a_probe_that_binds_nothing_is_a_failed_step(folders: Iterator[StateFolder]) -> None:
    keeper = Keeper(a_kernel(refusing=("vfio-pci",)), next(folders))
    keeper.change()
    assert keeper.failed == "vfio-pci does not take 0000:01:00.0, which is on no driver"
    assert keeper.put_back() == []
    assert drivers(keeper.kernel) == BEFORE


def test_a_function_that_is_not_as_planned_is_not_touched() -> None:
    kernel = a_kernel()
    with pytest.raises(StepFailed, match="was on xhci_hcd when it was planned"):
        check(BindDriver(DRIVE, "xhci_hcd", "vfio-pci", None), kernel)
    assert kernel.calls == []


@pytest.mark.parametrize("call", ["", "driver_override", "unbind", "drivers_probe"])
def test_a_function_that_goes_before_it_is_given_to_vfio_is_named(
    folders: Iterator[StateFolder], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It is pulled out before the first look at it, or after one of the calls."""
    keeper, count = Keeper(a_kernel(), next(folders)), FakeKernel.call
    rest = keeper.kernel.host.functions[1:]

    def pull_out(kernel: FakeKernel, name: str) -> None:
        count(kernel, name)
        if name == call:
            kernel.host.functions = rest

    monkeypatch.setattr(FakeKernel, "call", pull_out)
    if not call:
        keeper.kernel.host.functions = rest
    keeper.change()
    assert keeper.failed == "0000:01:00.0 has gone since it was planned"
    assert keeper.put_back() == []


def test_a_function_that_has_gone_meanwhile_is_put_back(folders: Iterator[StateFolder]) -> None:
    keeper = Keeper(a_kernel(), next(folders))
    keeper.change()
    keeper.kernel.host.functions = keeper.kernel.host.functions[1:]
    assert keeper.put_back() == []


def test_what_cannot_be_put_back_is_said_with_the_commands_and_put_back_later(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    keeper = Keeper(a_kernel(), folder)
    keeper.change()
    drive: FakeFunction = keeper.kernel.host.functions[0]
    drive.refusing = ("nvme",)
    with pytest.raises(HostNotRestored, match="could not be put back") as raised:
        restore(folder, keeper.kernel)
    assert "echo 0000:01:00.0 > /sys/bus/pci/drivers_probe" in raised.value.diagnostics[0].help[0]
    assert drivers(keeper.kernel)[1:] == BEFORE[1:]
    drive.refusing = ()
    folder.close()
    folder = StateFolder.claim(tmp_path / "vm")
    restore(folder, keeper.kernel)
    assert drivers(keeper.kernel) == BEFORE
    assert not Path(folder.path).exists()
