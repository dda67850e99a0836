"""Settings of virtual functions on a real kernel: netdevsim has such functions, and a folder stands for their bus."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import launcher
from launcher.executor.keeper.restore import restore
from launcher.kernel.api import Drivers, GivenUp, VfChange, VfPlace
from launcher.kernel.confine import CAP_NET_ADMIN, ON
from launcher.kernel.real import RealKernel
from launcher.kernel.rtnetlink import Rtnetlink, virtual_functions
from launcher.kernel.virtual_functions import VirtualFunctions
from launcher.plan.plan import Plan
from launcher.plan.steps import KeepState, SetVirtualFunction
from launcher.record import replace
from launcher.values import VfSettings, Vlan
from launcher.vms.folder import StateFolder
from launcher.vms.holdings import holdings
from launcher.vms.looking import wait_until_down
from tests.conftest import EXAMPLES, Cli
from tests.kvm.test_networks import Meeting
from tests.unit.executor.test_killed import live
from tests.vf_rules import CARD, NIC, NOTHING, RULES, Rule

pytestmark = pytest.mark.host("zoo")
BUS = Path("/sys/bus/netdevsim")
CARD_OF_THE_BUS = BUS / "devices/netdevsim1"
WANTED = VfSettings("52:54:00:12:34:56", Vlan(100), trust=True, spoofcheck=True)


@pytest.fixture
def interface() -> Iterator[str]:
    """Of a card with two virtual functions."""
    if not BUS.exists():
        pytest.skip("this kernel has no netdevsim: `./dev lab kernel` makes one that has")
    (BUS / "new_device").write_text("1 1")
    (CARD_OF_THE_BUS / "sriov_numvfs").write_text("2")
    yield next((CARD_OF_THE_BUS / "net").iterdir()).name
    (BUS / "del_device").write_text("1")


def index_of(interface: str) -> int:
    return int(Path(f"/sys/class/net/{interface}/ifindex").read_text())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_kernel_keeps_the_rule_that(interface: str, rule: Rule) -> None:
    with closing(Rtnetlink()) as link:
        rule(link, index_of(interface))


def given(interface: str) -> list[VfSettings]:
    return [one.settings for one in virtual_functions(interface)]


class Simulated(RealKernel):
    """Its bus is a folder. When the keeper has given up its rights, something is done in it."""

    def __init__(self, folder: Path, act: Callable[[GivenUp, int], Any] = lambda *_: None) -> None:
        super().__init__()
        self.virtual_functions = self._functions = VirtualFunctions(_bus(folder))
        self._act = act

    def give_up(self, folder: Path, drivers: Drivers, changes: Sequence[VfChange], runner: int, pidfd: int) -> GivenUp:
        done = super().give_up(folder, drivers, changes, runner, pidfd)
        self._act(done, runner)
        return done


def _bus(folder: Path) -> Path:
    card = folder / "bus" / str(CARD)
    if not card.exists():
        card.mkdir(parents=True)
        (card / "virtfn0").symlink_to(f"../{NIC}")
        (card / "net").symlink_to(CARD_OF_THE_BUS / "net")
    return folder / "bus"


@pytest.fixture
def plan(cli: Cli, interface: str) -> Plan:
    """Of a guest that powers off, with the step behind that of its folder."""
    made = launcher.make_plan(launcher.read_spec(str(cli.spec(EXAMPLES / "hello.elf"))), launcher.this_host())
    keep, *rest = made.steps
    step = SetVirtualFunction(NIC, CARD, 0, interface, NOTHING, WANTED)
    return replace(made, steps=(keep, step, *rest))


def folder_of(plan: Plan) -> Path:
    return next(Path(step.folder) for step in plan.steps if isinstance(step, KeepState))


class Looking(Simulated):
    """It looks before the runner is forked: afterwards its keeper has no such socket."""

    def take_user(self) -> None:
        assert given(self.interface) == [WANTED, NOTHING]
        super().take_user()

    interface = ""


def test_a_guest_runs_with_it_and_what_was_before_is_back(plan: Plan, tmp_path: Path, interface: str) -> None:
    """The keeper has no capability while the guest runs, and the process that sets it back has that one."""
    seen, looked = Meeting(), []

    def look(*_: object) -> None:
        if not looked:
            looked.append(holdings(seen.met()))
            seen.go_on()

    kernel = Looking(tmp_path, lambda done, _: seen.meet(done.standby or 0))
    kernel.interface = interface
    status, report = live(plan, kernel, heard=look)  # type: ignore[arg-type]
    assert (status, (report or {})["left_behind"]) == (0, [])
    assert looked[0].capabilities == 1 << CAP_NET_ADMIN
    assert set((report or {})["standby_confinement"].values()) == {ON}
    assert set((report or {})["keeper_confinement"].values()) == {ON}
    assert given(interface) == [NOTHING, NOTHING]


def test_a_runner_that_is_killed_has_it_set_back(plan: Plan, tmp_path: Path, interface: str) -> None:
    kernel = Simulated(tmp_path, lambda _, runner: os.kill(runner, signal.SIGKILL))
    status, report = live(plan, kernel)  # type: ignore[arg-type]
    assert status == 11
    assert report is not None
    assert report["left_behind"] == []
    assert given(interface) == [NOTHING, NOTHING]


def test_of_a_keeper_that_is_killed_down_sets_it_back(plan: Plan, tmp_path: Path, interface: str) -> None:
    kernel = Simulated(tmp_path, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    assert live(plan, kernel)[0] == -signal.SIGKILL  # type: ignore[arg-type]
    wait_until_down(folder_of(plan))
    assert given(interface) == [WANTED, NOTHING]
    with closing(StateFolder.claim(folder_of(plan))) as folder:
        restore(folder, Simulated(tmp_path))
    assert given(interface) == [NOTHING, NOTHING]


def test_of_a_card_that_has_gone_nothing_is_left(plan: Plan, tmp_path: Path) -> None:
    kernel = Simulated(tmp_path, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    assert live(plan, kernel)[0] == -signal.SIGKILL  # type: ignore[arg-type]
    wait_until_down(folder_of(plan))
    (tmp_path / "bus" / str(CARD) / "virtfn0").unlink()
    with closing(StateFolder.claim(folder_of(plan))) as folder:
        restore(folder, Simulated(tmp_path))
    assert not folder_of(plan).exists()


def test_its_interface_is_found_by_its_card(interface: str, tmp_path: Path) -> None:
    functions = VirtualFunctions(_bus(tmp_path))
    place = VfPlace(NIC, CARD, 0)
    assert functions.change(VfChange(place, NOTHING, WANTED)) == ()
    assert functions.settings(place) == WANTED
    assert given(interface) == [WANTED, NOTHING]
