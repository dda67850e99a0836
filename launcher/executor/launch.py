"""A Plan in, a running VM out, by way of a keeper that is forked early and imports while others still plan.

`start` is called first thing. Before it only that is imported which the processes that plan, keep and wait all need:
each would else import it again. The plan is handed over, then begun; without one the keeper ends.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from launcher.copies import Copies, Here
from launcher.errors import Diagnostic, StepFailed
from launcher.executor.paper import write_plan
from launcher.kernel.handed import Handed, handed
from launcher.refusals import REFUSALS, TASKS, in_words, refusal_of
from launcher.signals import signal
from launcher.typed import TYPE_CHECKING, Any, NoReturn
from launcher.vms.channel import MOST_REPORT, Channel, Closed

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.plan.plan import Plan
    from launcher.vms.awaited import AwaitedText
    from launcher.vms.notices import Notice

STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Launched:
    """`channel` carries the notices of vms.notices and console bytes one way, orders and console bytes the other."""

    def __init__(self, pid: int, channel: Channel, paper: int, given: Handed) -> None:
        self.pid = pid  # of the keeper, a child of this process
        self.channel = channel
        self.given = given
        self._paper = paper  # a memfd that both have: the plan is written on it
        self._status: int | None = None  # once it has gone

    def copy_files(self) -> None:
        """This process, which plans and ends, copies what it reads for the plan, for whoever loads it."""
        Here.copies = Copies(self._paper)

    def hand_over(self, plan: Plan) -> None:
        """Before `begin`. A process that was forked from this one may do it."""
        write_plan(self._paper, plan)

    def begin(self, *, reboot: bool = True, awaited: AwaitedText | None = None) -> Plan:
        """Let the keeper carry it out; its answer is to be asked for. `reboot`: in place, else it is the end.

        `awaited`: a guest that does not say it in time is stopped, unless we have left.
        """
        from launcher.executor.paper import read_plan
        from launcher.vms.orders import Begin, order

        try:
            if self.given:
                self._let_go(read_plan(self._paper))
            with suppress(Closed):  # `answer` will see it
                self.channel.send(order(Begin(reboot, (awaited.text, awaited.timeout) if awaited else None)))
            return read_plan(self._paper)  # as the keeper does by now
        finally:
            os.close(self._paper)

    def _let_go(self, plan: Plan) -> None:
        """What we were given for its devices the runner has to have alone; other VMs of ours may use the rest."""
        from launcher.executor.nodes import taken_by
        from launcher.kernel.handed import let_go
        from launcher.kernel.sysfs import PciDrivers

        let_go(self.given, taken_by(plan, PciDrivers().node).__contains__)

    def answer(self) -> Notice | None:
        """Begun, or why not; None of a keeper that has gone."""
        from launcher.vms.notices import notice_from_json

        try:
            packet = self.channel.receive()
        except Closed:
            return None
        return notice_from_json((packet and packet.message) or {})

    def wait(self) -> int:
        """The keeper's exit status, once it has gone; negative when a signal ended it."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def close(self) -> None:
        """Let go of the keeper, which has ended or will."""
        self.channel.close()
        self.wait()

    def abandon(self) -> None:
        """There will be no plan."""
        os.close(self._paper)
        self.close()


def start() -> Launched:
    """Fork the keeper. Call it before there are threads."""
    given = handed()  # before this process has descriptors of its own
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # of who started us: nobody could be waited for
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mine, theirs = Channel.pair()
    mine.longest = MOST_REPORT
    paper = os.memfd_create("plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the keeper has handlers of its own
    try:
        pid = os.fork()
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        mine.close()
        theirs.close()
        os.close(paper)
        raise StepFailed(Diagnostic("E501", f"failed to fork the keeper: {error.strerror}", help=(TASKS,))) from None
    if pid == 0:
        _live(theirs, lambda: _keep(theirs, paper, mask, given))
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    theirs.close()
    return Launched(pid, mine, paper, given)


def _live(owner: Channel, main: Callable[[], int]) -> NoReturn:
    """In the keeper's process: whatever happens here, it does not go up the stack that was its parent's."""
    try:
        from launcher.executor.process import end_process

        end_process(owner, main)
    except REFUSALS as error:  # not even that could be read
        found = in_words("start the keeper", refusal_of(error) or OSError(str(error)))
        plain = {"code": found.code, "message": found.message, "help": list(found.help)}
        owner.send({"failed": {"diagnostics": [plain]}})  # Failed of vms.words, which may be what could not be read
    finally:
        os._exit(StepFailed.exit_code)


def _keep(owner: Channel, paper: int, mask: Any, given: Handed) -> int:
    """The exit code of the VM."""
    from launcher.executor.process import detach
    from launcher.kernel.forked import close_all_but

    detach()
    close_all_but({owner.fileno(), paper, *(fd for several in given.values() for fd in several)})
    from launcher.executor.keeper.beginning import begin_keeping

    return begin_keeping(owner, paper, mask, given)
