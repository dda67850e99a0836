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
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any, ClassVar, NoReturn

from launcher.codec import decode, encode
from launcher.errors import Diagnostic, HostNotRestored, LauncherError, StepFailed
from launcher.executor.changing import change, check, commands, memory_of, put_back
from launcher.executor.clients import Client, gap
from launcher.executor.ending import describe_death, diagnostics_of, stopped
from launcher.executor.process import close_all_but, end_process, raise_limits
from launcher.executor.records import Records
from launcher.executor.runner import Runner
from launcher.executor.stopping import Act, Stopping
from launcher.kernel.api import Kernel
from launcher.kernel.machine import Console
from launcher.plan.codec import diagnostic_from_json, plan_to_json, report_to_json
from launcher.plan.outcome import End, StepOutcome
from launcher.plan.plan import Plan
from launcher.plan.steps import Step
from launcher.vms.channel import Channel, Closed, listen
from launcher.vms.folder import JOURNAL, LOG, PLAN, REPORT, SOCKET, STATE, StateFolder
from launcher.vms.journal import Journal
from launcher.vms.log import ConsoleLog

BUG = 70
TIMEOUT = 30.0  # seconds a guest has to power off
LONGEST = 24 * 3600  # seconds of any wait
COALESCE = 0.01  # seconds between two looks at the console while the guest writes
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BITE = 64 * 1024


class Keeper:
    """`owner` is the channel to the `up` that started it."""

    def __init__(self, plan: Plan, kernel: Kernel, folder: StateFolder, owner: Channel, *, reboot: bool) -> None:
        self._plan, self._kernel, self._folder, self._reboot = plan, kernel, folder, reboot
        self._clients = [Client(owner, owner=True)]
        self._records = Records(plan, str(folder.path / LOG))
        self._stopping = Stopping()
        self._console = Console()
        self._logged = 0  # position of the log in the guest's output
        self._chatty = False  # the guest wrote since the last look
        self._wakeup, self._signals = socket.socketpair()
        for end in (self._wakeup, self._signals):
            end.setblocking(False)
        for number in STOPS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._signals.fileno())

    def run(self) -> int:
        """The exit code of the VM."""
        folder = self._folder
        folder.empty()
        folder.write(PLAN, plan_to_json(self._plan))
        self._journal = Journal(folder.path / JOURNAL)
        self._log = ConsoleLog(folder.path / LOG)
        self._listener = listen(folder.path / SOCKET)
        self._state()
        if self._change_host() and self._start_runner():
            self._watch()
        self._put_host_back()
        return self._finish()

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
            self._records.diagnostics = diagnostics_of(step, error)
            self._records.end = End("failed", self._records.diagnostics[0].message, StepFailed.exit_code)
            return False
        self._outcome(StepOutcome(n, "done", monotonic() - began))
        return True

    def _put_host_back(self) -> None:
        """The runner has gone. What cannot be put back stays in the journal, for `down`."""
        left = put_back(self._journal, self._folder.path / JOURNAL, self._kernel, self._undone)
        self._records.left_behind = tuple(commands(entry) for entry, _ in left)
        for entry, error in left:
            self._outcome(StepOutcome(entry.n, "not-undone", note=str(error)))
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
            self._records.end = End("failed", f"failed to fork the runner: {error.strerror}", StepFailed.exit_code)
            return False
        if pid == 0:
            self._be_runner(theirs)
        theirs.close()
        self._pid, self._pidfd = pid, os.pidfd_open(pid)
        return True

    def _be_runner(self, keeper: Channel) -> NoReturn:
        """In the child: never returns. It keeps the folder's lock, so that the name is taken while it lives."""

        def main() -> int:
            signal.set_wakeup_fd(-1)
            for number in STOPS:
                signal.signal(number, signal.SIG_DFL)
            raise_limits()
            close_all_but({keeper.fileno(), self._folder.lock, *self._console.descriptors()})
            return Runner(self._plan, self._kernel, self._console, keeper, reboot=self._reboot).run()

        end_process(keeper, main)

    def _finish(self) -> int:
        """The runner has gone: what it left, the last words, the report; then everybody is told."""
        self._copy_to_log()
        self._records.written(self._console.head)
        self._records.phase = "ended"
        self._book("report", lambda: self._folder.write(REPORT, report_to_json(self._records.report())))
        self._state()
        self._listener.close()
        self._journal.close()
        self._book("control socket", lambda: (self._folder.path / SOCKET).unlink(missing_ok=True))
        self._tell_all({"report": report_to_json(self._records.report())})
        self._folder.close()
        self._see_off()
        assert self._records.end is not None
        return self._records.end.exit_code

    def _see_off(self) -> None:
        """Wait for those who are slow to read; what they still send is for nobody. A signal ends the wait."""
        for client in list(self._clients):
            self._pump(client)
        while waiting := [client for client in self._clients if client.full]:
            interests = {client.channel.fileno(): select.POLLIN | select.POLLOUT for client in waiting}
            ready = self._wait(interests | {self._wakeup.fileno(): select.POLLIN}, None)
            if self._wakeup.fileno() in ready:
                return
            for client in waiting:
                client.typed = b""
                self._hear(client)
                self._pump(client)
        for client in self._clients:
            with suppress(Closed):
                while client.channel.receive(wait=False):
                    pass

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
            if self._listener.fileno() in ready:
                self._greet()
            for client in list(self._clients):
                if ready.get(client.channel.fileno(), 0) & ~select.POLLOUT:
                    self._hear(client)
            self._act(self._stopping.tick(monotonic()))
            self._copy_to_log()
            for client in list(self._clients):
                self._pump(client)
        self._reap()

    def _interests(self) -> dict[int, int]:
        fds = (self._runner.fileno(), self._pidfd, self._wakeup.fileno(), self._listener.fileno())
        interests = dict.fromkeys((*fds, self._console.output.event, self._console.input.event), select.POLLIN)
        for client in self._clients:
            interests[client.channel.fileno()] = select.POLLIN | (select.POLLOUT if client.full else 0)
        return interests

    def _timeout(self) -> float | None:
        """Look again soon while the guest writes, without asking to be woken; when it does not, sleep until a byte."""
        waits = [] if self._stopping.deadline is None else [max(self._stopping.deadline - monotonic(), 0)]
        if self._chatty or not self._console.wait(self._logged):
            waits.append(COALESCE)
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
        self._state()
        self._tell_all({"running": report_to_json(self._records.report())})

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

    def _runner_devices(self, message: dict[str, Any]) -> None:
        self._records.devices(message)

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
        self._tell_all(message)

    _from_runner: ClassVar[dict[str, Callable[[Keeper, dict[str, Any]], None]]] = {
        "outcome": _runner_outcome,
        "devices": _runner_devices,
        "running": _runner_running,
        "reboot": _runner_reboot,
        "failed": _runner_failed,
        "end": _runner_end,
        "counts": _runner_counts,
        "alarm": _runner_alarm,
        "power": _runner_power,
        "bug": _runner_bug,
    }

    def _reap(self) -> None:
        self._hear_runner()
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        os.close(self._pidfd)
        self._runner.close()
        death, by = describe_death(status), self._stopping.by
        if by is None and (status < 0 or self._records.end is None):
            self._records.note(Diagnostic("E502", death.detail))
        if self._records.end is None:
            self._records.end = death if by is None else stopped(by, self._stopping.code, forced=True)

    # -- stopping ------------------------------------------------------------------------------------------------

    def _stop(self, by: str, code: int, timeout: float = TIMEOUT, *, force: bool = False) -> None:
        self._act(self._stopping.ask(by, code, timeout, force, monotonic()))

    def _signalled(self, number: int) -> None:
        """SIGINT does not wait for the guest."""
        self._stop(signal.Signals(number).name, 128 + number, force=number == signal.SIGINT)

    def _act(self, act: Act | None) -> None:
        if act is not None:
            self._records.phase = "stopping"
            self._state()
        if act == "kill":
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        elif act is not None:
            with suppress(Closed):
                self._runner.send({"do": act})

    def _hear_signals(self) -> None:
        with suppress(BlockingIOError):
            for number in self._wakeup.recv(64):
                self._signalled(number)

    # -- clients -------------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        with suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            self._clients.append(Client(Channel(connection), owner=False))

    def _hear(self, client: Client) -> None:
        try:
            while packet := client.channel.receive(wait=False):
                self._obey(client, packet.message or {})
                if packet.data:
                    client.take(packet.data)
                    client.feed(self._console)
        except Closed:
            self._lose(client)

    def _obey(self, client: Client, message: dict[str, Any]) -> None:
        order = message.get("do")
        if order == "leave":
            client.owner, client.position = False, None
        elif order == "signal" and message.get("number") in STOPS:
            self._signalled(message["number"])
        elif order == "stop":
            timeout = message.get("timeout")
            seconds = float(min(timeout, LONGEST)) if isinstance(timeout, (int, float)) else TIMEOUT
            self._stop(str(message.get("by")), 128 + signal.SIGTERM, seconds, force=message.get("force") is True)

    def _tell_all(self, message: dict[str, Any]) -> None:
        for client in list(self._clients):
            self._tell(client, message)

    def _tell(self, client: Client, message: dict[str, Any]) -> None:
        try:
            client.tell(message)
        except Closed:
            self._lose(client)

    def _pump(self, client: Client) -> None:
        try:
            client.feed(self._console)
            client.full = client.pump(self._console)
        except Closed:
            self._lose(client)

    def _lose(self, client: Client) -> None:
        """It has gone; with the owner goes the VM, unless it has ended."""
        if client not in self._clients:
            return
        self._clients.remove(client)
        client.channel.close()
        if client.owner and self._records.end is None:
            self._stop("its `up` went away", 128 + signal.SIGHUP)

    # -- records -------------------------------------------------------------------------------------------------

    def _outcome(self, outcome: StepOutcome) -> None:
        self._records.outcome(outcome)
        self._tell_all({"outcome": encode(outcome)})

    def _state(self) -> None:
        report = self._records.report()
        size = {"vcpus": len(report.vcpus), "memory": sum(one.size for one in report.memory)}
        state = {"name": report.name, "phase": report.phase, "keeper": report.pid, "started": report.started, **size}
        self._book("state", lambda: self._folder.write(STATE, state))

    def _copy_to_log(self) -> None:
        self._chatty = self._logged != self._console.head
        while self._logged != self._console.head:
            data, self._logged, lost = self._console.read(self._logged, BITE)
            self._book("console log", partial(self._log.append, gap(lost) + data))

    def _book(self, what: str, write: Callable[[], object]) -> None:
        """A full or vanished /run costs the record, not the VM."""
        try:
            write()
        except OSError as error:
            self._records.note(Diagnostic("W501", f"failed to keep the {what}: {error.strerror}"))

    def _drain(self, event: int) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(event)
