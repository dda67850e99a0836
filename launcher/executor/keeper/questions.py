"""Clients who ask for a report in; what the keeper knows at once, and again with the runner's numbers, out."""

from __future__ import annotations

from launcher.executor.keeper.audience import Audience
from launcher.executor.keeper.clients import Client
from launcher.executor.keeper.records import Records
from launcher.executor.keeper.runner_link import RunnerLink
from launcher.kernel.machine import Console
from launcher.plan.outcome import Report
from launcher.record import replace
from launcher.vms.notices import Known, Now


class Questions:
    def __init__(self, records: Records, console: Console, audience: Audience, link: RunnerLink) -> None:
        self._records, self._console, self._audience, self._link = records, console, audience, link
        self._asking: list[Client] = []  # clients who wait for the runner's numbers

    def ask(self, client: Client) -> None:
        """The runner is asked one question at a time: one that does not answer is not talked full."""
        self._audience.tell(client, Known(self._report()))
        self._asking.append(client)
        if len(self._asking) == 1:
            self._link.order("tell")

    def answer(self) -> None:
        """The runner has told its numbers."""
        asking, self._asking = self._asking, []
        for client in asking:
            self._audience.tell(client, Now(self._report()))

    def _report(self) -> Report:
        self._records.written(self._console.head)
        return replace(self._records.report(), readers=self._audience.readers())
