"""What wants a VM to stop, and the time, in; what to do now out: the power button, an order, then SIGKILL. Pure."""

from __future__ import annotations

from launcher.record import field, mutable
from launcher.signals import signal, signal_name
from launcher.typed import Literal

Act = Literal["power", "stop", "kill"]
MOMENT = 1.0  # seconds in which the same signal is one
PATIENCE = 10.0  # seconds that a runner has to go after it was told to


@mutable
class Stopping:
    """`by` is who began it and `code` the exit code if force was needed; `why`, what made it necessary where nobody had
    asked for it; `last` the strongest act so far.
    """

    by: str | None = None
    code: int = 0
    why: str = ""
    timeout: float = 0.0
    last: Act | None = None
    deadline: float | None = None
    signals: dict[bool, float] = field(default_factory=dict)  # when one came that forces, and one that does not

    @property
    def forced(self) -> bool:
        return self.last in ("stop", "kill")

    def ask(self, by: str, code: int, timeout: float, force: bool, now: float) -> Act | None:
        """Somebody wants the VM to stop. A second request is impatience, and means force."""
        if self.forced:
            return None  # its time is running already
        if self.by is None:
            self.by, self.code = by, code
        self.timeout = timeout
        return self._escalate("stop" if force or self.last else "power", now, timeout)

    def signal(self, one: int, timeout: float, now: float) -> Act | None:
        """SIGTERM and SIGHUP press the power button, SIGINT does not wait for the guest. Sent to every process of a VM,
        as a scheduler does, it is heard more than once within a moment, which is no impatience.
        """
        force = one == signal.SIGINT
        before, self.signals[force] = self.signals.get(force), now
        if before is not None and now - before < MOMENT:
            return None
        return self.ask(signal_name(one), 128 + one, timeout, force, now)

    def answered(self, listens: bool, now: float) -> Act | None:
        """The guest listens to its power button, or is not waited for."""
        if listens or self.last != "power":
            return None
        self.why = "the guest does not listen to its power button"
        return self._escalate("stop", now, PATIENCE)

    def tick(self, now: float) -> Act | None:
        if self.deadline is None or now < self.deadline:
            return None
        if not self.forced:
            self.why = f"the guest did not power off in {self.timeout:g} s"
        return self._escalate("kill" if self.forced else "stop", now, PATIENCE)

    def _escalate(self, act: Act, now: float, timeout: float) -> Act:
        self.last = act
        self.deadline = None if act == "kill" else now + (timeout if act == "power" else PATIENCE)
        return act
