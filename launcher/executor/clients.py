"""One who listens to a keeper: an attached `up`, a console, a follower of the log, a `down`. None makes it wait."""

from __future__ import annotations

from collections import deque
from typing import Any

from launcher.kernel.machine import Console
from launcher.plan.outcome import ReaderReport
from launcher.vms.channel import Channel, Closed, pack, pack_bytes

MOST_WAITING = 4096  # packets; a client that lets so many pile up is cut off
BITE = 32 * 1024  # console bytes in one packet
MOST_NAME = 16


def gap(lost: int) -> bytes:
    """What stands in the place of bytes that a reader was too slow for."""
    return b"\r\n[vmlaunch: %d bytes of output were lost here]\r\n" % lost if lost else b""


class Client:
    """`owner` is the attached `up`: when it goes without leaving, the VM is stopped."""

    def __init__(self, channel: Channel, *, owner: bool) -> None:
        self.channel = channel
        self.owner = owner
        self.name = "up" if owner else ""
        self.position: int | None = 0 if owner else None  # in the guest's output; None: does not watch it
        self.types = owner  # it wants to write to the guest
        self.writer: bool | None = None  # what it was told last: whether it is the one who may
        self.typed = b""  # input for the guest that has found no room yet
        self.full = False  # its socket took no more at the last try
        self.turn = 0  # the greater, the later it came or said something
        self._lost = 0  # bytes of output that it was too slow for
        self._waiting: deque[bytes] = deque()

    @property
    def stays(self) -> bool:
        """It reads, types or owns; all others are visitors."""
        return self.owner or self.types or self.position is not None

    def watch(self, name: str, position: int) -> None:
        self.name, self.position = name[:MOST_NAME], position

    def leave(self) -> None:
        """It goes, and the VM stays."""
        self.owner, self.types, self.position = False, False, None

    def tell(self, message: dict[str, Any]) -> None:
        """Closed when it cannot be told any more."""
        if len(self._waiting) >= MOST_WAITING:
            raise Closed
        self._waiting.append(pack(message))

    def take(self, data: bytes) -> None:
        """Input for the guest. A client sends the next piece when the last one is `taken`; Closed if it does not."""
        if self.typed:
            raise Closed
        self.typed = data

    def feed(self, console: Console) -> None:
        """Give the guest what was typed, as far as there is room; what is left waits for the room event."""
        while self.typed:
            self.typed = self.typed[console.write(self.typed) :]
            if not self.typed:
                self.tell({"taken": True})
            elif console.stuck():
                return

    def pump(self, console: Console) -> bool:
        """Send what can be sent without waiting; True when there is more, and the socket is full."""
        while self._waiting:
            if not self.channel.offer(self._waiting[0]):
                return True
            self._waiting.popleft()
        while self.position is not None and self.position != console.head:
            data, position, lost = console.read(self.position, BITE)
            if not self.channel.offer(pack_bytes(gap(lost) + data)):
                return True
            self.position = position
            self._lost += lost
        return False

    def report(self, console: Console) -> ReaderReport | None:
        """None: it does not watch the guest."""
        if self.position is None:
            return None
        return ReaderReport(self.name, bool(self.writer), console.head - self.position, self._lost)
