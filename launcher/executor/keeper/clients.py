"""A client of a keeper: an attached `up`, a console, a follower of the log, a `down`. None makes the keeper wait."""

from __future__ import annotations

from collections import deque

from launcher.kernel.console import Console
from launcher.plan.outcome import ReaderReport
from launcher.typed import Any
from launcher.vms.channel import Channel, Closed, pack, pack_bytes
from launcher.vms.notices import Taken, notice_to_json

MOST_WAITING, MOST_BYTES = 4096, 1 << 23  # packets, and bytes in them; a client that lets so much pile up is cut off
BITE = 32 * 1024  # console bytes in one packet
MOST_BITES = 32  # of them to one client in a row; then others are looked after
MOST_NAME = 16
TRIES = 64  # to give the guest what was typed, while its reader says now that there is room, and now that there is none


def gap(lost: int) -> bytes:
    """What a reader sees in the place of bytes that it was too slow for."""
    return b"\r\n[vmlaunch: %d bytes of output were lost here]\r\n" % lost if lost else b""


class Client:
    """`owner`: it is the `up` that started the VM. When that goes without leaving, the VM is stopped."""

    def __init__(self, channel: Channel, *, owner: bool) -> None:
        self.channel = channel
        self.owner = owner
        self.name = "up" if owner else ""
        self.position: int | None = 0 if owner else None  # in the guest's output; None: does not watch it
        self.types = owner  # it wants to write to the guest
        self.writer: bool | None = None  # whether it may, as it was told last
        self.typed = b""  # input for the guest that has found no room yet
        self.full = False  # its socket took no more at the last try
        self.turn = 0  # the greater, the later it came or said something
        self._lost = 0  # bytes of output that it was too slow for
        self._waiting: deque[bytes] = deque()
        self._bytes = 0  # in what is waiting

    @property
    def stays(self) -> bool:
        """It reads, types or is the owner; all others are visitors."""
        return self.owner or self.types or self.position is not None

    def watch(self, name: str, position: int) -> None:
        self.name, self.position = name[:MOST_NAME], position

    def leave(self) -> None:
        """The client goes, and the VM stays."""
        self.owner, self.types, self.position = False, False, None

    def tell(self, message: dict[str, Any], *, passing: bool = False) -> None:
        """Closed: too much waits for the client. A `passing` message is dropped when others wait: more will come."""
        if passing and self._waiting:
            return
        packets = pack(message)
        self._bytes += sum(map(len, packets))
        if len(self._waiting) >= MOST_WAITING or self._bytes > MOST_BYTES:
            raise Closed
        self._waiting.extend(packets)

    def take(self, data: bytes) -> None:
        """Input for the guest. Closed: the client did not wait for Taken before it sent the next piece."""
        if self.typed:
            raise Closed
        self.typed = data

    def feed(self, console: Console) -> None:
        """Give the guest what was typed, as far as there is room; what is left waits for the room event."""
        for _ in range(TRIES):
            if self.typed:
                self.typed = self.typed[console.write(self.typed) :]
                if not self.typed:
                    self.tell(notice_to_json(Taken()))
            if not self.typed or console.stuck():
                return

    def pump(self, console: Console) -> bool:
        """Send what can be sent without waiting; True when there is more, and the socket is full."""
        while self._waiting:
            if not self.channel.offer(self._waiting[0]):
                return True
            self._bytes -= len(self._waiting.popleft())
        for _ in range(MOST_BITES):
            if self.position is None or self.position == console.head:
                return False
            data, position, lost = console.read(self.position, BITE)
            if not self.channel.offer(pack_bytes(gap(lost) + data)):
                return True
            self.position = position
            self._lost += lost
        return True

    def report(self, console: Console) -> ReaderReport | None:
        """None: the client does not read the guest's output."""
        if self.position is None:
            return None
        return ReaderReport(self.name, bool(self.writer), console.head - self.position, self._lost)
