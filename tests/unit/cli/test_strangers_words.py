"""Words of a guest, a runner or other users that commands repeat: neither a terminal nor systemd obeys them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from launcher.cli.console import ended
from launcher.cli.notify import Systemd
from launcher.cli.up import _tell_bug
from launcher.plan.outcome import End, Report

EVIL = "\x1b]0;title\x07\x9b2J"


def test_what_a_runner_calls_a_bug_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert _tell_bug(f"Traceback:\n  {EVIL}") == 70
    assert capsys.readouterr().err.startswith("Traceback:\n  \\x1b]0;title\\x07\\x9b2J\n")


def test_how_a_vm_ended_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("1.0", f"vm{EVIL}", "ended", 1, None, None, end=End("crash", EVIL, 13))
    assert ended(report, as_json=False) == 13
    assert not {"\x1b", "\x07", "\x9b"} & set(capsys.readouterr().err)


def test_a_status_for_systemd_is_one_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell("STATUS=load ./k\nREADY=1\x1b", "STOPPING=1")
        assert manager.recv(1000).decode().split("\n") == ["STATUS=load ./k\ufffdREADY=1\ufffd", "STOPPING=1"]
