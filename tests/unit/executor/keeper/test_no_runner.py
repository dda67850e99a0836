"""A keeper that can start no runner."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.copies import Copies, Here
from launcher.executor.keeper.keeper import Keeper
from launcher.executor.keeper.runner_link import RunnerLink
from launcher.kernel.waiting import STOPS
from launcher.vms.channel import Channel
from launcher.vms.folder import StateFolder
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.runner.test_runner import plan_of


@pytest.fixture
def _signals_as_before() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in (*STOPS, signal.SIGCHLD)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_as_before")
def test_copies_for_a_runner_that_is_not_there_are_gone_when_the_host_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That may take long, as may whoever is told the end, and nobody will load them."""
    monkeypatch.setattr(Here, "copies", Copies(os.memfd_create("plan", os.MFD_CLOEXEC)))
    mine, theirs = Channel.pair()
    kernel: Any = FakeKernel()
    keeper = Keeper(plan_of(tmp_path), kernel, StateFolder.claim(tmp_path / "vm"), theirs, reboot=True)
    left: list[tuple[int, ...]] = []
    really: Callable[..., Any] = keeper._changes.put_back

    def put_back(*given: Any) -> Any:
        left.append(Here.copies.descriptors())
        return really(*given)

    def start(*_: object) -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), "fork")

    monkeypatch.setattr(RunnerLink, "start", start)
    monkeypatch.setattr(keeper._changes, "put_back", put_back)
    mine.close()
    assert keeper.run() != 0
    assert left == [()]
