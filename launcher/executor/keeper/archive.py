"""The records and the guest's output in; state.json, report.json and console.log in the VM's folder out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from launcher.errors import Diagnostic
from launcher.executor.keeper.clients import gap
from launcher.executor.keeper.records import Records
from launcher.kernel.console import Console
from launcher.plan.codec import report_to_json
from launcher.vms.awaited import AwaitedText
from launcher.vms.folder import StateFolder, as_text
from launcher.vms.folder_state import LOG, REPORT, SOCKET, STATE
from launcher.vms.log import ConsoleLog

# Seconds between two looks at the console while the guest writes: an echo is soon there, a verbose boot wakes few.
COALESCE, MOST_COALESCED = 0.01, 0.12
BITE, MOST_BITES = 64 * 1024, 32  # twice what a ring holds


class Archive:
    """A full or vanished /run costs these files, not the VM."""

    def __init__(self, folder: StateFolder, records: Records, console: Console, awaited: AwaitedText | None) -> None:
        self._folder, self._records, self._console, self._awaited = folder, records, console, awaited
        self._position = 0  # of the log in the guest's output
        self._chatty = 0  # looks in a row that found something new
        self.runner_began: int | None = None  # holders.began: others know it by that and its pid, whoever may look

    def open(self) -> None:
        """OSError: the folder takes no new file."""
        self._log = ConsoleLog(self._folder.open(LOG))

    def keep_state(self) -> None:
        report = self._records.report()
        size = {"vcpus": len(report.vcpus), "memory": sum(one.size for one in report.memory)}
        times = {"started": report.started, "ended": report.ended}
        processes = {"keeper": report.pid, "runner": [report.runner, self.runner_began]}
        state = {"name": report.name, "phase": report.phase, **processes, **times, **size}
        self._keep("state", lambda: self._folder.write(STATE, state))

    def keep_report(self) -> None:
        self._keep("report", lambda: self._folder.write(REPORT, report_to_json(self._records.report())))

    def rehearse(self) -> None:
        """Of `keep_report` all but the file."""
        as_text(report_to_json(self._records.report()))

    def keep_log(self, most: int = MOST_BITES) -> None:
        """At most so many bites in one turn: the guest may write faster than the keeper reads."""
        self._chatty = self._chatty + 1 if self._position != self._console.head else 0
        for _ in range(most):
            if self._position == self._console.head:
                return
            data, self._position, lost = self._console.read(self._position, BITE)
            if self._awaited is not None:
                self._awaited.hear(data)
            self._keep("console log", partial(self._log.append, gap(lost) + data))

    def next_look(self) -> float | None:
        """Seconds until the console is looked at again without an event; None: the next byte fires one."""
        if self._chatty or not self._console.wait(self._position):
            return min(COALESCE * max(self._chatty, 1), MOST_COALESCED)
        return None

    def remove_socket(self) -> None:
        self._keep("control socket", lambda: self._folder.discard(SOCKET))

    def _keep(self, what: str, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            help_ = (f"make room in {self._folder.path}: `df -h` and `df -i` say what is full",)
            self._records.note(Diagnostic("W501", f"failed to keep the {what}: {error.strerror}", help=help_))
