"""A Plan in, a running VM out, for programs. The keeper is a process of its own; it stops the VM when this one dies."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic, HostNotRestored, NotPermitted, Refused
from launcher.executor.conversation import Conversation, OnConsole
from launcher.executor.launch import Launched, start
from launcher.vms.channel import Closed
from launcher.vms.notices import Begun, NameIsTaken, NotBegun
from launcher.vms.words import Failed

if TYPE_CHECKING:
    from launcher.plan.outcome import Observer, Report
    from launcher.plan.plan import Plan
    from launcher.vms.notices import Notice


PIECE = 32 * 1024  # bytes of input in one packet


class Vm:
    """A VM that this process started. `with bring_up(plan) as vm:` stops it at the end of the block."""

    def __init__(self, launched: Launched, talk: Conversation) -> None:
        self._launched, self._talk = launched, talk

    def wait_until_running(self) -> Report:
        """The report once the vCPUs run, or the last one if they never did."""
        with suppress(Closed):
            while self._talk.running is None:
                self._talk.hear(wait=True)
        return self._talk.running or self._lost()

    def wait(self) -> Report:
        """The last report, once the VM has ended. HostNotRestored when its keeper was killed."""
        with suppress(Closed):
            while True:
                self._talk.hear(wait=True)
        return self._talk.ended or self._lost()

    def write(self, data: bytes) -> None:
        """Input for the guest's serial console. Waits until the keeper has taken it all."""
        with suppress(Closed):  # the VM has ended; `wait` says how
            for start in range(0, len(data), PIECE):
                while not self._talk.may_type:
                    self._talk.hear(wait=True)
                self._talk.type(data[start : start + PIECE])

    def stop(self, timeout: float = 30.0, *, force: bool = False) -> Report:
        """Press the power button, wait `timeout` seconds for the guest, then end it; `force` does not ask the guest."""
        with suppress(Closed):
            self._talk.stop("stop()", timeout, force=force)
        return self.wait()

    def __enter__(self) -> Vm:
        return self

    def __exit__(self, *_: object) -> None:
        if self._talk.ended is None:
            self.stop()
        self._launched.close()

    def _lost(self) -> Report:
        raise HostNotRestored(*self._talk.failed or [Diagnostic("E510", self._talk.bug or "the keeper was lost")])


def bring_up(
    plan: Plan,
    on_outcome: Observer = lambda _: None,
    on_console: OnConsole = lambda _: None,
    *,
    strict: bool = False,
) -> Vm:
    """Forks: call it before there are threads. Both callbacks are called from within the methods of Vm, in order.

    The plan is judged as `vmlaunch up PLAN` judges it: Refused when it cannot run here, or a VM of its name is up;
    StalePlan when this host is no longer as it was. `strict`: warnings stop it, too.
    """
    from launcher.api.staleness import check_here

    _check_name(plan.name)
    launched = start()
    try:
        checked = check_here(plan, strict=strict)
        launched.hand_over(checked)
    except BaseException:
        launched.abandon()
        raise
    launched.begin()
    answer = launched.answer()
    if not isinstance(answer, Begun):
        launched.close()
        raise refusal(answer, plan.name)
    return Vm(launched, Conversation(launched.channel, on_outcome, on_console))


def _check_name(name: str) -> None:
    """What a VM that is up has taken would be told as what has changed."""
    from launcher.vms.folder import is_up, state_root

    root = state_root()
    if root is not None and is_up(root / name):
        raise refusal(NameIsTaken(name), name)


def refusal(answer: Notice | None, name: str) -> Refused | NotPermitted:
    """What the keeper answered instead of Begun, as the error it is."""
    if isinstance(answer, NameIsTaken):
        help_ = (f"stop it with `vmlaunch down {name}`",)
        return Refused(Diagnostic("E507", f"a VM of the name {name} is up", help=help_))
    found = answer.diagnostics if isinstance(answer, NotBegun | Failed) else ()
    denied = isinstance(answer, NotBegun) and answer.exit_code == NotPermitted.exit_code
    kind = NotPermitted if denied else Refused
    return kind(*found or [Diagnostic("E510", "the keeper was lost before it began")])
