"""A deed that makes a plan in; a VM that a keeper of its own carries the plan out for, out, as somebody to talk to.

The keeper is forked first thing, and imports what it needs while others still plan.
"""

from __future__ import annotations

from launcher.api.apart import Answer, apart
from launcher.errors import Diagnostic, HostNotRestored, NotPermitted, Refused, StepFailed
from launcher.executor.launch import start
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from launcher.api.apart import Ended, ExitCodeOf
    from launcher.api.child import Child
    from launcher.api.conversation import Conversation, OnConsole
    from launcher.plan.outcome import Observer
    from launcher.plan.plan import Plan
    from launcher.vms.awaited import AwaitedText
    from launcher.vms.notices import Notice

PLANNED = "."  # which is no name


class VmIsUp(Refused):
    """One of the name that `plan`, which is not begun, has for its own; in that folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        help_ = (f"stop it with `vmlaunch down {plan.name}`",)
        super().__init__(Diagnostic("E507", f"a VM of the name {plan.name} is up", help=help_))
        self.folder, self.plan = folder, plan


class Launch:
    """Forks: make it before there are threads. Then a plan; `begin`; `talk`. Without a plan: `abandon`."""

    def __init__(self) -> None:
        self._launched = start()
        self._planner: Child | None = None  # that ends, and is not reaped yet
        self._awaited: AwaitedText | None = None
        self._talk: Conversation | None = None

    @property
    def pid(self) -> int:
        """The keeper's."""
        return self._launched.pid

    def hand_over(self, plan: Plan) -> None:
        self._launched.hand_over(plan)

    def plan_apart(self, planning: Callable[[], Plan | str], exit_code_of: ExitCodeOf) -> str | Ended | None:
        """None: the keeper has a plan. Else it goes, and what `planning` gave instead is answered, or how it ended."""
        try:
            found = apart(lambda: self._planned(planning), exit_code_of, _import_orders)
        except BaseException:
            self.abandon()
            raise
        if isinstance(found, Answer):
            self._planner = found.child
            if found.text == PLANNED:
                return None
        self.abandon()
        return found.text if isinstance(found, Answer) else found

    def _planned(self, planning: Callable[[], Plan | str]) -> str:
        self._launched.channel.close()
        self._launched.copy_files()
        plan = planning()
        if isinstance(plan, str):
            return plan
        self.hand_over(plan)
        return PLANNED

    def begin(self, *, reboot: bool = True, said: tuple[str, float] | None = None) -> Plan:
        """What the keeper carries out from now. VmIsUp or another refusal: it does not, and has gone.

        `reboot`: in place, else it is the end. `said`: a text, and the seconds within which the guest is to say it; one
        that does not is stopped.
        """
        if said is not None:
            from launcher.vms.awaited import AwaitedText

            self._awaited = AwaitedText(*said)
        try:
            if self._launched.given:  # the process that planned has it, too
                self._reap()
            plan = self._launched.begin(reboot=reboot, awaited=self._awaited)
            self._reap()
            from launcher.vms.notices import Begun

            answer = self._launched.answer()
            if not isinstance(answer, Begun):
                raise _refusal(answer, plan)
        except BaseException:  # we are interrupted, too: nobody would talk to the keeper, which may have begun
            self.close()
            raise
        return plan

    def talk(self, on_outcome: Observer, on_console: OnConsole) -> Conversation:
        from launcher.api.conversation import Conversation

        self._talk = Conversation(self._launched.channel, on_outcome, on_console, awaited=self._awaited)
        return self._talk

    @property
    def left(self) -> bool:
        """The VM goes on without us, and so does the keeper: who waited for that would wait for a guest's end."""
        return self._talk is not None and self._talk.left

    def abandon(self) -> None:
        """There will be no plan."""
        self._launched.abandon()
        self._reap()

    def close(self) -> None:
        """Let go of the keeper, which has ended or will."""
        self._launched.close()
        self._reap()

    def _reap(self) -> None:
        """The process that planned, which has nothing more to do."""
        planner, self._planner = self._planner, None
        if planner is not None:
            planner.reap()

    @property
    def restored(self) -> bool:
        """Once the keeper, which is waited for, has ended: the host is as it was. None says so that was killed."""
        return 0 <= self._launched.wait() != HostNotRestored.exit_code

    def given_up(self, error: Exception) -> Exception:
        """The host refused us what it takes to stay beside the VM. It ends with us: what came of it is known then."""
        from launcher.refusals import in_words, refusal_of

        refused = refusal_of(error)
        if refused is None or self.left:
            return error
        self._launched.channel.close()
        return (StepFailed if self.restored else HostNotRestored)(in_words("stay beside the VM", refused))

    def lost(self, plan: Plan, talk: Conversation) -> Exception:
        """The keeper went without a report: refused what it needs, or killed."""
        if talk.failed:
            return (StepFailed if self.restored else HostNotRestored)(*talk.failed)
        from launcher.executor.ending import manner_of_death

        status = self._launched.wait()

        message = f"the keeper {manner_of_death(status)}; its runner ends the guest by itself"
        help_ = (f"`vmlaunch down {plan.name}` clears up what it left",)
        return (HostNotRestored if plan.summary.host_changes else StepFailed)(Diagnostic("E510", message, help=help_))


def _import_orders() -> None:
    """The keeper waits for one as soon as there is a plan. What it answers with is read when it has that to do: until
    then two processes plan and get ready, and may have no third processor."""
    from launcher.vms import orders  # noqa: F401


def _refusal(answer: Notice | None, plan: Plan) -> Refused | NotPermitted:
    """What the keeper answered instead of Begun, as the error it is."""
    from pathlib import Path

    from launcher.vms.notices import NameIsTaken, NotBegun
    from launcher.vms.words import Bug, Failed

    if isinstance(answer, NameIsTaken):
        return VmIsUp(Path(answer.folder), plan)
    found = answer.diagnostics if isinstance(answer, NotBegun | Failed) else ()
    denied = isinstance(answer, NotBegun) and answer.exit_code == NotPermitted.exit_code
    kind = NotPermitted if denied else Refused
    why = tuple(answer.bug.splitlines()) if isinstance(answer, Bug) else ()
    return kind(*found or [Diagnostic("E510", "the keeper was lost before it began", evidence=why)])
