"""The runner as a child process: forked, heard within limits, given orders, killed, reaped.

A runner may have been taken over by its guest, so its keeper reads a bounded number of its packets in one turn, and
kills a runner that says what no runner says.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic

from launcher.codec import encode
from launcher.errors import Diagnostic
from launcher.executor.keeper.records import Records
from launcher.kernel.waiting import STOPS, ignore_stops
from launcher.plan.plan import Plan
from launcher.signals import signal
from launcher.typed import NoReturn
from launcher.vms.channel import Channel, Closed, pack
from launcher.vms.limits import Unfit
from launcher.vms.orders import RunnerDo, RunnerOrder
from launcher.vms.words import Hearing, Word

TEARDOWN_TIME = 600.0  # seconds for a runner that has said its end: it unpins guest memory and resets devices
MOST_PACKETS, MOST_SECONDS = 256, 0.02  # of the runner in one turn of the keeper's loop


class RunnerLink:
    """`records.runner` is the pid of the runner from its fork until it is reaped.

    `more`: the runner has said more than was heard in one turn. `distrusted`: it was killed for what it said.
    """

    def __init__(self, plan: Plan, records: Records) -> None:
        self._records = records
        self._hearing = Hearing(plan)
        self._last_moment: float | None = None  # of its teardown
        self.more = self.distrusted = False

    def start(self, main: Callable[[Channel], NoReturn]) -> int:
        """Fork the runner, which does `main` with its end of the channel. OSError: there is none, or no pidfd of it."""
        mine, theirs = Channel.pair()
        mine.longest = 0  # a runner has nothing to say that needs several packets
        self._channel = mine
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # the runner is to ignore them from birth
        try:
            pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            raise OSError(error.errno, error.strerror, "fork") from None
        if pid == 0:
            ignore_stops()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            main(theirs)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        self._records.runner = pid
        self.pidfd = os.pidfd_open(pid)
        return pid

    def interests(self, *, words: bool) -> dict[int, int]:
        """What to poll for: that the runner has gone and, with `words`, that it has said something."""
        return dict.fromkeys((self.pidfd, self._channel.fileno()) if words else (self.pidfd,), select.POLLIN)

    def has_said(self, ready: dict[int, int]) -> bool:
        """Something that was not heard yet, as far as it is polled for."""
        return self.more or self._channel.fileno() in ready

    def heard(self) -> Iterator[Word]:
        """What the runner has said, a bounded part of it in one turn: others have something to say, too."""
        self.more, last = False, monotonic() + MOST_SECONDS
        try:
            for _ in range(MOST_PACKETS):
                packet = None if monotonic() > last else self._channel.receive(wait=False)
                if packet is None:
                    self.more = monotonic() > last
                    return
                yield self._hearing.read(packet.message)
            self.more = True
        except Closed:
            pass
        except Unfit as why:
            self.distrust(str(why))

    def order(self, do: RunnerDo) -> None:
        """Tell the runner what to do, if there is one."""
        if self._records.runner is None:
            return
        with suppress(Closed):
            self._channel.offer(pack(encode(RunnerOrder(do)))[0])

    def kill(self) -> None:
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def distrust(self, why: str) -> None:
        """Its guest may have the runner by now: it is killed, and nothing that it says is heard any more."""
        self._channel.close()
        self.kill()
        if not self.distrusted:
            self.distrusted = True
            self._records.fail((Diagnostic("E555", f"the runner said what no runner says, and was killed: {why}"),))

    def limit_teardown(self) -> None:
        """The runner has said how the VM ended and gives all back; it is killed when that takes too long."""
        self._last_moment = self._last_moment or monotonic() + TEARDOWN_TIME
        if monotonic() > self._last_moment:
            self.kill()

    def reap(self) -> int:
        """Its status as os.waitstatus_to_exitcode gives it. The runner has gone."""
        status = self._wait()
        os.close(self.pidfd)
        self._channel.close()
        return status

    def end(self) -> None:
        """Kill the runner if it is still there, by its pid: there may be no pidfd, and it is a child not reaped yet."""
        if self._records.runner is not None:
            os.kill(self._records.runner, signal.SIGKILL)
            self._wait()

    def _wait(self) -> int:
        assert self._records.runner is not None
        status = os.waitstatus_to_exitcode(os.waitpid(self._records.runner, 0)[1])
        self._records.runner = None
        return status
