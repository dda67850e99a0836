"""What a keeper tells is read as it was told; what no keeper tells is of another version, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from launcher.codec import DecodeError
from launcher.errors import Diagnostic
from launcher.plan.codec import report_to_json
from launcher.plan.outcome import End, Report, StepOutcome
from launcher.vms import notices
from launcher.vms.limits import MOST_TRACE
from launcher.vms.orders import AskReport, Watch
from launcher.vms.words import Bug, Failed

REPORT = Report("1.0", "vm", "ended", 1, "2026-01-01T00:00:00+00:00", 1.5, end=End("power-off", "it did", 0))
DIAGNOSTIC = Diagnostic("E529", "a group is taken", help=("try again",))
TOLD: dict[str, tuple[notices.Notice, dict[str, Any]]] = {
    "begun": (notices.Begun(), {"begun": True}),
    "up": (notices.NameIsTaken("/run/\udce9"), {"up": "/run/\udce9"}),
    "refused": (notices.NotBegun((DIAGNOSTIC,), 4), {"refused": [DIAGNOSTIC.as_json()], "exit_code": 4}),
    "outcome": (StepOutcome(2, "started"), {}),
    "running": (notices.IsRunning(REPORT), {"running": report_to_json(REPORT)}),
    "stopping": (notices.IsStopping("SIGINT"), {"stopping": "SIGINT"}),
    "ending": (notices.IsEnding(), {"ending": True}),
    "report": (notices.HasEnded(REPORT), {"report": report_to_json(REPORT)}),
    "known": (notices.Known(REPORT), {"known": report_to_json(REPORT)}),
    "now": (notices.Now(REPORT), {"now": report_to_json(REPORT)}),
    "watching": (notices.Watching(), {"watching": True}),
    "writer": (notices.MayType(False), {"writer": False}),
    "taken": (notices.Taken(), {"taken": True}),
    "full": (notices.Full(100), {"full": 100}),
    "failed": (Failed((DIAGNOSTIC,)), {}),
    "bug": (Bug("Traceback ..."), {"bug": "Traceback ..."}),
}


@pytest.mark.parametrize("name", notices.NOTICES)
def test_each_notice_is_read_as_it_was_told(name: str) -> None:
    notice, plain = TOLD[name]
    told = notices.notice_to_json(notice)
    assert told == plain or (not plain and list(told) == [name])
    assert notices.notice_from_json(json.loads(json.dumps(told))) == notice


def test_what_no_client_knows_is_nothing() -> None:
    assert notices.notice_from_json({}) is None
    assert notices.notice_from_json({"weather": "fine"}) is None


@pytest.mark.parametrize(
    "message",
    [
        {"bug": "x" * (MOST_TRACE + 1)},
        {"stopping": "\ud800"},
        {"writer": 1},
        {"full": -1},
        {"outcome": {"n": 1, "state": "flown"}},
        {"report": {}},
        {"refused": [{}], "exit_code": 1},
    ],
)
def test_what_no_keeper_tells_is_of_another_version(message: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        notices.notice_from_json(message)


def test_what_all_are_told_is_no_answer_and_an_answer_of_another_version_is_one() -> None:
    assert not notices.is_answer({"outcome": {}}, AskReport())
    assert notices.is_answer({"known": {"of": "another version"}}, AskReport())
    assert notices.is_answer({"full": 100}, Watch("logs"))
