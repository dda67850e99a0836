"""A keeper, its runner and its standby, all real, of a VM whose plan sets a virtual function. What the function has is
in memory that they share, for no card is here; whether somebody may set it, the kernel says.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import launcher
from launcher.executor.keeper.restore import restore
from launcher.kernel.api import Drivers, GivenUp, VfChange, VfPlace
from launcher.kernel.confine import CAP_NET_ADMIN, ON
from launcher.kernel.real import RealKernel
from launcher.kernel.rtnetlink import Rtnetlink, VirtualFunction
from launcher.kernel.virtual_functions import Link, VirtualFunctions
from launcher.plan.plan import Plan
from launcher.plan.steps import KeepState, SetVirtualFunction
from launcher.record import replace
from launcher.values import NO_MAC, PciAddress, VfSettings
from launcher.vms.folder import StateFolder
from launcher.vms.holdings import holdings
from launcher.vms.looking import wait_until_down
from tests.conftest import EXAMPLES, Cli
from tests.unit.executor.test_killed import live

pytestmark = [pytest.mark.kvm, pytest.mark.skipif(os.geteuid() != 0, reason="it takes CAP_NET_ADMIN")]
NIC, CARD = PciAddress.parse("0000:3b:01.0"), PciAddress.parse("0000:3b:00.0")
WANTED, OTHERS = "52:54:00:12:34:56", "02:00:00:00:00:07"
LOOPBACK = 1  # the index of `lo`, which has no virtual functions: EOPNOTSUPP to who may, EPERM to who may not


class Card:
    """Its one virtual function's MAC."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    @property
    def mac(self) -> str:
        return self._page[:6].hex(":")

    @mac.setter
    def mac(self, mac: str) -> None:
        self._page[:6] = bytes.fromhex(mac.replace(":", ""))


class Linked(Rtnetlink):
    def __init__(self, card: Card) -> None:
        super().__init__()
        self._card = card

    def functions(self, index: int) -> tuple[VirtualFunction, ...]:
        super().functions(index)
        return (VirtualFunction(0, VfSettings(self._card.mac)),)

    def set(self, index: int, number: int, settings: VfSettings) -> None:
        try:
            super().set(index, number, settings)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
        self._card.mac = str(settings.mac)


class Functions(VirtualFunctions):
    def interface(self, place: VfPlace, link: Link) -> int:
        return LOOPBACK


class Simulated(RealKernel):
    """When its keeper has given up its rights, something is done in it."""

    def __init__(self, card: Card, act: Callable[[GivenUp, int], Any] = lambda *_: None) -> None:
        super().__init__()
        self.virtual_functions = self._functions = Functions(connect=lambda: Linked(card))
        self._act = act

    def give_up(self, folder: Path, drivers: Drivers, changes: Sequence[VfChange], runner: int, pidfd: int) -> GivenUp:
        done = super().give_up(folder, drivers, changes, runner, pidfd)
        self._act(done, runner)
        return done


@pytest.fixture
def card() -> Card:
    return Card()


@pytest.fixture
def plan(cli: Cli) -> Plan:
    made = launcher.make_plan(launcher.read_spec(str(cli.spec(EXAMPLES / "hello.elf"))), launcher.this_host())
    keep, *rest = made.steps
    step = SetVirtualFunction(NIC, CARD, 0, "eth0", VfSettings(NO_MAC), VfSettings(WANTED))
    return replace(made, steps=(keep, step, *rest))


def lived(plan: Plan, kernel: Any, heard: Any = lambda *_: None) -> tuple[int, dict[str, Any]]:
    status, report = live(plan, kernel, heard=heard)
    return status, report or {}


class Meeting:
    """A keeper says a pid and waits until somebody outside has looked at that process: it may not look itself."""

    def __init__(self) -> None:
        self._said, self._done = os.pipe(), os.pipe()

    def meet(self, pid: int) -> None:
        os.write(self._said[1], str(pid).encode())
        os.read(self._done[0], 1)

    def met(self) -> int:
        return int(os.read(self._said[0], 16))

    def go_on(self) -> None:
        os.write(self._done[1], b"x")


def test_it_is_set_while_the_guest_runs_and_set_back_by_who_has_the_right(plan: Plan, card: Card) -> None:
    seen, looked = Meeting(), []

    def look(*_: object) -> None:
        if not looked:
            looked.extend((holdings(seen.met()), card.mac))
            seen.go_on()

    status, report = lived(plan, Simulated(card, lambda done, _: seen.meet(done.standby or 0)), look)
    assert (status, report["left_behind"]) == (0, [])
    assert looked[0].capabilities == 1 << CAP_NET_ADMIN
    assert looked[1] == WANTED
    assert {report[name]["no_capabilities"] for name in ("keeper_confinement", "standby_confinement")} == {ON}
    assert card.mac == NO_MAC


def test_a_runner_that_is_killed_has_it_set_back(plan: Plan, card: Card) -> None:
    status, report = lived(plan, Simulated(card, lambda _, runner: os.kill(runner, signal.SIGKILL)))
    assert (status, report["left_behind"]) == (11, [])
    assert card.mac == NO_MAC


def test_of_a_keeper_that_is_killed_down_sets_it_back(plan: Plan, card: Card) -> None:
    folder = next(Path(step.folder) for step in plan.steps if isinstance(step, KeepState))
    assert lived(plan, Simulated(card, lambda *_: os.kill(os.getpid(), signal.SIGKILL)))[0] == -signal.SIGKILL
    wait_until_down(folder)
    assert card.mac == WANTED
    with closing(StateFolder.claim(folder)) as claimed:
        restore(claimed, Simulated(card))
    assert card.mac == NO_MAC


def test_what_somebody_else_sets_meanwhile_is_left_and_told(plan: Plan, card: Card) -> None:
    status, report = lived(plan, Simulated(card, lambda *_: setattr(card, "mac", OTHERS)))
    assert (status, report["left_behind"]) == (0, [])
    assert [one["code"] for one in report["diagnostics"]] == ["W543"]
    assert card.mac == OTHERS


def test_a_standby_that_is_lost_leaves_it_to_down(plan: Plan, card: Card) -> None:
    """Killed by root, say; whoever asks it then hears the end of it."""

    class Lost(Simulated):
        def take_user(self) -> None:
            super().take_user()
            self._functions.connect = Dying

    class Dying(Linked):
        def __init__(self) -> None:
            super().__init__(card)

        def functions(self, index: int) -> tuple[VirtualFunction, ...]:
            os.kill(os.getpid(), signal.SIGKILL)
            return super().functions(index)

    folder = next(Path(step.folder) for step in plan.steps if isinstance(step, KeepState))
    status, report = lived(plan, Lost(card))
    assert status == 12
    assert report["left_behind"] == [f"ip link set dev eth0 vf 0 mac {NO_MAC}"]
    with closing(StateFolder.claim(folder)) as claimed:
        restore(claimed, Simulated(card))
    assert card.mac == NO_MAC
