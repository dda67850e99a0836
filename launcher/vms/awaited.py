"""What the guest says in; whether it has said the text of `--wait` in time, and the exit code that follows, out."""

from __future__ import annotations

from time import monotonic

from launcher.errors import BUG, Diagnostic, GuestFailed, HostNotRestored, StepFailed
from launcher.kernel.waiting import LONGEST

PANIC = b"Kernel panic - not syncing"  # Linux's panic(), since before 2.6
STRONGER = {StepFailed.exit_code, HostNotRestored.exit_code, BUG}  # than what a guest did not say


class AwaitedText:
    """`text` is to come within `timeout` seconds from `begin`: what came before counts too, what comes later not."""

    def __init__(self, text: str, timeout: float) -> None:
        self.text, self.timeout = text, min(timeout, LONGEST)
        self.heard = self.expired = self.panicked = False
        self._wanted, self._tail = text.encode(errors="surrogateescape"), b""
        self._deadline: float | None = None

    def begin(self) -> None:
        """The vCPUs run: the clock, too."""
        if self._deadline is None:
            self._deadline = monotonic() + self.timeout

    def hear(self, data: bytes) -> None:
        """The text may come in pieces."""
        if self.expired:
            return
        whole = self._tail + data
        self.heard = self.heard or self._wanted in whole
        self.panicked = self.panicked or PANIC in whole
        self._tail = whole[max(len(whole) - max(len(self._wanted), len(PANIC)) + 1, 0) :]

    @property
    def open(self) -> bool:
        return not self.heard and not self.expired

    def left(self) -> float | None:
        """Seconds until nobody waits any more; None when nobody does now."""
        return max(self._deadline - monotonic(), 0) if self.open and self._deadline is not None else None

    def tick(self) -> bool:
        """True once: the time is over."""
        over = self.left() == 0
        self.expired = self.expired or over
        return over

    def complaint(self, name: str) -> Diagnostic:
        """The text was not heard."""
        when = f"within {self.timeout:g} s" if self.expired else "before it ended"
        why = f"; it said `{PANIC.decode()}`" if self.panicked else ""
        help_ = (f"`vmlaunch logs {name}` shows what it said" + (", and behind that word why" if why else ""),)
        return Diagnostic("E528", f"{name} did not say {self.text!r} {when}{why}", help=help_)

    def exit_code(self, code: int) -> int:
        """That of a VM that ended with `code`, and whose guest did not say the text."""
        return code if code in STRONGER or (code and not self.expired) else GuestFailed.exit_code
