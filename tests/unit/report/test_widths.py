"""How wide what is drawn is: on terminals of any width, and elsewhere."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from launcher.errors import Diagnostic
from launcher.plan.outcome import FORMAT_VERSION, End, Report, StepOutcome, VcpuReport
from launcher.record import replace
from launcher.report.diagnostics import as_text
from launcher.report.lines import ENDLESS, columns_of, fitted, width_of, wrapped
from launcher.report.progress import text_lines
from launcher.report.report_text import print_report
from tests.planning import EXAMPLE, host, plan

REGISTERS = {f"r{n}": n << 60 for n in range(18)}
CRASH = End("crash", "triple fault \x1b[31m", 13, REGISTERS)
REPORT = Report(
    FORMAT_VERSION, "vm", "ended", 7, "2026-01-01T00:00:00+00:00", 1.5, (VcpuReport(0, None, 3),), end=CRASH
)


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, int]]:
    """A terminal, and the end from which its size is set."""
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as stream:
        yield stream, leader
    os.close(leader)


def test_a_sentence_fits_the_terminal_and_is_whole_elsewhere(terminal: tuple[TextIO, int]) -> None:
    stream, leader = terminal
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("4H", 24, 60, 0, 0))
    said = "vmlaunch logs: there is no option --since; the log has no times\nverbs: up"
    assert fitted(said, stream).splitlines() == [
        "vmlaunch logs: there is no option --since; the log has no", "times", "verbs: up"
    ]  # fmt: skip
    assert fitted(said, io.StringIO()) == said


@pytest.mark.parametrize(("columns", "width"), [(0, 100), (20, 60), (72, 72), (80, 80), (250, 250)])
def test_a_terminal_has_its_own_width(terminal: tuple[TextIO, int], columns: int, width: int) -> None:
    stream, leader = terminal
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    assert width_of(stream) == width
    assert columns_of(stream) == max(columns or 100, 60)


def test_what_is_no_terminal_is_100_wide() -> None:
    assert width_of(io.StringIO()) == 100
    assert columns_of(io.StringIO()) == ENDLESS


def test_no_word_is_broken_for_somebody_may_copy_it() -> None:
    path = "/var/lib/images/" + "a" * 60
    assert wrapped("  = ", f"write to {path} or not", 40) == ["  = write to", f"    {path}", "    or not"]
    assert wrapped("", path, 40) == [path]
    assert wrapped("", path, 40, whole=False) == [path[:40], path[40:]]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_sentences_are_wrapped_for_a_terminal_and_whole_elsewhere(width: int) -> None:
    sentence = " ".join(["bank", "0,", "transparent", "huge", "pages"] * 8)
    found = [Diagnostic("E507", sentence, evidence=(sentence,), help=(sentence,))]
    lines = as_text(found, {}, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert {word for line in lines for word in line.split()} >= set(sentence.split())
    assert as_text(found, {}).splitlines() == [f"error[E507]: {sentence}", f"  = {sentence}", f"  = help: {sentence}"]


@pytest.mark.parametrize(
    "note", ["", "failed to read the file that was named here: No such file or directory, or no rights"]
)
@pytest.mark.parametrize("width", [60, 80, 200])
def test_nothing_of_a_step_that_is_over_is_cut(width: int, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.report.progress.width_of", lambda _: width)
    made, stream = plan(EXAMPLE.read_text(), host("gpu07")), io.StringIO()
    tell = text_lines(made.steps, stream, live=False)
    for n in range(1, len(made.steps) + 1):
        tell(StepOutcome(n, "failed" if note else "done", note=note, seconds=1))
    assert max(map(len, stream.getvalue().splitlines())) <= width
    said = " ".join(stream.getvalue().split())
    for step in made.steps:
        for word in f"{step.describe()} {note}".split():
            assert word in said


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_report_fits_with_its_registers_and_has_no_trailing_blanks(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.report.report_text.width_of", lambda _: width)
    stream = io.StringIO()
    print_report(REPORT, stream, colour=False)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]
    assert all(f"{value:016x}" in stream.getvalue() for value in REGISTERS.values())
    assert "\x1b" not in stream.getvalue()


LONG = f"/run/vmlaunch/{'a' * 90}/console.log and a sentence that is longer than a line of any of these terminals"


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize(
    "report", [REPORT, replace(REPORT, end=None, phase="running", console=LONG, name="n" * 60, reboots=2)]
)
def test_it_says_the_same_with_colours_and_without(report: Report, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.report.report_text.width_of", lambda _: width)
    plain, coloured = io.StringIO(), io.StringIO()
    print_report(report, plain, colour=False)
    print_report(report, coloured, colour=True)
    assert "\x1b[2m" in coloured.getvalue()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", coloured.getvalue()).splitlines()
    assert [line.rstrip() for line in lines] == plain.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_step_in_hand_never_wraps_so_that_it_can_be_drawn_anew(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.report.progress.width_of", lambda _: width)
    made, stream = plan(EXAMPLE.read_text(), host("gpu07")), io.StringIO()
    tell = text_lines(made.steps, stream, live=True)
    for n in range(1, len(made.steps) + 1):
        tell(StepOutcome(n, "progress", done=1 << 30, total=64 << 30))
    assert max(map(len, stream.getvalue().split("\r\x1b[K"))) < width
