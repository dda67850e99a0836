"""The runner process: carries out the plan's runner steps, runs the guest, undoes them in reverse, exits.

It tells its keeper words of vms.words; it obeys a RunnerOrder of vms.orders. A keeper that goes away is a stop.
"""

from __future__ import annotations

import os
import select
import struct
from collections import deque
from contextlib import suppress
from errno import EAGAIN
from os import strerror
from time import monotonic

from launcher.copies import Here
from launcher.errors import LauncherError
from launcher.executor.ending import check_confined, describe_event, diagnostics_of
from launcher.executor.runner.live import Built, EngineGone, Engines, Live
from launcher.executor.runner.perform import PERFORM
from launcher.executor.runner.spaces import OpenedGroups
from launcher.executor.runner.telling import Telling
from launcher.executor.runner.vcpus import run_vcpus
from launcher.kernel.api import Event, Kernel
from launcher.kernel.console import Console
from launcher.kernel.resting import Rest
from launcher.machine.board import Board
from launcher.machine.boards import board_of
from launcher.plan.outcome import Counts, State, StepOutcome
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import CreateVm, DescribeMachine, GiveMemory, RunVcpus, TakeMemory
from launcher.typed import Literal
from launcher.vms.channel import Channel, Closed
from launcher.vms.limits import MOST_ITEMS
from launcher.vms.orders import read_runner_order
from launcher.vms.words import (
    Alarm,
    Confined,
    Containers,
    Counted,
    Ended,
    Failed,
    Power,
    Rebooted,
    Running,
    Word,
)

# A kernel that refuses, a file that changed, and a saved plan with numbers that nothing can hold.
REFUSALS = (OSError, ValueError, MemoryError, OverflowError, struct.error, LauncherError)


# What follows them begins at once. To tell of a step wakes two processes, which have a processor less than they are at
# a start: that one of these is done is told with the next word. That it begins is told before: it may be the last word.
QUICK = (TakeMemory, CreateVm, GiveMemory, DescribeMachine)

# Of alarms, by the functions' names for them.
KINDS: dict[str, Literal["request", "error", "gone"]] = {"request": "request", "error": "error", "gone": "gone"}

# KVM starts threads of its own when it first enters a guest, and cannot.
REFUSED = Event("error", (EAGAIN,))


def _board(plan: Plan) -> Board:
    """That of the architecture that the plan was made for."""
    return board_of(next((str(one.equals) for one in plan.assumes if one.fact == "architecture"), ""))


def _why(step: Step, error: Exception) -> Word:
    """A step failed. How an engine ended its keeper says, whoever saw it first."""
    if isinstance(error, EngineGone):
        return Alarm(error.alias, "gone")
    return Failed(diagnostics_of(step, error)[:MOST_ITEMS])


class StopOrdered(Exception):
    """The keeper said stop while the VM was being set up."""


class Runner:
    """`reboot`: a guest that asks for a reset starts again in place."""

    def __init__(self, plan: Plan, kernel: Kernel, console: Console, keeper: Channel, *, reboot: bool) -> None:
        self._plan = plan
        self._run_step = next(step for step in plan.steps if isinstance(step, RunVcpus))
        self._reboot, self._quiet = reboot, False
        self._keeper = keeper
        self._telling = Telling(keeper)
        self._live = Live(kernel, console, os.sched_getaffinity(0), self._progress, _board(plan), self._telling.let_out)
        self._events: deque[tuple[int, Event | Exception]] = deque()
        self._began = 0.0  # the step in hand
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def run(self) -> int:
        """0, the exit status of the process: how the VM ended is told, not returned."""
        try:
            if self._set_up():
                self._tell_devices()
                self._tell(Running())
                self._watch()
        except StopOrdered:
            if self._live.vcpus:
                self._keep_back()
                self._tell_all()
        finally:
            self._live.ends = True
            try:
                self._live.undo.unwind(self._undone, self._undo_failed)
            finally:
                self._telling.end()
            Here.copies.close()
            os.close(self._bell)
        return 0

    def _keep_back(self) -> None:
        """The host wants its devices back: what there is to say is said when the kernel is at work on them, or has
        them."""
        if self._live.find(OpenedGroups):
            self._telling.keep_back()

    def _set_up(self, first: int = 1) -> bool:
        for n, step in enumerate(self._plan.steps[first - 1 :], first):
            if step.by == "runner" and not self._perform(n, step):
                return False
        return True

    def _perform(self, n: int, step: Step) -> bool:
        self._check_orders()
        self._live.step = n
        self._outcome(n, "started")
        self._began = monotonic()
        try:
            if isinstance(step, RunVcpus):
                self._shut_in(step)
                run_vcpus(step, self._live, self._told)
            else:
                PERFORM[type(step)](step, self._live)
        except REFUSALS as error:
            self._outcome(n, "failed", monotonic() - self._began)
            self._tell(_why(step, error))
            return False
        self._outcome(n, "done", monotonic() - self._began)
        return True

    def _shut_in(self, step: RunVcpus) -> None:
        """Before the guest's first instruction: what it may take over later is worth little."""
        if self._live.past is None:
            Here.copies.close()
            measures = self._live.kernel.confine(virtio=self._live.find(Engines) is not None)
            self._tell(Confined(measures))
            check_confined(step, measures)

    def _watch(self) -> None:
        """Until a vCPU comes back or the keeper says stop."""
        arrived, rest = self._live.console.arrived, Rest()
        while True:
            heard = (self._keeper.fileno(), self._bell, arrived, *self._alarms())
            ready = set(rest.poll(dict.fromkeys(heard, select.POLLIN)))
            if not ready:
                self._settle()
            if arrived in ready:
                os.eventfd_read(arrived)
                self._live.the(Built).machine.input_arrived()
            if self._bell in ready:
                index, event = self._events.popleft()
                if isinstance(event, Exception):
                    raise event
                if event == REFUSED:
                    self._tell(Failed(diagnostics_of(self._run_step, OSError(EAGAIN, strerror(EAGAIN), "KVM_RUN"))))
                    return
                if event.kind != "reset" or not self._reboot:
                    self._keep_back()
                    self._tell_all()
                    self._tell(self._ending(index, event))
                    return
                if not self._restart():
                    return
            for fd in ready.intersection(self._alarms()):
                self._alarm(fd)
            if self._keeper.fileno() in ready:
                self._check_orders()

    def _settle(self) -> None:
        """Nothing has come for a while. A guest that has stopped its i8254 by then, for other clocks, has no use for
        ticks that it was late for; while KVM keeps them it frees a VM only after two waits for readers (kvm_free_pit),
        longer than all else at the end, and AMD hosts deliver no device's interrupt without an exit
        (APICV_INHIBIT_REASON_PIT_REINJ)."""
        vm = self._live.the(Built).vm
        if vm.timer_stands():
            vm.drop_late_ticks()

    def _alarms(self) -> tuple[int, ...]:
        built = self._live.find(Built)
        return tuple(built.bus.alarms()) if built else ()

    def _alarm(self, descriptor: int) -> None:
        """The host wants a device back, or it is broken: the keeper decides."""
        found = self._live.the(Built).bus.alarm(descriptor)
        if found is not None:
            alias, kind = found[0].alias, found[1]
            self._tell(Alarm(alias, KINDS[kind]))

    def _tell_all(self) -> None:
        """The numbers come last: they are the answer to who asks."""
        self._tell_devices()
        numbers = self._live.numbers()
        missing = (0,) * (len(numbers.exits) and self._run_step.count - len(numbers.exits))
        counts = Counts(**numbers.counts, unanswered=numbers.unanswered())
        self._tell(Counted(counts, (*numbers.exits, *missing), self._live.halted()))

    def _tell_devices(self) -> None:
        built = self._live.find(Built)
        functions = built.bus.functions if built else []
        for one in functions:
            self._tell(one.report())
        if self._live.find(OpenedGroups):
            self._tell(Containers(tuple(one.report() for one in self._live.the(OpenedGroups).maps)))

    def _restart(self) -> bool:
        """The VM is made anew on the same memory: what comes after it in the plan is undone and done again, quietly."""
        first = next(n for n, step in enumerate(self._plan.steps, 1) if isinstance(step, CreateVm))
        self._quiet = True
        past = self._live.numbers()
        self._live.undo.unwind(self._undone, self._undo_failed, down_to=first)
        self._live.past = past
        self._live.made.pop(Built, None)
        self._live.vcpus.clear()
        self._events.clear()
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        self._tell(Rebooted())
        try:
            return self._set_up(first)
        finally:
            self._quiet = False

    def _check_orders(self) -> None:
        """Press the power button if the keeper says so; StopOrdered when it says stop, or has gone."""
        try:
            while packet := self._keeper.receive(wait=False):
                order = read_runner_order(packet.message or {})
                if order == "tell":
                    self._tell_all()
                if order == "stop":
                    raise StopOrdered
                if order == "power":
                    self._tell(Power(self._press_power()))
        except Closed:
            raise StopOrdered from None

    def _press_power(self) -> bool:
        """Whether the guest listens: to be waited for, a vCPU must be left that hears the interrupt."""
        built = self._live.find(Built)
        return built is not None and built.machine.press_power() and not self._live.halted()

    def _ending(self, index: int, event: Event) -> Ended:
        """How the VM ended; a crash with the registers, if the CPU still has them."""
        registers: dict[str, int] = {}
        if event.kind not in ("power-off", "reset"):
            with suppress(OSError):  # KVM may refuse after an error of its own
                registers = self._live.vcpus[index].registers()
        return describe_event(index, event, registers)

    def _told(self, index: int, event: Event | Exception) -> None:
        """On the vCPU's own thread."""
        if isinstance(event, Exception) or event.kind != "kicked":
            self._events.append((index, event))
            os.eventfd_write(self._bell, 1)

    def _progress(self, done: int, total: int) -> None:
        self._check_orders()
        seconds = monotonic() - self._began
        self._tell(StepOutcome(self._live.step, "progress", seconds, done, total))

    def _undone(self, n: int) -> None:
        self._outcome(n, "undone")

    def _undo_failed(self, n: int, error: OSError) -> None:
        self._tell(StepOutcome(n, "not-undone", note=str(error)))

    def _outcome(self, n: int, state: State, seconds: float = 0.0) -> None:
        if self._quiet and state != "failed":
            return
        outcome = StepOutcome(n, state, seconds)
        if state == "done" and isinstance(self._plan.steps[n - 1], QUICK):
            self._telling.add(outcome)
        else:
            self._tell(outcome)

    def _tell(self, word: Word) -> None:
        self._telling.say(word)
