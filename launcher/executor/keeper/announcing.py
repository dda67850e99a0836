"""What happens to the VM in; it is in the records, in state.json and told to all who listen, out."""

from __future__ import annotations

from launcher.executor.keeper.archive import Archive
from launcher.executor.keeper.audience import Audience
from launcher.executor.keeper.records import Records
from launcher.plan.outcome import StepOutcome
from launcher.vms.notices import HasEnded, IsEnding, IsRunning, IsStopping
from launcher.vms.words import Bug


class Announcer:
    def __init__(self, records: Records, archive: Archive, audience: Audience) -> None:
        self._records, self._archive, self._audience = records, archive, audience
        self._ending = False

    def outcome(self, outcome: StepOutcome) -> None:
        """Of a step. Nobody waits for one that is only progress."""
        self._records.outcome(outcome)
        self._audience.tell_all(outcome, passing=outcome.state == "progress")
        if self._records.runner is None:  # else the keeper's loop pumps once in each turn
            self._audience.pump()

    def running(self) -> None:
        """The vCPUs run. Those who come later are told, too."""
        self._records.phase = "running"
        self._archive.keep_state()
        self._audience.tell_running(IsRunning(self._records.report()))

    def stopping(self, by: str) -> None:
        """Once, whoever asks again."""
        if self._records.phase != "stopping":
            self._records.phase = "stopping"
            self._archive.keep_state()
            self._audience.tell_all(IsStopping(by))

    def ending(self) -> None:
        """Once. Whoever has something to get ready for the end does it while the kernel undoes the VM: the keeper, too,
        whose report is made once for that, unseen. What that takes is mapped and known then."""
        if not self._ending:
            self._ending = True
            self._audience.tell_all(IsEnding())
            self._audience.pump()
            self._archive.rehearse()

    def bug(self, bug: Bug) -> None:
        self._audience.tell_all(bug)

    def end(self) -> None:
        """The VM has ended: its last report."""
        self._records.over()
        self._audience.tell_all(HasEnded(self._records.report()))
