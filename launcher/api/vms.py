"""A Plan in, a running VM out, for programs. The keeper is a process of its own; it stops the VM when this one dies."""

from __future__ import annotations

from launcher.api.conversation import Conversation, OnConsole
from launcher.api.folders import folder_named
from launcher.api.launching import Launch, VmIsUp
from launcher.errors import Diagnostic, HostNotRestored
from launcher.typed import TYPE_CHECKING
from launcher.vms.looking import is_up

if TYPE_CHECKING:
    from launcher.plan.outcome import Observer, Report
    from launcher.plan.plan import Plan


PIECE = 32 * 1024  # bytes of input in one packet


class Vm:
    """A VM that this process started. `with bring_up(plan) as vm:` stops it at the end of the block."""

    def __init__(self, launch: Launch, talk: Conversation) -> None:
        self._launch, self._talk = launch, talk

    def wait_until_running(self) -> Report:
        """The report once the vCPUs run, or the last one if they never did."""
        while self._talk.running is None and not self._talk.gone:
            self._talk.hear(wait=True)
        return self._talk.running or self._lost()

    def wait(self) -> Report:
        """The last report, once the VM has ended. HostNotRestored when its keeper was killed."""
        while not self._talk.gone:
            self._talk.hear(wait=True)
        return self._talk.ended or self._lost()

    def write(self, data: bytes) -> None:
        """Input for the guest's serial console. Waits until the keeper has taken it all; `wait` says how a VM ended."""
        for start in range(0, len(data), PIECE):
            while not self._talk.may_type and not self._talk.gone:
                self._talk.hear(wait=True)
            self._talk.type(data[start : start + PIECE])

    def stop(self, timeout: float = 30.0, *, force: bool = False) -> Report:
        """Press the power button, wait `timeout` seconds for the guest, then end it; `force` does not ask the guest."""
        self._talk.stop("stop()", timeout, force=force)
        return self.wait()

    def __enter__(self) -> Vm:
        return self

    def __exit__(self, *_: object) -> None:
        if self._talk.ended is None:
            self.stop()
        self._launch.close()

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
    from launcher.api.staleness import judge_here

    _check_free(plan)
    launch = Launch()
    try:
        launch.hand_over(judge_here(plan, strict=strict))
    except BaseException:
        launch.abandon()
        raise
    launch.begin()
    return Vm(launch, launch.talk(on_outcome, on_console))


def _check_free(plan: Plan) -> None:
    """What a VM that is up has taken would be told as what has changed."""
    path = folder_named(plan.name)
    if path is not None and is_up(path):
        raise VmIsUp(path, plan)
