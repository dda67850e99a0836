"""A word of the runner in; what follows from it, for the records, for all who listen and for the runner, out."""

from __future__ import annotations

from collections.abc import Callable

from launcher.errors import BUG, Diagnostic
from launcher.executor.ending import ended_by_itself, stopped
from launcher.executor.keeper.announcing import Announcer
from launcher.executor.keeper.engine_watch import EngineWatch
from launcher.executor.keeper.orders import Orders
from launcher.executor.keeper.questions import Questions
from launcher.executor.keeper.records import Records
from launcher.plan.outcome import DeviceReport, End, StepOutcome, VirtioReport
from launcher.signals import signal
from launcher.typed import Any, ClassVar
from launcher.vms import words
from launcher.vms.awaited import AwaitedText

ALARMS = {
    "request": ("W526", "the host wants {} back"),
    "error": ("W527", "{} reported a fatal error"),
}


class FromRunner:
    """The words are within their limits already (`words.Hearing`). `awaited` is what `up --wait` waits for."""

    def __init__(
        self,
        records: Records,
        announcer: Announcer,
        orders: Orders,
        questions: Questions,
        engines: EngineWatch,
        awaited: AwaitedText | None,
    ) -> None:
        self._records, self._announcer, self._orders = records, announcer, orders
        self._questions, self._engines, self._awaited = questions, engines, awaited

    def take(self, word: words.Word) -> None:
        self.DEEDS[type(word)](self, word)

    def _outcome(self, outcome: StepOutcome) -> None:
        self._announcer.outcome(outcome)

    def _device(self, device: DeviceReport) -> None:
        self._records.device(device)

    def _virtio(self, one: VirtioReport) -> None:
        self._records.virtio(one)

    def _containers(self, containers: words.Containers) -> None:
        self._records.containers = containers.spaces

    def _confined(self, confined: words.Confined) -> None:
        self._records.confinement = confined.measures

    def _running(self, _: words.Running) -> None:
        if self._awaited is not None:
            self._awaited.begin()
        self._announcer.running()

    def _rebooted(self, _: words.Rebooted) -> None:
        self._records.reboots += 1

    def _failed(self, failed: words.Failed) -> None:
        self._records.fail(failed.diagnostics)

    def _ended(self, ended: words.Ended) -> None:
        stopping = self._orders.stopping
        if ended.how == "power-off" and stopping.by is not None:
            self._records.end = stopped(stopping.by)
        else:
            self._records.end = ended_by_itself(ended.how, ended.detail, ended.registers)

    def _counted(self, counted: words.Counted) -> None:
        self._records.numbers(counted.counts, counted.exits, halted=counted.halted)
        self._questions.answer()

    def _alarm(self, alarm: words.Alarm) -> None:
        """VFIO's request interrupt, while somebody waits in the host's kernel; or an error that hardware reported; or
        an engine that has gone: no driver of a guest gets over that."""
        if alarm.kind == "gone":
            self._engines.hung_up(alarm.alias)
            return
        code, words_of = ALARMS[alarm.kind]
        why = words_of.format(alarm.alias)
        self._records.note(Diagnostic(code, why))
        if self._orders.stopping.by is None:  # the kernel asks again every few seconds, which is no impatience
            self._orders.stop(why, 128 + signal.SIGTERM)

    def _power(self, power: words.Power) -> None:
        self._orders.answered(power.listens)

    def _bug(self, bug: words.Bug) -> None:
        """The runner's last word."""
        self._records.end = End("failed", "the runner failed in a way it should not", BUG)
        self._orders.kill()
        self._announcer.bug(bug)

    DEEDS: ClassVar[dict[type, Callable[[FromRunner, Any], None]]] = {
        StepOutcome: _outcome,
        DeviceReport: _device,
        VirtioReport: _virtio,
        words.Containers: _containers,
        words.Confined: _confined,
        words.Running: _running,
        words.Rebooted: _rebooted,
        words.Failed: _failed,
        words.Ended: _ended,
        words.Counted: _counted,
        words.Alarm: _alarm,
        words.Power: _power,
        words.Bug: _bug,
    }
