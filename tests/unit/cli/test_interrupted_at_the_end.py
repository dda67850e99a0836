"""A signal that comes after the VM has ended: `up` has nothing to stop, and tells the end.

And one that comes when the VM has begun, and nobody follows it yet: it is for the VM.
"""

from __future__ import annotations

import os
import signal
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from launcher.cli.attach import Attachment, Manner
from launcher.cli.signals import STOPS, signals_as_before, signals_held
from launcher.kernel.resting import Rest


def attachment(gone: bool, owner: bool) -> Attachment:
    """Of a VM that is not followed any more: it has ended, or we leave it."""
    ours, _ = socket.socketpair()
    talk: Any = SimpleNamespace(
        gone=gone,
        awaited=None,
        running=object(),
        stopping=None,
        writer=None,
        rest=Rest(),
        fileno=ours.fileno,
        leave=lambda: None,
    )
    output: Any = SimpleNamespace(waiting=b"", line_open=False)
    made = Attachment(talk, output, Manner(typed=True, owner=owner), lambda: None)
    made.left = not gone
    return made


def test_after_the_end_of_our_vm_an_interrupt_breaks_nothing_off() -> None:
    before = signal.getsignal(signal.SIGINT)
    with signals_as_before():
        attachment(gone=True, owner=True).follow()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_from_a_vm_that_runs_on_we_can_be_called_away() -> None:
    before = signal.getsignal(signal.SIGINT)
    with signals_as_before():
        attachment(gone=False, owner=True).follow()
        assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("number", STOPS)
def test_one_that_comes_too_early_is_passed_on(number: signal.Signals) -> None:
    heard = []
    made: Any = attachment(gone=False, owner=True)
    made.left = False

    def passed_on(one: int) -> None:
        heard.append(one)
        made.left = True

    made._talk.signalled = passed_on
    with signals_as_before(), signals_held() as let_come:
        os.kill(os.getpid(), number)
        made.follow(let_come)
    assert heard == [number]
    assert not signal.sigpending()


def test_one_that_nobody_comes_to_follow_for_is_late_and_not_lost() -> None:
    heard = []

    def interrupted() -> None:
        with signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            heard.append("nothing")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert heard
