"""The keeper process: holds name, journal, control socket and console; changes the host before, puts it back after.

It starts the runner, judges and relays what it says, stops it when asked, and survives it whatever happens to it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, NoReturn

from launcher.codec import encode
from launcher.errors import Diagnostic, GuestFailed, HostNotRestored, LauncherError, StepFailed
from launcher.executor.ending import check_confined, describe_death, diagnostics_of, ended_by_itself, stopped
from launcher.executor.keeper.archive import Archive
from launcher.executor.keeper.audience import Audience
from launcher.executor.keeper.changing import commands
from launcher.executor.keeper.clients import Client
from launcher.executor.keeper.giving_up import give_up
from launcher.executor.keeper.host_changes import HostChanges
from launcher.executor.keeper.records import Records
from launcher.executor.keeper.stopping import Act, Stopping
from launcher.executor.process import close_all_but, end_process, raise_limits
from launcher.executor.runner.runner import Runner
from launcher.executor.waiting import BUG, Wait
from launcher.kernel.api import Kernel
from launcher.kernel.console import Console
from launcher.kernel.waiting import STOPS, ignore_stops
from launcher.plan.codec import plan_to_json, report_to_json
from launcher.plan.outcome import DeviceReport, End, StepOutcome
from launcher.plan.plan import Plan
from launcher.plan.steps import RunVcpus, Step
from launcher.record import replace
from launcher.refusals import REFUSALS, cause, in_words, refusal_of
from launcher.vms import words
from launcher.vms.channel import Channel, Closed, pack
from launcher.vms.folder import LOG, PLAN, SOCKET, StateFolder
from launcher.vms.holders import began
from launcher.vms.journal import Journal

TIMEOUT = 30.0  # seconds a guest has to power off
LONGEST = 24 * 3600  # seconds of any wait
# Seconds between two looks at the console while the guest writes: an echo is soon there, a verbose boot wakes few.
COALESCE, MOST_COALESCED = 0.01, 0.08
FAREWELL = 600.0  # seconds for a runner to go: it unpins all memory of its guest and resets devices
MOST_PACKETS, MOST_SECONDS = 256, 0.02  # of the runner in one turn of the loop
SPARE = 3  # descriptors, held for the end


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
        self._hearing, self._distrusted = words.Hearing(plan), False
        self._more = False  # of what the runner says, than was heard in one turn
        self._farewell: float | None = None  # when a runner that has said its end must have gone
        self._stopping = Stopping()
        self._console = Console()
        self._audience = Audience(self._console, owner, self._obey, self._orphaned)
        self._changes = HostChanges(plan, kernel, self._outcome, self._listen, lambda: self._stopping.by or "")
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
        self._journal = Journal(folder)
        self._archive = Archive(folder, self._records, self._console, self._wait_for)
        with folder.entered():
            self._audience.open(Path(SOCKET))
        self._archive.keep_state()

    # -- before and after ----------------------------------------------------------------------------------------

    def _change_host(self) -> bool:
        """The keeper's own steps; each is in the journal before it is done."""
        if failed := self._changes.make(self._journal):
            self._failed(*failed)
        elif self._stopping.by is not None:
            self._records.end = stopped(self._stopping.by, self._stopping.code, forced=True)
        return self._records.end is None

    def _failed(self, step: Step, error: OSError | LauncherError) -> None:
        self._fail(diagnostics_of(step, error))

    def _fail(self, found: tuple[Diagnostic, ...]) -> None:
        self._records.diagnostics = (*found, *(one for one in self._records.diagnostics if one not in found))
        self._records.end = End("failed", found[0].message, StepFailed.exit_code)

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
        """The runner has gone."""
        try:
            left = self._changes.put_back(self._journal)
        except (OSError, LauncherError) as error:  # the journal cannot be read: what is left, `down` will see
            found = error.diagnostics if isinstance(error, LauncherError) else (in_words("read the journal", error),)
            self._records.diagnostics += found
            if self._plan.summary.host_changes:
                self._records.left_behind = (f"vmlaunch down {self._plan.name}",)
                self._records.end = End("failed", found[0].message, HostNotRestored.exit_code)
            return
        self._records.left_behind = tuple(commands(entry) for entry, _ in left)
        if left and self._records.end is not None:
            self._records.end = replace(self._records.end, exit_code=HostNotRestored.exit_code)

    def _listen(self, descriptor: int | None, seconds: float) -> bool:
        """While there is no runner: who has something to say is heard and told. True: the descriptor is readable."""
        interests = self._audience.interests() | {self._wakeup.fileno(): select.POLLIN}
        if descriptor is not None:
            interests[descriptor] = select.POLLIN
        ready = self._wait(interests, seconds)
        self._hear_signals()
        self._audience.attend(ready)
        self._audience.pump()
        return descriptor in ready

    def _start_runner(self) -> bool:
        mine, theirs = Channel.pair()
        mine.longest = 0  # a runner has nothing to say that needs several packets
        self._runner = mine
        self._kernel.take_user()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # it is to ignore them from birth
        try:
            pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise OSError(error.errno, error.strerror, "fork") from None
        if pid == 0:
            ignore_stops()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._be_runner(theirs)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        self._records.runner = pid
        self._pidfd = os.pidfd_open(pid)
        self._archive.runner_began = began(pid)
        self._archive.keep_state()
        return self._give_up(pid)

    def _give_up(self, runner: int) -> bool:
        """False when a measure is required and not to be had."""
        self._records.given_up = give_up(self._plan, self._kernel, self._folder, runner, self._pidfd)
        run = next(step for step in self._plan.steps if isinstance(step, RunVcpus))
        try:
            check_confined(run, self._records.given_up.measures, "keeper")
        except StepFailed as error:
            self._failed(run, error)
        return self._records.end is None

    def _be_runner(self, keeper: Channel) -> NoReturn:
        """In the child: never returns. It keeps the folder's lock, so that the name is taken while it lives."""

        def main() -> int:
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
            self._see_off_runner()
            self._archive.keep_log()
            self._stop_waiting()
            self._audience.pump()
            if self._console.broken:  # as those have found who have just looked
                self._distrust("it has written over the console's rings")
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
        if self._more:
            return 0
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
        """At most so much in one turn: others have something to say, too."""
        self._more, last = False, monotonic() + MOST_SECONDS
        try:
            for _ in range(MOST_PACKETS):
                packet = None if monotonic() > last else self._runner.receive(wait=False)
                if packet is None:
                    self._more = monotonic() > last
                    return
                word = self._hearing.read(packet.message)
                self._from_runner[type(word)](self, word)
            self._more = True
        except Closed:
            pass
        except words.Unfit as why:
            self._distrust(str(why))

    def _see_off_runner(self) -> None:
        """It has said how the VM ended, gives all back and goes; or it does not."""
        if self._records.end is None or self._stopping.deadline is not None:
            return
        self._farewell = self._farewell or monotonic() + FAREWELL
        if monotonic() > self._farewell:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _distrust(self, why: str) -> None:
        """It is not the one that we started any more: its guest may have it. Nothing that it says is heard."""
        self._runner.close()
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if not self._distrusted:
            self._distrusted = True
            self._fail((Diagnostic("E555", f"the runner said what no runner says, and was killed: {why}"),))

    def _runner_outcome(self, outcome: StepOutcome) -> None:
        self._outcome(outcome)

    def _runner_running(self, _: words.Running) -> None:
        self._records.phase = "running"
        if self._wait_for is not None:
            self._wait_for.begin()
        self._archive.keep_state()
        self._audience.tell_running({"running": report_to_json(self._records.report())})

    def _runner_reboot(self, _: words.Rebooted) -> None:
        self._records.reboots += 1

    def _runner_failed(self, failed: words.Failed) -> None:
        self._fail(failed.diagnostics)

    def _runner_end(self, ended: words.Ended) -> None:
        if ended.how == "power-off" and self._stopping.by is not None:
            self._records.end = stopped(self._stopping.by, self._stopping.code, forced=False)
        else:
            self._records.end = ended_by_itself(ended.how, ended.detail, ended.registers)

    def _runner_counts(self, counted: words.Counted) -> None:
        self._records.numbers(counted.counts, counted.exits)
        curious, self._curious = self._curious, []
        for client in curious:
            self._audience.tell(client, {"now": self._report()})

    def _runner_device(self, device: DeviceReport) -> None:
        self._records.device(device)

    def _runner_containers(self, containers: words.Containers) -> None:
        self._records.containers = containers.spaces

    def _runner_confined(self, confined: words.Confined) -> None:
        self._records.confinement = confined.measures

    def _runner_alarm(self, alarm: words.Alarm) -> None:
        """VFIO's request interrupt, while somebody waits in the host's kernel; or an error that hardware reported."""
        wanted = alarm.kind == "request"
        why = f"the host wants {alarm.alias} back" if wanted else f"{alarm.alias} reported a fatal error"
        self._records.note(Diagnostic("W526" if wanted else "W527", why))
        if self._stopping.by is None:  # the kernel asks again every few seconds, which is no impatience
            self._stop(why, 128 + signal.SIGTERM)

    def _runner_power(self, power: words.Power) -> None:
        self._act(self._stopping.answered(power.listens, monotonic()))

    def _runner_bug(self, bug: words.Bug) -> None:
        """Its last word."""
        self._records.end = End("failed", "the runner failed in a way it should not", BUG)
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._audience.tell_all({"bug": bug.bug})

    _from_runner: ClassVar[dict[type, Callable[[Keeper, Any], None]]] = {
        StepOutcome: _runner_outcome,
        DeviceReport: _runner_device,
        words.Containers: _runner_containers,
        words.Running: _runner_running,
        words.Rebooted: _runner_reboot,
        words.Failed: _runner_failed,
        words.Ended: _runner_end,
        words.Counted: _runner_counts,
        words.Alarm: _runner_alarm,
        words.Confined: _runner_confined,
        words.Power: _runner_power,
        words.Bug: _runner_bug,
    }

    def _reap(self) -> None:
        self._hear_runner()
        while self._more:
            self._hear_runner()
        status = self._wait_for_runner()
        os.close(self._pidfd)
        self._runner.close()
        by, end, death = self._stopping.by, self._records.end, describe_death(status)
        if self._distrusted:
            return
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
        self._act(self._stopping.signal(signal.Signals(number), TIMEOUT, monotonic()))

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
        if self._records.runner is None:
            return  # there is none yet, or any more: who performs steps, or undoes them, looks by itself
        if act == "kill":
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        else:
            self._order_runner(act)

    def _order_runner(self, order: str) -> None:
        if self._records.runner is None:
            return
        with suppress(Closed):
            self._runner.offer(pack({"do": order})[0])

    def _hear_signals(self) -> None:
        with suppress(BlockingIOError):
            for number in self._wakeup.recv(64):
                self._signalled(number)

    # -- clients -------------------------------------------------------------------------------------------------

    def _obey(self, client: Client, order: words.Order) -> None:
        match order:
            case words.Signal(number) if number in STOPS:
                self._signalled(number)
            case words.Stop(by, force, timeout):
                self._stop(by, 128 + signal.SIGTERM, _seconds(timeout), force=force)
            case words.AskReport():
                self._audience.tell(client, {"known": self._report()})
                self._curious.append(client)
                if len(self._curious) == 1:  # one question at a time: a runner that does not answer is not talked full
                    self._order_runner("tell")

    def _orphaned(self) -> None:
        """Which is no impatience, if the VM is on its way down already."""
        if self._records.end is None and self._stopping.by is None:
            self._stop("its `up` went away", 128 + signal.SIGHUP)

    def _report(self) -> dict[str, Any]:
        self._records.written(self._console.head)
        return report_to_json(replace(self._records.report(), readers=self._audience.readers()))

    # -- records -------------------------------------------------------------------------------------------------

    def _outcome(self, outcome: StepOutcome) -> None:
        self._records.outcome(outcome)
        self._audience.tell_all({"outcome": encode(outcome)}, passing=outcome.state == "progress")
        if self._records.runner is None:  # else it is done once in each turn of the loop
            self._audience.pump()

    def _drain(self, event: int) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(event)


def _seconds(timeout: object) -> float:
    """What a client may call a timeout; JSON has a NaN, too."""
    if isinstance(timeout, (int, float)) and timeout >= 0:
        return float(min(timeout, LONGEST))
    return TIMEOUT
