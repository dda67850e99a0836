"""Packets of all clients of a keeper in; their orders, and notices to them, out.

The guest's console has many readers and one writer: the client that typed first.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from time import sleep

from launcher.executor.keeper.clients import Client
from launcher.kernel.console import Console
from launcher.plan.outcome import ReaderReport
from launcher.typed import Any
from launcher.vms.channel import Channel, Closed, accept, listen
from launcher.vms.notices import Full, IsRunning, MayType, Notice, Watching, notice_to_json
from launcher.vms.orders import Leave, Order, Type, Watch, WatchLines, read_order

MOST = 100  # who read or type, at a time
MOST_PACKETS, MOST_LEFT = 64, 4096  # of one client in a row, and of one that goes
VISITORS = 32  # all others: a client with an order comes, says it and hears the answer; no crowd keeps the next one out
FEW = 4  # visitors that have just come
MOMENT = 0.01  # seconds, when the host has no descriptor for one more and nobody is here who could go
RECENT = 2048  # bytes of earlier output that a new reader sees

Poll = Callable[[dict[int, int]], dict[int, int]]


class Audience:
    """The owner is the `up` that started the VM. `orphaned` is called when it goes without leaving.

    `obey` is given the orders that are not about reading and writing.
    """

    def __init__(
        self, console: Console, owner: Channel, obey: Callable[[Client, Order], None], orphaned: Callable[[], None]
    ) -> None:
        self._console, self._obey, self._orphaned = console, obey, orphaned
        self._clients = [Client(owner, owner=True)]
        self._clients[0].writer = True
        self._running: IsRunning | None = None  # what a client is told that comes later
        self._turn = 0  # how often somebody came or said something

    def open(self, path: str) -> None:
        self._listener = listen(path)

    def close(self) -> None:
        """No client comes any more; those that are here stay."""
        self._listener.close()

    @property
    def owned(self) -> bool:
        """The owner is there, and has not left."""
        return any(one.owner for one in self._clients)

    @property
    def _is_full(self) -> bool:
        return sum(one.stays for one in self._clients) >= MOST

    def interests(self) -> dict[int, int]:
        found = {one.channel.fileno(): select.POLLIN | (select.POLLOUT if one.full else 0) for one in self._clients}
        return found | {self._listener.fileno(): select.POLLIN}

    def attend(self, ready: dict[int, int]) -> None:
        """Hear the clients that have said something, and let new ones in."""
        for client in list(self._clients):
            if ready.get(client.channel.fileno(), 0) & ~select.POLLOUT:
                self._hear(client)
        if self._listener.fileno() in ready:
            self._let_in()

    def pump(self) -> None:
        for client in list(self._clients):
            self._pump(client)

    def tell_running(self, running: IsRunning) -> None:
        """To all clients, and to those that come later."""
        self._running = running
        self.tell_all(running)

    def tell_all(self, notice: Notice, *, passing: bool = False) -> None:
        """`passing`: a client that has not taken yet what was before it goes without."""
        message = notice_to_json(notice)
        for client in list(self._clients):
            self._tell(client, message, passing=passing)

    def tell(self, client: Client, notice: Notice) -> None:
        self._tell(client, notice_to_json(notice), passing=False)

    def _tell(self, client: Client, message: dict[str, Any], *, passing: bool) -> None:
        try:
            client.tell(message, passing=passing)
        except Closed:
            self._lose(client)

    def readers(self) -> tuple[ReaderReport, ...]:
        return tuple(one for client in self._clients if (one := client.report(self._console)) is not None)

    def see_off(self, poll: Poll, bell: int) -> None:
        """Wait until slow clients have read the last notice; what they still send is dropped. `bell` ends the wait."""
        self._obey = lambda *_: None
        self.pump()
        while waiting := [client for client in self._clients if client.full]:
            interests = {client.channel.fileno(): select.POLLIN | select.POLLOUT for client in waiting}
            if bell in poll(interests | {bell: select.POLLIN}):
                return
            for client in waiting:
                client.typed = b""
                self._hear(client)
                self._pump(client)
        for client in self._clients:
            with suppress(Closed):
                for _ in range(MOST_LEFT):
                    if client.channel.receive(wait=False) is None:
                        break

    # -- one of them -------------------------------------------------------------------------------------------------

    def _let_in(self) -> None:
        """A client that comes with an order has sent it already, and is heard at once."""
        for _ in range(VISITORS):
            if not select.select([self._listener], [], [], 0)[0]:  # accept says EMFILE also when nobody knocks
                return
            try:
                client = Client(accept(self._listener), owner=False)
            except BlockingIOError:
                return
            except OSError:  # no descriptor, or no memory; the next one knocks on
                if not self._make_room():
                    sleep(MOMENT)
                return
            self._clients.append(client)
            self._take_turn(client)
            self._hear(client)
            if len(visitors := [one for one in self._clients if not one.stays]) > VISITORS:
                self._lose(min(visitors, key=lambda one: one.turn))

    def _take_turn(self, client: Client) -> None:
        self._turn += 1
        client.turn = self._turn

    def _make_room(self) -> bool:
        """The client that was silent longest goes: a visitor, unless they are few. Owner and writer stay."""
        visitors = [one for one in self._clients if not one.stays]
        readers = [one for one in self._clients if one.stays and not one.owner and not one.writer]
        found = (visitors if len(visitors) > FEW else readers) or visitors
        if found:
            self._turn_away(min(found, key=lambda one: one.turn))
        return bool(found)

    def _turn_away(self, client: Client) -> None:
        """The client is told why, behind what it waits for."""
        with suppress(Closed):
            client.tell(notice_to_json(Full(MOST)))
            client.pump(self._console)
        self._lose(client)

    def _hear(self, client: Client) -> None:
        try:
            for _ in range(MOST_PACKETS):  # then others are heard; what is left is there in the next turn
                packet = client.channel.receive(wait=False)
                if packet is None:
                    return
                self._take_turn(client)
                self._order(client, read_order(packet.message or {}))
                if packet.data and client.writer:
                    client.take(packet.data)
                    client.feed(self._console)
        except Closed:
            self._lose(client)

    def _order(self, client: Client, order: Order | None) -> None:
        match order:
            case Leave():
                client.leave()
            case Watch() | WatchLines() | Type() if not client.stays and self._is_full:
                self._turn_away(client)
            case Watch(name, everything):
                client.watch(name, 0 if everything else self._recent())
                self.tell(client, self._running or Watching())
            case WatchLines(name, lines):
                client.watch(name, self._lines(lines))
                self.tell(client, self._running or Watching())
            case Type(on):
                client.types = on
            case None:
                pass
            case _:
                self._obey(client, order)
        self._settle_writer()

    def _recent(self) -> int:
        """Where a line began not long ago."""
        start = max(self._console.head - RECENT, 0)
        data, behind, _ = self._console.read(start, RECENT)
        return behind - len(data) + data.find(b"\n") + 1 if start else 0

    def _lines(self, wanted: int) -> int:
        """Where the last lines begin, as far as the ring has them; one without its end counts."""
        head = position = self._console.head
        found = -1 if head and self._console.read(head - 1, 1)[0] == b"\n" else 0
        while position and wanted > 0:
            start = max(position - RECENT, 0)
            data, behind, lost = self._console.read(start, position - start)
            for at in range(len(data) - 1, -1, -1):
                found += data[at] == ord("\n")
                if found >= wanted:
                    return behind - len(data) + at + 1
            if lost:
                return behind - len(data)
            position = start
        return position if wanted > 0 else head

    def _settle_writer(self) -> None:
        """The writer stays it until it wants no more, or goes. Each client that wants to write is told what it is."""
        wanting = [one for one in self._clients if one.types]
        writer = next((one for one in wanting if one.writer), wanting[0] if wanting else None)
        for client in list(self._clients):
            is_writer = (client is writer) if client.types else None
            if client.writer is not is_writer:
                client.writer = is_writer
                self.tell(client, MayType(bool(is_writer)))

    def _pump(self, client: Client) -> None:
        try:
            client.feed(self._console)
            client.full = client.pump(self._console)
        except (Closed, OSError):  # the host has no memory to tell the client: it goes, and not the VM
            self._lose(client)

    def _lose(self, client: Client) -> None:
        """A client has gone. With the owner goes the VM, unless it said that it leaves, which may still be unheard."""
        if client not in self._clients:
            return
        self._clients.remove(client)
        with suppress(Closed):
            for _ in range(MOST_LEFT):
                packet = client.channel.receive(wait=False)
                if packet is None:
                    break
                if isinstance(read_order(packet.message or {}), Leave):
                    client.leave()
        client.channel.close()
        self._settle_writer()
        if client.owner:
            self._orphaned()
