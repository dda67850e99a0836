"""A signal that comes after the VM has ended: `up` has nothing to stop, and tells the end."""

from __future__ import annotations

import os
import signal
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from launcher.cli.attach import Attachment, Manner, signals_as_before


def attachment(gone: bool, owner: bool) -> Attachment:
    """Of a VM that is not followed any more: it has ended, or we leave it."""
    ours, _ = socket.socketpair()
    talk: Any = SimpleNamespace(
        gone=gone, awaited=None, running=object(), stopping=None, writer=None, fileno=ours.fileno, leave=lambda: None
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
