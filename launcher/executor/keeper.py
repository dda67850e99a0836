"""The keeper process: holds name, journal, control socket and console; changes the host before, puts it back after.

It starts the runner, relays what it says, stops it when asked, and survives it whatever happens to it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, ClassVar, NoReturn

from launcher.codec import decode, encode
from launcher.errors import Diagnostic, GuestFailed, HostNotRestored, LauncherError, StepFailed
from launcher.executor.archive import Archive
from launcher.executor.audience import Audience
from launcher.executor.changing import change, check, commands, memory_of, put_back
from launcher.executor.clients import Client
from launcher.executor.ending import describe_death, diagnostics_of, stopped
from launcher.executor.process import close_all_but, end_process, raise_limits
from launcher.executor.records import Records
from launcher.executor.runner import Runner
from launcher.executor.stopping import Act, Stopping
from launcher.executor.waiting import BUG, Wait
from launcher.kernel.api import Kernel
from launcher.kernel.machine import Console
from launcher.plan.codec import diagnostic_from_json, plan_to_json, report_to_json
from launcher.plan.outcome import End, StepOutcome
from launcher.plan.plan import Plan
from launcher.plan.steps import Step
from launcher.record import replace
from launcher.refusals import REFUSALS, cause, in_words, refusal_of
from launcher.vms.channel import Channel, Closed
from launcher.vms.folder import JOURNAL, LOG, PLAN, SOCKET, StateFolder
from launcher.vms.journal import Journal

TIMEOUT = 30.0  # seconds a guest has to power off
LONGEST = 24 * 3600  # seconds of any wait
# Seconds between two looks at the console while the guest writes: an echo is soon there, a verbose boot wakes few.
COALESCE, MOST_COALESCED = 0.01, 0.08
SPARE = 3  # descriptors, held for the end
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Keeper:
    """`owner` is the channel to the `up` that started it, `wait` what it waits for."""

    def __init__(
        self,
        plan: Plan,
        kernel: Kernel,
        folder: StateFolder,
        owner: Channel,
        *,
        reboot: bool,
        wait: Wait | None = None,
    ) -> None:
        self._plan, self._kernel, self._folder, self._reboot, self._wait_for = plan, kernel, folder, reboot, wait
        self._records = Records(plan, str(folder.path / LOG))
        self._stopping = Stopping()
        self._console = Console()
        self._audience = Audience(self._console, owner, self._obey, self._orphaned)
        self._curious: list[Client] = []  # who asked for a report that the runner has not yet added to
        self._wakeup, self._signals = socket.socketpair()
        self._spare = [os.dup(self._wakeup.fileno()) for _ in range(SPARE)]
        for end in (self._wakeup, self._signals):
            end.setblocking(False)
        for number in STOPS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._signals.fileno())

    def run(self) -> int:
        """The exit code of the VM."""
        try:
            self._open_folder()
        except OSError as error:  # a full /run
            self._failed(self._plan.steps[0], error)
            with suppress(OSError):
                self._folder.remove()
            return self._tell_the_end()
        try:
            if self._change_host() and self._start_runner():
                self._watch()
        except REFUSALS as error:
            self._refused(error)
        finally:  # whatever we did wrong, the host comes back
            self._end_runner()
            self._release()
            self._put_host_back()
        return self._finish()

    def _open_folder(self) -> None:
        folder = self._folder
        folder.empty()
        folder.write(PLAN, plan_to_json(self._plan))
        self._journal = Journal(folder.path / JOURNAL)
        self._archive = Archive(folder, self._records, self._console, self._wait_for)
        self._audience.open(folder.path / SOCKET)
        self._archive.keep_state()

    # -- before and after ----------------------------------------------------------------------------------------

    def _change_host(self) -> bool:
        """The keeper's own steps; each is in the journal before it is done."""
        return all(self._perform(n, step) for n, step in enumerate(self._plan.steps, 1) if step.by == "keeper")

    def _perform(self, n: int, step: Step) -> bool:
        began = monotonic()
        self._outcome(StepOutcome(n, "started"))
        try:
            check(step, self._kernel)
            memory = memory_of(step)
            if memory is not None:
                self._journal.before(n, step.op, memory)
            change(step, self._kernel)
        except (OSError, LauncherError) as error:
            self._outcome(StepOutcome(n, "failed", monotonic() - began))
            self._failed(step, error)
            return False
        self._outcome(StepOutcome(n, "done", monotonic() - began))
        return True

    def _failed(self, step: Step, error: OSError | LauncherError) -> None:
        self._records.diagnostics = diagnostics_of(step, error)
        self._records.end = End("failed", self._records.diagnostics[0].message, StepFailed.exit_code)

    def _refused(self, error: Exception) -> None:
        """Not a step, but the keeper itself: the VM ends in order."""
        refused = refusal_of(error)
        if refused is None:
            raise error
        self._records.note(in_words("keep the VM running", refused))
        self._records.end = self._records.end or End("failed", cause(refused), StepFailed.exit_code)

    def _release(self) -> None:
        """So that a keeper without descriptors has those that it takes to put the host back and to say so."""
        while self._spare:
            os.close(self._spare.pop())

    def _put_host_back(self) -> None:
        """The runner has gone. What cannot be put back stays in the journal, for `down`."""
        try:
            left = put_back(self._journal, self._folder.path / JOURNAL, self._kernel, self._undone)
        except LauncherError as error:  # the journal cannot be read: what is left of the steps, `down` will see
            self._records.diagnostics += error.diagnostics
            if self._plan.summary.host_changes:
                self._records.left_behind = (f"vmlaunch down {self._plan.name}",)
                self._records.end = End("failed", error.diagnostics[0].message, HostNotRestored.exit_code)
            return
        self._records.left_behind = tuple(commands(entry) for entry, _ in left)
        for entry, failed in left:
            self._outcome(StepOutcome(entry.n, "not-undone", note=str(failed)))
        if left and self._records.end is not None:
            self._records.end = replace(self._records.end, exit_code=HostNotRestored.exit_code)

    def _undone(self, n: int) -> None:
        self._outcome(StepOutcome(n, "undone"))

    def _start_runner(self) -> bool:
        mine, theirs = Channel.pair()
        self._runner = mine
        try:
            pid = os.fork()
        except OSError as error:
            raise OSError(error.errno, error.strerror, "fork") from None
        if pid == 0:
            self._be_runner(theirs)
        theirs.close()
        self._records.runner = pid
        self._pidfd = os.pidfd_open(pid)
        return True

    def _be_runner(self, keeper: Channel) -> NoReturn:
        """In the child: never returns. It keeps the folder's lock, so that the name is taken while it lives."""

        def main() -> int:
            signal.set_wakeup_fd(-1)
            for number in STOPS:
                signal.signal(number, signal.SIG_DFL)
            raise_limits()
            kept = (keeper.fileno(), *self._folder.locks, *self._console.descriptors(), *self._kernel.handed)
            close_all_but(set(kept))
            return Runner(self._plan, self._kernel, self._console, keeper, reboot=self._reboot).run()

        end_process(keeper, main)

    def _finish(self) -> int:
        """The runner has gone: what it left, the last words, the report; then everybody is told."""
        self._archive.keep_log()
        self._judge()
        self._records.written(self._console.head)
        self._records.over()
        self._archive.keep_report()
        self._archive.keep_state()
        self._audience.close()
        self._journal.close()
        self._archive.remove_socket()
        return self._tell_the_end()

    def _judge(self) -> None:
        """What the guest was to say and did not."""
        wait, end = self._wait_for, self._records.end
        if wait is not None and not wait.heard and end is not None and self._audience.owned:
            self._records.note(wait.complaint(self._plan.name))
            self._records.end = replace(end, exit_code=wait.exit_code(end.exit_code))

    def _tell_the_end(self) -> int:
        self._records.over()
        self._audience.tell_all({"report": report_to_json(self._records.report())})
        self._folder.close()
        with suppress(OSError):  # the host has no memory to wait by: who is slow hears less
            self._audience.see_off(lambda interests: self._wait(interests, None), self._wakeup.fileno())
        assert self._records.end is not None
        return self._records.end.exit_code

    # -- while it runs -------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Until the runner has gone and its last message is read."""
        gone = False
        while not gone:
            ready = self._wait(self._interests(), self._timeout())
            gone = self._pidfd in ready
            self._drain(self._console.output.event)
            self._drain(self._console.input.event)
            self._hear_runner()
            self._hear_signals()
            self._audience.attend(ready)
            self._act(self._stopping.tick(monotonic()))
            self._archive.keep_log()
            self._stop_waiting()
            self._audience.pump()
        self._reap()

    def _interests(self) -> dict[int, int]:
        fds = (self._pidfd, self._wakeup.fileno(), *(() if self._is_ending else (self._runner.fileno(),)))
        own = dict.fromkeys((*fds, self._console.output.event, self._console.input.event), select.POLLIN)
        return own | self._audience.interests()

    @property
    def _is_ending(self) -> bool:
        """The runner undoes its steps. What it says of them can wait a moment, and the host wants its devices back."""
        return self._records.end is not None or self._stopping.forced

    def _timeout(self) -> float | None:
        """Look again soon while the guest writes, without asking to be woken; when it does not, sleep until a byte."""
        waits = [] if self._stopping.deadline is None else [max(self._stopping.deadline - monotonic(), 0)]
        if self._wait_for is not None and (left := self._wait_for.left()) is not None:
            waits.append(left)
        if self._archive.chatty or not self._console.wait(self._archive.position):
            waits.append(min(COALESCE * max(self._archive.chatty, 1), MOST_COALESCED))
        if self._is_ending:
            waits.append(MOST_COALESCED)
        return min(waits, default=None)

    def _wait(self, interests: dict[int, int], timeout: float | None) -> dict[int, int]:
        poll = select.poll()
        for fd, events in interests.items():
            poll.register(fd, events)
        return dict(poll.poll(None if timeout is None else min(timeout, LONGEST) * 1000))

    def _hear_runner(self) -> None:
        with suppress(Closed):
            while packet := self._runner.receive(wait=False):
                message = packet.message or {}
                for key, hear in self._from_runner.items():
                    if key in message:
                        hear(self, message)

    def _runner_outcome(self, message: dict[str, Any]) -> None:
        self._outcome(decode(StepOutcome, message["outcome"]))

    def _runner_running(self, _: dict[str, Any]) -> None:
        self._records.phase = "running"
        if self._wait_for is not None:
            self._wait_for.begin()
        self._archive.keep_state()
        self._audience.tell_running({"running": report_to_json(self._records.report())})

    def _runner_reboot(self, _: dict[str, Any]) -> None:
        self._records.reboots += 1

    def _runner_failed(self, message: dict[str, Any]) -> None:
        self._records.diagnostics = tuple(diagnostic_from_json(one, "failed") for one in message["failed"])
        self._records.end = End("failed", self._records.diagnostics[0].message, StepFailed.exit_code)

    def _runner_end(self, message: dict[str, Any]) -> None:
        end = decode(End, message["end"])
        if end.how == "power-off" and self._stopping.by is not None:
            end = stopped(self._stopping.by, self._stopping.code, forced=False)
        self._records.end = end

    def _runner_counts(self, message: dict[str, Any]) -> None:
        self._records.numbers(message)
        curious, self._curious = self._curious, []
        for client in curious:
            self._audience.tell(client, {"now": self._report()})

    def _runner_devices(self, message: dict[str, Any]) -> None:
        self._records.devices(message)

    def _runner_confined(self, message: dict[str, Any]) -> None:
        self._records.confinement = message["confined"]

    def _runner_alarm(self, message: dict[str, Any]) -> None:
        """VFIO's request interrupt, while somebody waits in the host's kernel; or an error that hardware reported."""
        alias = message["alias"]
        why = f"the host wants {alias} back" if message["alarm"] == "request" else f"{alias} reported a fatal error"
        self._records.note(Diagnostic("W526" if message["alarm"] == "request" else "W527", why))
        if self._stopping.by is None:  # the kernel asks again every few seconds, which is no impatience
            self._stop(why, 128 + signal.SIGTERM)

    def _runner_power(self, message: dict[str, Any]) -> None:
        self._act(self._stopping.answered(bool(message["power"]), monotonic()))

    def _runner_bug(self, message: dict[str, Any]) -> None:
        self._records.end = End("failed", "the runner failed in a way it should not", BUG)
        self._audience.tell_all(message)

    _from_runner: ClassVar[dict[str, Callable[[Keeper, dict[str, Any]], None]]] = {
        "outcome": _runner_outcome,
        "devices": _runner_devices,
        "running": _runner_running,
        "reboot": _runner_reboot,
        "failed": _runner_failed,
        "end": _runner_end,
        "counts": _runner_counts,
        "alarm": _runner_alarm,
        "confined": _runner_confined,
        "power": _runner_power,
        "bug": _runner_bug,
    }

    def _reap(self) -> None:
        self._hear_runner()
        status = self._wait_for_runner()
        os.close(self._pidfd)
        self._runner.close()
        by, end, death = self._stopping.by, self._records.end, describe_death(status)
        if by is not None and status in (0, -signal.SIGKILL):  # as it was asked for
            self._records.end = end or stopped(by, self._stopping.code, forced=True)
        elif end is None or (status and end.how != "failed"):
            self._records.note(Diagnostic("E535" if status == -signal.SIGSYS else "E502", death.detail))
            self._records.end = replace(end, exit_code=death.exit_code) if end else death

    def _wait_for_runner(self) -> int:
        assert self._records.runner is not None
        status = os.waitstatus_to_exitcode(os.waitpid(self._records.runner, 0)[1])
        self._records.runner = None
        return status

    def _end_runner(self) -> None:
        """If it is still there, by its number: there may be no pidfd, and it is our child, not yet waited for."""
        if self._records.runner is not None:
            os.kill(self._records.runner, signal.SIGKILL)
            self._wait_for_runner()

    # -- stopping ------------------------------------------------------------------------------------------------

    def _stop(self, by: str, code: int, timeout: float = TIMEOUT, *, force: bool = False) -> None:
        self._act(self._stopping.ask(by, code, timeout, force, monotonic()))

    def _signalled(self, number: int) -> None:
        """SIGINT does not wait for the guest."""
        self._stop(signal.Signals(number).name, 128 + number, force=number == signal.SIGINT)

    def _stop_waiting(self) -> None:
        """Behind the log, so that what our `up` has heard we have heard, too."""
        if self._wait_for is not None and self._wait_for.tick() and self._audience.owned:
            self._stop("--wait timed out", GuestFailed.exit_code)

    def _act(self, act: Act | None) -> None:
        if act is None:
            return
        if self._records.phase != "stopping":
            self._records.phase = "stopping"
            self._archive.keep_state()
            self._audience.tell_all({"stopping": self._stopping.by})
        if act == "kill":
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        else:
            self._order_runner(act)

    def _order_runner(self, order: str) -> None:
        with suppress(Closed):
            self._runner.send({"do": order})

    def _hear_signals(self) -> None:
        with suppress(BlockingIOError):
            for number in self._wakeup.recv(64):
                self._signalled(number)

    # -- clients -------------------------------------------------------------------------------------------------

    def _obey(self, client: Client, message: dict[str, Any]) -> None:
        order = message.get("do")
        if order == "signal" and message.get("number") in STOPS:
            self._signalled(int(message["number"]))
        elif order == "stop":
            code, force = 128 + signal.SIGTERM, message.get("force") is True
            self._stop(str(message.get("by")), code, _seconds(message.get("timeout")), force=force)
        elif order == "report":
            self._audience.tell(client, {"known": self._report()})
            self._curious.append(client)
            if len(self._curious) == 1:  # one question at a time: a runner that does not answer is not talked full
                self._order_runner("tell")

    def _orphaned(self) -> None:
        if self._records.end is None:
            self._stop("its `up` went away", 128 + signal.SIGHUP)

    def _report(self) -> dict[str, Any]:
        self._records.written(self._console.head)
        return report_to_json(replace(self._records.report(), readers=self._audience.readers()))

    # -- records -------------------------------------------------------------------------------------------------

    def _outcome(self, outcome: StepOutcome) -> None:
        self._records.outcome(outcome)
        self._audience.tell_all({"outcome": encode(outcome)})

    def _drain(self, event: int) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(event)


def _seconds(timeout: object) -> float:
    """What a client may call a timeout; JSON has a NaN, too."""
    if isinstance(timeout, (int, float)) and timeout >= 0:
        return float(min(timeout, LONGEST))
    return TIMEOUT
