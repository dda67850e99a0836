"""The engines of a VM in; one that ends while the guest runs ends the VM in order, and what each did is told, out."""

from __future__ import annotations

import os
import select

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.keeper.last_words import ended_so, said_by
from launcher.executor.keeper.orders import Orders
from launcher.executor.keeper.records import Records
from launcher.executor.keeper.runner_link import RunnerLink
from launcher.kernel.api import Engine, Kernel
from launcher.kernel.confine import ON
from launcher.kernel.waiting import poll
from launcher.plan.outcome import EngineReport
from launcher.signals import signal
from launcher.typed import Literal

MOMENT = 1.0  # seconds for a runner to go whose sockets are closed already
HELP = (
    "`dmesg` shows whether the kernel killed it",
    "a disk is as after a power cut: the guest's file system repairs itself when it is mounted",
)


class EngineWatch:
    """A share's engine ends by itself when its client, the runner, has gone, which is well."""

    def __init__(self, kernel: Kernel, records: Records, orders: Orders, link: RunnerLink) -> None:
        self._kernel, self._records, self._orders, self._link = kernel, records, orders, link
        self._died: dict[int, Diagnostic] = {}  # by pid
        self._hung_up: dict[str, Diagnostic] = {}  # by alias: those that live on, or are of others
        records.engines = self.reports

    def interests(self) -> dict[int, int]:
        """Of those that live: that they have gone, or have said something."""
        alive = [one for one in self._kernel.engines if one.status is None]
        return {fd: select.POLLIN for one in alive for fd in (one.pidfd, one.said) if fd >= 0}

    def look(self, *, ending: bool) -> None:
        """What the runner has said is heard by then: it says how the VM ended before it hangs up on anybody. `ending`:
        it has said so, or was told to go."""
        for engine in self._kernel.engines:
            if engine.status is None and not self._is_alive(engine) and not self._may_go(engine, ending=ending):
                self._end_for(engine)

    def hung_up(self, alias: str) -> None:
        """Its runner says so, or that it was told what it had not asked. Most often the process has just died."""
        engine = next((one for one in self._kernel.engines if alias in one.order.aliases), None)
        if self._orders.stopping.by is not None or (engine is not None and engine.pid in self._died):
            return
        if engine is not None and (engine.status is not None or poll({engine.pidfd: select.POLLIN}, MOMENT)):
            engine.reap()
            self._end_for(engine)
            return
        whose = f"{engine.name}, which served {alias}," if engine else f"the engine of {alias}"
        why = f"{whose} has hung up, or says what nobody has asked for"
        said = said_by(engine) if engine else ()
        self._hung_up[alias] = Diagnostic("E571", why, evidence=said, help=HELP[1:])
        self.judge()
        self._orders.stop(why, StepFailed.exit_code, force=True)

    def _is_alive(self, engine: Engine) -> bool:
        engine.listen()
        if not engine.is_gone:
            return True
        engine.reap()
        return False

    def _may_go(self, engine: Engine, *, ending: bool) -> bool:
        """Its client has gone, or goes. A guest that ended since its disk had, and one that was not written back, are
        told of what killed that."""
        if not ending:
            return self._is_left_alone(engine)
        return self._orders.stopping.by is not None or (engine.status or 0) >= 0 or engine.status == -signal.SIGTERM

    def _is_left_alone(self, engine: Engine) -> bool:
        """It ended well, since its client did. A runner that was killed closes its sockets before it is seen to go."""
        return engine.status == 0 and bool(poll({self._link.pidfd: select.POLLIN}, MOMENT))

    def _end_for(self, engine: Engine) -> None:
        whom = ", ".join(engine.order.aliases)
        why = f"{engine.name}, which served {whom}, {ended_so(engine)}"
        self._died[engine.pid] = Diagnostic("E560", why, evidence=said_by(engine), help=HELP)
        self.judge()
        self._orders.stop(why, StepFailed.exit_code, force=True)

    def judge(self) -> None:
        """How the VM ended, whatever its runner has made of it."""
        if found := (*self._died.values(), *self._hung_up.values()):
            self._records.fail(found)

    def reports(self) -> tuple[EngineReport, ...]:
        return tuple(self._report(one) for one in self._kernel.engines)

    def _report(self, engine: Engine) -> EngineReport:
        order, died = engine.order, engine.pid in self._died
        state: Literal["runs", "ended", "died"] = "died" if died else "runs" if engine.status is None else "ended"
        said = said_by(engine) if died else ()
        how = "" if engine.status is None else ended_so(engine)
        return EngineReport(
            aliases=order.aliases,
            program=order.program,
            pid=engine.pid,
            uid=order.uid,
            state=state,
            how=how,
            measures=engine.measures,
            said=said,
            writes=_writes(engine),
        )


def _writes(engine: Engine) -> tuple[str, ...]:
    """By the names of the plan."""
    if engine.measures.get("landlock") != ON:
        return ("/",)
    names = dict(engine.order.names)
    return (*(names[one] for one in engine.order.written), os.devnull)
