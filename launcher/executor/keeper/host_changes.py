"""The keeper's own steps in; the host changed, each step in the journal before it, and put back, last one first, out.

A driver may take its time to let go. Meanwhile, and between two steps, the keeper listens: a stop is heard before the
next thing is changed.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from launcher.errors import Diagnostic, LauncherError
from launcher.executor.keeper.changing import OWN, change, check, left_by, left_so, memory_of, undo_all
from launcher.executor.keeper.undo import NothingDone
from launcher.kernel.api import Kernel
from launcher.plan.outcome import StepOutcome
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.vms.journal import Entry, Journal

SECOND = 1.0
# Hears signals and clients for at most so many seconds; True as soon as the descriptor is readable.
Listen = Callable[[int | None, float], bool]
Tell = Callable[[StepOutcome], None]


# A saved plan with a number that nothing can hold, or with a text that is no path.
UNFIT = (ValueError, OverflowError)


class StoppedAtStep(Exception):
    """Somebody said stop: before this step, or between two calls of it."""


class HostChanges:
    """`tell` is given each outcome; `stopped` says who wants the VM to stop; None: nobody does."""

    def __init__(
        self, plan: Plan, kernel: Kernel, tell: Tell, listen: Listen, stopped: Callable[[], str | None]
    ) -> None:
        self._steps = [(n, step) for n, step in enumerate(plan.steps, 1) if step.by == "keeper"]
        self._kernel, self._tell, self._listen, self._stopped = kernel, tell, listen, stopped
        self._at = 0  # the step in hand
        self._began = monotonic()
        self._putting_back = False
        self.left_so: list[Diagnostic] = []  # of what was put back, what is as somebody else has set it
        kernel.waits = self._wait

    def make(self, journal: Journal) -> tuple[Step, OSError | LauncherError] | None:
        """None when all are made, or somebody said stop; else the step that failed, and why."""
        for n, step in self._steps:
            self._at, self._began = n, monotonic()
            try:
                self._check_stop()
                self._tell(StepOutcome(n, "started"))
                self._make(n, step, journal)
            except StoppedAtStep:
                self._tell(StepOutcome(n, "failed", monotonic() - self._began, note=f"stopped by {self._stopped()}"))
                return None
            except (OSError, LauncherError, *UNFIT) as error:
                self._tell(StepOutcome(n, "failed", monotonic() - self._began))
                return step, OSError(errno.EINVAL, str(error)) if isinstance(error, UNFIT) else error
            self._tell(StepOutcome(n, "done", monotonic() - self._began))
        self._listen(None, 0)
        return None

    def put_back(self, journal: Journal) -> list[tuple[Entry, OSError]]:
        """What cannot be put back, and stays in the journal, for `down`. A damaged line of it belongs to no step."""
        self._putting_back = True
        left = undo_all(left_by(journal), journal, self._kernel, self._undone, self._take_up)
        for entry, error in left:
            if entry.n <= 0:
                continue
            with suppress(OSError):
                self._tell(StepOutcome(entry.n, "not-undone", note=str(error)))
        return left

    def _make(self, n: int, step: Step, journal: Journal) -> None:
        check(step, self._kernel)
        memory = memory_of(step, self._kernel)
        if memory is not None:
            journal.before(n, step.op, memory, changes=step.op not in OWN)
        try:
            change(step, self._kernel)
        except NothingDone:
            if memory is not None:
                journal.undone(n)  # or it would be taken from whom it belongs to
            raise

    def _take_up(self, n: int) -> None:
        """A keeper that can hear and tell nobody puts the host back all the same."""
        self._at, self._began = n, monotonic()
        with suppress(OSError):
            self._listen(None, 0)

    def _undone(self, n: int, note: str) -> None:
        if note:
            self.left_so.append(left_so(note))
        with suppress(OSError):
            self._tell(StepOutcome(n, "undone", note=note))

    def _check_stop(self) -> None:
        self._listen(None, 0)
        if self._is_stopped():
            raise StoppedAtStep

    def _is_stopped(self) -> bool:
        return self._stopped() is not None and not self._putting_back

    def _wait(self, descriptor: int, seconds: float, whom: str) -> bool:
        """The kernel's `waits`. The call cannot be broken off, so what it waits for is told; the calls after it can."""
        began, told = monotonic(), self._wording(whom, 0)
        while (gone := monotonic() - began) < seconds:
            if self._listen(descriptor, min(seconds - gone, SECOND - gone % SECOND)):
                break
            wording = self._wording(whom, int(monotonic() - began))
            if wording != told:
                told = wording
                self._tell(StepOutcome(self._at, "progress", monotonic() - self._began, note=wording))
        else:
            return False
        if self._is_stopped():
            raise StoppedAtStep
        return True

    def _wording(self, whom: str, seconds: int) -> str:
        stopping = f"{self._stopped()}: " if self._is_stopped() else ""
        return f"{stopping}waiting for {whom}, {seconds} s"
