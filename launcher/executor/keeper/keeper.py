"""The keeper process: holds name, journal, control socket and console; changes the host before, puts it back after.

The life of a VM from its folder to its report. What the runner says, what clients order and how a VM is stopped are
rooms of their own; here is who is heard when.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from time import monotonic

from launcher.copies import Here
from launcher.errors import GuestFailed, LauncherError, StepFailed
from launcher.executor.ending import check_confined, diagnostics_of, stopped_by_force
from launcher.executor.keeper.announcing import Announcer
from launcher.executor.keeper.archive import Archive
from launcher.executor.keeper.audience import Audience
from launcher.executor.keeper.clients import Client
from launcher.executor.keeper.engine_watch import EngineWatch
from launcher.executor.keeper.from_runner import FromRunner
from launcher.executor.keeper.giving_up import give_up
from launcher.executor.keeper.host_changes import HostChanges
from launcher.executor.keeper.judging import judge_death, judge_left, judge_refusal, judge_silence, judge_unread_journal
from launcher.executor.keeper.orders import Orders
from launcher.executor.keeper.questions import Questions
from launcher.executor.keeper.records import Records
from launcher.executor.keeper.runner_link import RunnerLink
from launcher.executor.keeper.signals import Signals
from launcher.executor.keeper.stopping import Stopping
from launcher.executor.nodes import opened_by
from launcher.executor.process import end_process, raise_limits
from launcher.executor.runner.runner import Runner
from launcher.kernel.api import Kernel
from launcher.kernel.console import Console
from launcher.kernel.forked import close_all_but
from launcher.kernel.resting import Rest
from launcher.kernel.waiting import poll
from launcher.plan.codec import plan_to_json
from launcher.plan.outcome import NodeReport
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import RunVcpus
from launcher.refusals import REFUSALS
from launcher.typed import NoReturn
from launcher.vms.awaited import AwaitedText
from launcher.vms.channel import Channel
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import LOG, PLAN, SOCKET
from launcher.vms.holders import began
from launcher.vms.journal import Journal
from launcher.vms.orders import Order

SPARE = 3  # descriptors, held for the end
ENDING_LOOK = 0.08  # seconds between two looks at what a runner says that ends


class Keeper:
    """`owner` is the channel to the `up` that started it, `awaited` what that waits for."""

    def __init__(
        self,
        plan: Plan,
        kernel: Kernel,
        folder: StateFolder,
        owner: Channel,
        *,
        reboot: bool,
        awaited: AwaitedText | None = None,
    ) -> None:
        self._plan, self._kernel, self._folder, self._reboot, self._awaited = plan, kernel, folder, reboot, awaited
        self._console, self._stopping = Console(), Stopping()
        self._records = records = Records(plan, f"{folder.path}/{LOG}")
        self._archive = Archive(folder, records, self._console, awaited)
        self._audience = Audience(self._console, owner, self._obey, self._orphaned)
        self._announcer = Announcer(records, self._archive, self._audience)
        self._link = RunnerLink(plan, records)
        questions = Questions(records, self._console, self._audience, self._link)
        self._orders = Orders(records, self._stopping, self._announcer, self._link, questions)
        self._engines = EngineWatch(kernel, records, self._orders, self._link)
        others = (self._announcer, self._orders, questions, self._engines)
        self._from_runner = FromRunner(records, *others, awaited)
        self._changes = HostChanges(plan, kernel, self._announcer.outcome, self._listen, lambda: self._stopping.by)
        self._signals = Signals()
        self._spare = [os.dup(self._signals.fileno()) for _ in range(SPARE)]

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
            judge_refusal(self._records, error)
        finally:  # whatever we did wrong, the host comes back
            self._link.end()
            self._release()
            self._put_host_back()
        return self._finish()

    # -- before ------------------------------------------------------------------------------------------------------

    def _open_folder(self) -> None:
        folder = self._folder
        folder.empty()
        folder.write(PLAN, plan_to_json(self._plan))
        self._journal = Journal(folder)
        self._archive.open()
        self._kernel.folder = folder.lock
        with folder.entered():
            self._audience.open(SOCKET)
        self._archive.keep_state()

    def _change_host(self) -> bool:
        """The keeper's own steps; each is in the journal before it is done."""
        if failed := self._changes.make(self._journal):
            self._failed(*failed)
        elif self._stopping.by is not None:
            self._records.end = stopped_by_force(self._stopping.by, self._stopping.code)
        return self._records.end is None

    def _listen(self, descriptor: int | None, seconds: float) -> bool:
        """While there is no runner: who has something to say is heard and told. True: the descriptor is readable."""
        interests = self._audience.interests() | {self._signals.fileno(): select.POLLIN}
        if descriptor is not None:
            interests[descriptor] = select.POLLIN
        ready = poll(interests, seconds)
        self._hear_signals()
        self._audience.attend(ready)
        self._audience.pump()
        return descriptor in ready

    def _start_runner(self) -> bool:
        self._note_nodes()
        self._kernel.take_user()
        pid = self._link.start(self._be_runner)
        self._kernel.close_ends()
        Here.copies.close()
        self._archive.runner_began = began(pid)
        self._archive.keep_state()
        return self._give_up(pid)

    def _note_nodes(self) -> None:
        """Of what was handed in the runner gets what it opens. The rest goes before it: it would hold a group."""
        nodes = opened_by(self._plan, self._kernel.drivers.node, self._kernel.drivers.group)
        handed = self._kernel.keep_handed(nodes)
        self._records.nodes = tuple(NodeReport(path, nodes[path], path in handed) for path in sorted(nodes))

    def _be_runner(self, keeper: Channel) -> NoReturn:
        """In the child: never returns. It keeps the folder's lock, so that the name is taken while it lives."""

        def main() -> int:
            raise_limits()
            kept = (keeper.fileno(), *self._folder.locks, *self._console.descriptors(), *self._kernel.handed)
            close_all_but({*kept, *Here.copies.descriptors()})
            return Runner(self._plan, self._kernel, self._console, keeper, reboot=self._reboot).run()

        end_process(keeper, main)

    def _give_up(self, runner: int) -> bool:
        """False when a measure is required and not to be had."""
        self._records.given_up = given = give_up(self._plan, self._kernel, self._folder, runner, self._link.pidfd)
        run = next(step for step in self._plan.steps if isinstance(step, RunVcpus))
        try:
            check_confined(run, given.measures, "keeper")
            check_confined(run, given.of_standby or {}, "process that sets virtual functions back")
            for engine in self._kernel.engines:
                check_confined(run, engine.measures, f"engine {engine.name}")
        except StepFailed as error:
            self._failed(run, error)
        return self._records.end is None

    # -- while the VM runs -------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Until the runner has gone and its last message is read."""
        gone, rest = False, Rest()
        while not gone:
            ready = rest.poll(self._interests(), self._timeout())
            gone = self._link.pidfd in ready
            for event in (self._console.output.event, self._console.input.event):
                if event in ready:
                    _drain(event)
            if gone or self._is_ending or self._link.has_said(ready):
                self._hear_runner()
            if self._signals.fileno() in ready:
                self._hear_signals()
            if not self._link.more:
                self._engines.look(ending=gone or self._is_ending)
            if self._is_ending:
                self._announcer.ending()
            self._audience.attend(ready)
            self._orders.tick()
            if self._records.end is not None and self._stopping.deadline is None:
                self._link.limit_teardown()
            self._archive.keep_log()
            self._stop_waiting()
            if not gone:  # else they hear it with what follows
                self._audience.pump()
            if self._console.broken:  # as those have found who have just looked
                self._link.distrust("it has written over the console's rings")
        self._reap()

    def _interests(self) -> dict[int, int]:
        events = (self._signals.fileno(), self._console.output.event, self._console.input.event)
        own = dict.fromkeys(events, select.POLLIN)
        return (
            own
            | self._link.interests(words=not self._is_ending)
            | self._engines.interests()
            | self._audience.interests()
        )

    @property
    def _is_ending(self) -> bool:
        """The runner undoes its steps. What it says of them can wait a moment, and the host wants its devices back."""
        return self._records.end is not None or self._stopping.forced

    def _timeout(self) -> float | None:
        """Look again soon while the guest writes, without asking to be woken; when it does not, sleep until a byte."""
        if self._link.more:
            return 0
        waits = [] if self._stopping.deadline is None else [max(self._stopping.deadline - monotonic(), 0)]
        if self._awaited is not None and (left := self._awaited.left()) is not None:
            waits.append(left)
        if (look := self._archive.next_look()) is not None:
            waits.append(look)
        if self._is_ending:
            waits.append(ENDING_LOOK)
        return min(waits, default=None)

    def _hear_runner(self) -> None:
        for word in self._link.heard():
            self._from_runner.take(word)

    def _hear_signals(self) -> None:
        for number in self._signals.heard():
            self._orders.signalled(number)

    def _obey(self, client: Client, order: Order) -> None:
        self._orders.obey(client, order)

    def _orphaned(self) -> None:
        self._orders.orphaned()

    def _stop_waiting(self) -> None:
        """Behind the log, so that what our `up` has heard we have heard, too."""
        if self._awaited is not None and self._awaited.tick() and self._audience.owned:
            self._orders.stop("--wait timed out", GuestFailed.exit_code)

    def _reap(self) -> None:
        """The runner has gone. One that was distrusted has had its end."""
        self._hear_runner()
        while self._link.more:
            self._hear_runner()
        status = self._link.reap()
        if not self._link.distrusted:
            judge_death(self._records, self._stopping, status)
        self._engines.judge()

    # -- after -------------------------------------------------------------------------------------------------------

    def _failed(self, step: Step, error: OSError | LauncherError) -> None:
        self._records.fail(diagnostics_of(step, error))

    def _release(self) -> None:
        """So that a keeper without descriptors has those that it takes to put the host back and to say so."""
        while self._spare:
            os.close(self._spare.pop())
        Here.copies.close()  # of a runner that could not be started

    def _put_host_back(self) -> None:
        """The runner has gone."""
        try:
            left = self._changes.put_back(self._journal)
        except (OSError, LauncherError) as error:
            changed = bool(self._plan.summary.host_changes)
            judge_unread_journal(self._records, error, self._plan.name, changed=changed)
        else:
            judge_left(self._records, left, self._changes.left_so)

    def _finish(self) -> int:
        """The runner has gone: what it left, the last words, the report; then everybody is told."""
        self._archive.keep_log()
        if self._awaited is not None and self._audience.owned:
            judge_silence(self._records, self._awaited, self._plan.name)
        self._records.written(self._console.head)
        self._records.over()
        self._archive.keep_report()
        self._archive.keep_state()
        self._audience.close()
        self._journal.close()
        self._archive.remove_socket()
        return self._tell_the_end()

    def _tell_the_end(self) -> int:
        self._announcer.end()
        self._folder.close()
        with suppress(OSError):  # the host has no memory to wait by: who is slow hears less
            self._audience.see_off(poll, self._signals.fileno())
        assert self._records.end is not None
        return self._records.end.exit_code


def _drain(event: int) -> None:
    with suppress(BlockingIOError):
        os.eventfd_read(event)
