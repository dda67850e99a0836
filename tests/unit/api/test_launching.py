"""Who lets a keeper begin, and what is left of it when it does not: nothing."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType

import pytest

from launcher.api import launching
from launcher.api.launching import Launch
from launcher.codec import DecodeError
from launcher.errors import Refused
from launcher.executor.launch import Launched
from launcher.kernel.handed import Handed
from launcher.plan.codec import plan_from_json
from launcher.plan.plan import Plan
from launcher.vms.channel import Channel, Closed
from launcher.vms.notices import Begun, notice_to_json
from launcher.vms.words import Bug, say
from tests.conftest import PATIENCE, ROOT

PAUSE = 0.2  # seconds


@pytest.fixture
def plan() -> Plan:
    return plan_from_json(json.loads((ROOT / "tests" / "plans" / "small-on-cloud-vm.json").read_text()))


def launch(
    monkeypatch: pytest.MonkeyPatch, ordered: Callable[[Channel], None], given: Handed = MappingProxyType({})
) -> tuple[Launch, int, int]:
    """With a keeper that does this once it is ordered to begin, and goes when nobody is there; its pid, and the paper's
    descriptor."""
    mine, theirs = Channel.pair()
    paper = os.memfd_create("plan", os.MFD_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        mine.close()
        with suppress(Closed):
            theirs.receive()
            ordered(theirs)
            theirs.receive()
        os._exit(3)
    theirs.close()
    monkeypatch.setattr(launching, "start", lambda: Launched(pid, mine, paper, given))
    return Launch(), pid, paper


def check_nothing_is_left(pid: int, paper: int) -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(paper)


def test_of_a_keeper_whose_plan_cannot_be_read_here_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    made, pid, paper = launch(monkeypatch, lambda _: None)
    text = b'{"plan": {}}'
    os.write(paper, len(text).to_bytes(8) + text)
    with pytest.raises(DecodeError):
        made.begin()
    check_nothing_is_left(pid, paper)


def test_who_is_interrupted_lets_go_of_the_keeper(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    made, pid, paper = launch(monkeypatch, lambda _: os.kill(os.getppid(), signal.SIGINT))
    made.hand_over(plan)
    with pytest.raises(KeyboardInterrupt):
        made.begin()
    check_nothing_is_left(pid, paper)


def test_a_keeper_that_was_killed_does_not_say_that_the_host_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> None:
    made, *_ = launch(monkeypatch, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    made.hand_over(plan)
    with pytest.raises(Refused):
        made.begin()
    assert not made.restored


def test_who_is_refused_something_when_he_has_left_does_not_wait_for_the_keeper(
    monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> None:
    made, *_ = launch(monkeypatch, lambda owner: owner.send(notice_to_json(Begun())))
    made.hand_over(plan)
    made.begin()
    made.talk(lambda _: None, lambda _: None).leave()
    refused = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    assert made.given_up(refused) is refused
    made.close()


def test_a_bug_of_a_keeper_that_begins_is_told(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    made, pid, paper = launch(monkeypatch, lambda owner: owner.send(say(Bug("Traceback\n  in line 3"))))
    made.hand_over(plan)
    with pytest.raises(Refused, match="lost before it began") as caught:
        made.begin()
    assert caught.value.diagnostics[0].evidence == ("Traceback", "  in line 3")
    check_nothing_is_left(pid, paper)


@pytest.mark.parametrize("handed", [False, True])
def test_who_planned_is_waited_for_before_only_where_it_has_what_was_handed_in(
    monkeypatch: pytest.MonkeyPatch, plan: Plan, handed: bool
) -> None:
    """It ends when the keeper has its order, or would, after a while, else."""

    def ordered(owner: Channel) -> None:
        os.write(writing, b"!")
        owner.send(notice_to_json(Begun()))

    def exit_code_of(deed: Callable[[], int]) -> int:
        deed()
        return 0 if select.select([reading], [], [], PAUSE if handed else PATIENCE)[0] else 1

    reading, writing = os.pipe()
    made, pid, paper = launch(monkeypatch, ordered, {"/dev/vfio/7": ()} if handed else {})
    assert made.plan_apart(lambda: plan, exit_code_of) is None
    planner = made._planner
    assert planner is not None
    statuses: list[int] = []
    monkeypatch.setattr(type(planner), "reap", lambda one: statuses.append(os.waitpid(one.pid, 0)[1]))
    assert made.begin() == plan
    assert statuses == [handed << 8]
    made.close()
    check_nothing_is_left(pid, paper)
    os.close(reading)
    os.close(writing)
