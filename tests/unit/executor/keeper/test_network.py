"""What virtual functions are given, changed and put back; whichever call fails, whoever else has changed it."""

from __future__ import annotations

import errno
import json
from contextlib import closing
from pathlib import Path

import pytest

from launcher.errors import HostNotRestored, StepFailed
from launcher.executor.keeper.changing import change, check, commands, describe, left_by, memory_of, undo_all
from launcher.executor.keeper.restore import restore
from launcher.plan.steps import SetVirtualFunction
from launcher.record import replace
from launcher.values import NO_MAC, PciAddress, VfSettings, Vlan
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import JOURNAL
from launcher.vms.journal import Entry, Journal
from tests.fakes.host import FakeFunction, FakeHost, dual_card
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import guest
from tests.unit.executor.test_killed import GIVEN, Killing, a_host, a_plan, live

NIC, CARD = PciAddress.parse("0000:3b:01.3"), PciAddress.parse("0000:3b:00.0")
BEFORE = VfSettings(NO_MAC, Vlan(7, 3, "802.1ad"), trust=False, spoofcheck=False)
AFTER = VfSettings("52:54:00:12:34:56", Vlan(100), trust=True, spoofcheck=True)
STEP = SetVirtualFunction(NIC, CARD, 3, "eth0", BEFORE, AFTER)
ERRNOS = {
    "RTM_GETLINK": (errno.ENODEV, errno.ENOBUFS, errno.ETIMEDOUT),
    "RTM_SETLINK": (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.EAGAIN),
}


def a_kernel(fail_at: int = 0, error: int = errno.EIO) -> FakeKernel:
    nic = dual_card(str(NIC), 33, physical=CARD, number=3, told=BEFORE)
    return FakeKernel(host=FakeHost((nic,)), fail_at=fail_at, error=error)


def nic_of(kernel: FakeKernel) -> FakeFunction:
    return kernel.host.functions[0]


def done(kernel: FakeKernel, folder: StateFolder, step: SetVirtualFunction = STEP) -> Journal:
    """As a keeper does it."""
    journal = Journal(folder)
    check(step, kernel)
    journal.before(1, step.op, memory_of(step, FakeKernel()) or {})
    change(step, kernel)
    return journal


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder.claim(tmp_path / "vm")


def test_what_is_said_is_set_and_put_back(folder: StateFolder) -> None:
    kernel = a_kernel()
    journal = done(kernel, folder)
    assert nic_of(kernel).told == AFTER
    assert undo_all(left_by(journal), journal, kernel) == []
    assert nic_of(kernel).told == BEFORE
    assert journal.pending() == []


def test_what_is_not_said_is_left(folder: StateFolder) -> None:
    kernel = a_kernel()
    done(kernel, folder, replace(STEP, before=BEFORE.only(["vlan"]), after=AFTER.only(["vlan"])))
    assert nic_of(kernel).told == replace(BEFORE, vlan=AFTER.vlan)


def test_what_is_not_as_planned_is_not_touched(folder: StateFolder) -> None:
    kernel = a_kernel()
    nic_of(kernel).told = replace(BEFORE, trust=True)
    with pytest.raises(StepFailed, match="trust on, spoofcheck off, and had MAC none, VLAN 7 qos 3 "):
        check(STEP, kernel)
    assert "RTM_SETLINK" not in kernel.calls


def test_whichever_call_of_putting_back_fails_it_is_put_back_the_next_time(tmp_path: Path) -> None:
    whole = a_kernel()
    journal = done(whole, StateFolder.claim(tmp_path / "whole"))
    begins = len(whole.calls)
    undo_all(left_by(journal), journal, whole)
    assert whole.calls[begins:] == ["RTM_GETLINK", "RTM_SETLINK", "RTM_SETLINK", "RTM_GETLINK"]
    for at in range(begins + 1, len(whole.calls) + 1):
        for error in ERRNOS[whole.calls[at - 1]]:
            kernel = a_kernel(at, error)
            journal = done(kernel, StateFolder.claim(tmp_path / f"vm-{at}-{error}"))
            ((entry, refused),) = undo_all(left_by(journal), journal, kernel)
            assert refused.errno == error, (at, error)
            assert commands(entry).startswith(
                "ip link set dev eth0 vf 3 mac 00:00:00:00:00:00 vlan 7 qos 3 proto 802.1ad"
            )
            assert undo_all(left_by(journal), journal, kernel) == []
            assert nic_of(kernel).told == BEFORE


def test_what_somebody_else_has_set_since_is_left_and_told(folder: StateFolder) -> None:
    kernel, told = a_kernel(), []
    journal = done(kernel, folder)
    nic_of(kernel).told = replace(AFTER, mac="02:00:00:00:00:07")
    assert undo_all(left_by(journal), journal, kernel, lambda n, note: told.append((n, note))) == []
    words = "vf 3 of eth0 (0000:3b:01.3) has MAC that somebody else has set since: left as it is"
    assert told == [(1, words)]
    assert nic_of(kernel).told == replace(BEFORE, mac="02:00:00:00:00:07")


def test_a_half_of_it_that_was_done_is_put_back(folder: StateFolder) -> None:
    """A keeper that was killed, or a driver that refused the rest."""
    kernel = a_kernel()
    journal = done(kernel, folder)
    nic_of(kernel).told = replace(BEFORE, mac=AFTER.mac)
    assert undo_all(left_by(journal), journal, kernel) == []
    assert nic_of(kernel).told == BEFORE


def test_one_that_is_gone_took_its_settings_with_it(folder: StateFolder) -> None:
    kernel = a_kernel()
    done(kernel, folder).close()
    kernel.host.functions = ()
    restore(folder, kernel)
    assert not Path(folder.path).exists()


def test_another_that_has_its_address_now_is_not_touched(folder: StateFolder) -> None:
    kernel = a_kernel()
    done(kernel, folder).close()
    nic_of(kernel).number = 2
    calls = len(kernel.calls)
    restore(folder, kernel)
    assert "RTM_SETLINK" not in kernel.calls[calls:]


def test_an_interface_that_is_elsewhere_keeps_the_journal(folder: StateFolder) -> None:
    """In another network namespace than `down`: it is there, and has our settings."""
    kernel = a_kernel()
    done(kernel, folder).close()
    nic_of(kernel).answered = False
    with pytest.raises(HostNotRestored) as raised:
        restore(folder, kernel)
    assert raised.value.diagnostics[0].evidence == (
        "vf 3 of eth0 (0000:3b:01.3) back to MAC none, VLAN 7 qos 3 802.1ad, trust off, spoofcheck off: No such device",
    )
    assert (Path(folder.path) / JOURNAL).exists()


@pytest.mark.parametrize(
    "change_",
    [
        {"interface": "eth0; reboot"}, {"interface": "../eth0"}, {"interface": ""}, {"interface": "a\nb"},
        {"interface": "e" * 16}, {"number": -1}, {"before": {"mac": "00:00"}}, {"before": {"mac": NO_MAC}},
        {"after": {}}, {"address": "../x"}, {"physical": None}, {"after": {"vlan": {"id": 5000}}},
    ],
)  # fmt: skip
def test_no_line_of_a_journal_leads_to_a_command_or_a_setting_that_is_not_ours(change_: dict[str, object]) -> None:
    kept = json.loads(json.dumps(memory_of(STEP, FakeKernel()))) | change_
    entry = Entry(1, STEP.op, kept)
    assert commands(entry).startswith("# the journal's entry is not one of ours: ")
    assert describe(entry) == "set-virtual-function of step 1"


def test_the_step_says_what_it_was_and_what_it_becomes() -> None:
    words = "MAC none -> 52:54:00:12:34:56, VLAN 7 qos 3 802.1ad -> 100, trust off -> on, spoofcheck off -> on"
    assert STEP.describe() == f"0000:3b:01.3  vf 3 of eth0: {words}"


def test_a_dead_keepers_change_is_put_back_by_down(tmp_path: Path) -> None:
    kernel = a_kernel()
    with closing(StateFolder.claim(tmp_path / "vm")) as folder:
        done(kernel, folder).close()
    with closing(StateFolder.claim(tmp_path / "vm")) as folder:
        restore(folder, kernel)
    assert nic_of(kernel).told == BEFORE


def test_down_says_what_it_leaves_to_somebody_else(tmp_path: Path) -> None:
    kernel, told = a_kernel(), []
    with closing(StateFolder.claim(tmp_path / "vm")) as folder:
        done(kernel, folder).close()
    nic_of(kernel).told = replace(AFTER, vlan=Vlan(5))
    with closing(StateFolder.claim(tmp_path / "vm")) as folder:
        restore(folder, kernel, told=told.append)
    assert [(one.code, "has VLAN that somebody else" in one.message) for one in told] == [("W543", True)]
    assert nic_of(kernel).told == replace(BEFORE, vlan=Vlan(5))


class Meddled(Killing):
    """Somebody else sets another MAC before the runner is there."""

    def take_user(self) -> None:
        one = self.host.functions[2]
        one.told = replace(one.told, mac="02:00:00:00:00:07")
        self.host.keep()


def test_the_report_of_a_vm_says_what_was_left_to_somebody_else(tmp_path: Path) -> None:
    status, report = live(a_plan(tmp_path), Meddled(host=a_host(tmp_path), events=guest()))
    assert (status, (report or {})["left_behind"]) == (0, [])
    assert [one["code"] for one in (report or {})["diagnostics"]] == ["W543"]
    assert a_host(tmp_path).told()[2] == replace(GIVEN[0], mac="02:00:00:00:00:07")
