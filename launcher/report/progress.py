"""StepOutcomes in, lines on a stream out while a plan is carried out: live on a terminal, plain on a pipe, or JSON."""

from __future__ import annotations

from launcher.codec import encode
from launcher.json_text import dumps
from launcher.plan.outcome import Observer, StepOutcome
from launcher.plan.step import Step
from launcher.report.frame import visible
from launcher.report.lines import WIDE, width_of, wrapped
from launcher.typed import TextIO
from launcher.values import show_size

CLEAR, GOES_ON = "\r\x1b[K", " ..."
WORDS = {"failed": "failed", "undone": "undone", "not-undone": "could not be undone"}


def json_lines(steps: tuple[Step, ...], stream: TextIO) -> Observer:
    """Each outcome with the op and the text of its step."""

    def tell(outcome: StepOutcome) -> None:
        step = steps[outcome.n - 1]
        stream.write(dumps({"outcome": {**encode(outcome), "op": step.op, "text": step.describe()}}) + "\n")
        stream.flush()

    return tell


def text_lines(steps: tuple[Step, ...], stream: TextIO, *, live: bool) -> Observer:
    """One line for each finished step; `live` redraws the one in hand. Undoing is told only after a failure.

    Who waits says for whom: once for each step where nothing can be redrawn.
    """
    failed, width, waited = False, width_of(stream), 0

    def tell(outcome: StepOutcome) -> None:
        nonlocal failed, waited
        failed = failed or outcome.state == "failed"
        if outcome.state in ("started", "progress"):
            if live:
                stream.write(CLEAR + _line(outcome, steps, width - len(GOES_ON) - 1) + GOES_ON)
            elif outcome.note and waited != outcome.n:
                waited = outcome.n
                stream.write(_line(outcome, steps, width) + GOES_ON + "\n")
        elif failed or outcome.state in ("done", "not-undone"):
            stream.write((CLEAR if live else "") + _whole(outcome, steps, width) + "\n")
        stream.flush()

    return tell


def _line(outcome: StepOutcome, steps: tuple[Step, ...], width: int) -> str:
    """One that a terminal of this width does not wrap, or it could not be drawn anew."""
    text, right, room = _columns(outcome, steps, width)
    text = text if len(text) <= room else text[: room - 3] + "..."
    return f"{text:<{room}}  {right}".rstrip()


def _whole(outcome: StepOutcome, steps: tuple[Step, ...], width: int) -> str:
    """Of a step that is over: nothing of it is cut."""
    text, right, room = _columns(outcome, steps, width)
    start = text[: len(f"   1/{len(steps)}  ")]
    if len(right) > width // 2:
        return "\n".join(wrapped(start, f"{text[len(start) :]}  {right}", width))
    first, *rest = wrapped(start, text[len(start) :], room)
    return "\n".join([f"{first:<{room}}  {right}".rstrip(), *rest])


def _columns(outcome: StepOutcome, steps: tuple[Step, ...], width: int) -> tuple[str, str, int]:
    """The step, what is said of it at the right, and the room that this leaves."""
    text = visible(f"{outcome.n:4}/{len(steps)}  {steps[outcome.n - 1].describe()}")
    right = visible(_right(outcome))
    return text, right, max(min(width, max(len(text) + len(right) + 2, WIDE)) - len(right) - 2, 16)


def _right(outcome: StepOutcome) -> str:
    if outcome.state == "progress" and outcome.note:
        return outcome.note
    if outcome.state == "progress":
        return f"{show_size(outcome.done)} of {show_size(outcome.total)}"
    if outcome.state == "done":
        return show_seconds(outcome.seconds)
    note = f": {outcome.note}" if outcome.note else ""
    return WORDS.get(outcome.state, "") + note


def show_seconds(seconds: float) -> str:
    """How long something took: 0.3 ms, 120 ms, 2.5 s, 3 min 5 s."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"
