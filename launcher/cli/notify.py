"""What `up` is at in; the words of systemd's notification protocol on $NOTIFY_SOCKET out (see sd_notify(3))."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.api.conversation import Conversation
    from launcher.plan.outcome import Observer, StepOutcome
    from launcher.plan.step import Step

MORE_TIME = 30_000_000  # microseconds, each time that a long step has come further


class Systemd:
    """Does nothing where no service manager listens. One that does not answer keeps nobody waiting."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path if path.startswith("/") else None

    @property
    def listens(self) -> bool:
        return self._address is not None

    def tell(self, *words: str) -> None:
        """`READY=1`, `STATUS=...`: in one datagram, so that they count at once."""
        if self._address is None:
            return
        import socket  # few are started by a service manager

        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            text = "\n".join(map(visible, words))  # a newline within one would begin another
            sender.sendto(text.encode(errors="replace"), self._address)

    def ready(self, status: str, pid: int | None) -> None:
        """`pid`: of the process that stays when this one goes, if it will."""
        self.tell(*([f"MAINPID={pid}"] if pid else []), "READY=1", f"STATUS={status}")


class Progress:
    """What of it has been told already. `pid`: the process that stays when this one goes, if it will."""

    def __init__(self, systemd: Systemd, pid: int | None) -> None:
        self._systemd, self._pid = systemd, pid
        self._ready = self._stopping = False

    def observer(self, steps: tuple[Step, ...], also: Observer) -> Observer:
        """A step may take longer than a service may take to start."""

        def tell(outcome: StepOutcome) -> None:
            also(outcome)
            if outcome.state in ("started", "progress"):
                text = steps[outcome.n - 1].describe()
                self._systemd.tell(f"STATUS={text}", f"EXTEND_TIMEOUT_USEC={MORE_TIME}")

        return tell if self._systemd.listens else also

    def tell(self, talk: Conversation, *, ready: bool) -> None:
        if ready and not self._ready and talk.ended is None:
            self._ready = True
            self._systemd.ready("running", self._pid)
        if talk.stopping is not None and not self._stopping:
            self._stopping = True
            self._systemd.tell("STOPPING=1", f"STATUS=stopping: {talk.stopping}")
