"""Signals and clients' orders in; the VM stopped step by step, and orders to the runner, out."""

from __future__ import annotations

from time import monotonic

from launcher.executor.keeper.announcing import Announcer
from launcher.executor.keeper.clients import Client
from launcher.executor.keeper.questions import Questions
from launcher.executor.keeper.records import Records
from launcher.executor.keeper.runner_link import RunnerLink
from launcher.executor.keeper.stopping import Act, Stopping
from launcher.kernel.waiting import LONGEST, STOPS
from launcher.signals import signal
from launcher.vms.orders import AskReport, Order, Signal, Stop

TIMEOUT = 30.0  # seconds that a guest has to power off


class Orders:
    """`stopping` decides what is to be done; here it is done."""

    def __init__(
        self, records: Records, stopping: Stopping, announcer: Announcer, link: RunnerLink, questions: Questions
    ) -> None:
        self._records, self.stopping = records, stopping
        self._announcer, self._link, self._questions = announcer, link, questions

    def stop(self, by: str, code: int, timeout: float = TIMEOUT, *, force: bool = False) -> None:
        """`by` is who or what stops the VM, `code` its exit code if force was needed."""
        self._act(self.stopping.ask(by, code, timeout, force, monotonic()))

    def signalled(self, number: int) -> None:
        self._act(self.stopping.signal(number, TIMEOUT, monotonic()))

    def answered(self, listens: bool) -> None:
        """The guest listens to its power button, or it does not."""
        self._act(self.stopping.answered(listens, monotonic()))

    def tick(self) -> None:
        """To be called in each turn of the keeper's loop: a time may be over."""
        self._act(self.stopping.tick(monotonic()))

    def obey(self, client: Client, order: Order) -> None:
        match order:
            case Signal(number) if number in STOPS:
                self.signalled(number)
            case Stop(by, force, timeout):
                self.stop(by, 128 + signal.SIGTERM, _seconds(timeout), force=force)
            case AskReport():
                self._questions.ask(client)

    def orphaned(self) -> None:
        """The `up` that started the VM went without leaving. For a VM that goes down already it is no impatience."""
        if self._records.end is None and self.stopping.by is None:
            self.stop("its `up` went away", 128 + signal.SIGHUP)

    def kill(self) -> None:
        """The runner, at once, whatever it does."""
        self._link.kill()

    def _act(self, act: Act | None) -> None:
        if act is None:
            return
        self._announcer.stopping(self.stopping.by or "")
        if self._records.runner is None:
            return  # there is none yet, or any more: who performs steps, or undoes them, looks by itself
        if act == "kill":
            self._link.kill()
        else:
            self._link.order(act)


def _seconds(timeout: object) -> float:
    """What a client may call a timeout; JSON has a NaN, too."""
    if isinstance(timeout, (int, float)) and timeout >= 0:
        return float(min(timeout, LONGEST))
    return TIMEOUT
