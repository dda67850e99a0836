"""Messages between the processes of a VM: JSON objects and console bytes, one packet each, over a Unix socket."""

from __future__ import annotations

import _socket as socket  # which `socket` makes enums and selectors of, as long as a start takes for 20 of our modules
import os
from contextlib import suppress

from launcher.json_text import dumps, loads
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launcher.vms.way import StrPath

MOST = 1 << 17  # bytes of one packet
MOST_REPORT = 1 << 26  # of a message in several, for who trusts the sender: the report of a VM with many devices
BUFFER = 1 << 18
LONGEST = 107  # bytes of a socket's path (unix(7))
JSON, BYTES, PART = b"j", b"b", b"p"  # of a JSON object, the whole or the end; console bytes; a part that more follows


class Closed(Exception):
    """The other side has gone, or this side is closed."""


class Packet(NamedTuple):
    """Either a message or console bytes."""

    message: dict[str, Any] | None
    data: bytes


class Channel:
    """SOCK_SEQPACKET: packets arrive whole and in order. One that is not ours, or longer than MOST, reads as empty.

    `longest`: bytes of a message that comes in several packets; a longer one reads as empty, too.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.longest = MOST
        self._parts: list[bytes] = []
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            connection.setsockopt(socket.SOL_SOCKET, option, BUFFER)

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    @classmethod
    def connect(cls, path: StrPath) -> Channel:
        """OSError when nobody listens there, or so many wait to be accepted that this one would have to wait, too."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            _connect(connection, path)
        except OSError:
            connection.close()
            raise
        connection.setblocking(True)
        channel = cls(connection)
        channel.longest = MOST_REPORT
        return channel

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message, and wait for room. Closed when the other side has gone."""
        for packet in pack(message):
            self._send(packet, 0)

    def send_bytes(self, data: bytes) -> None:
        self._send(BYTES + data, 0)

    def offer(self, packet: bytes) -> bool:
        """Send one packet if that needs no waiting."""
        try:
            self._send(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def receive(self, *, wait: bool = True) -> Packet | None:
        """The next packet; None when there is none and `wait` is False. Closed at the end."""
        flags = 0 if wait else socket.MSG_DONTWAIT
        self._check_open()
        try:
            while self._is_part(packet := self._receive(flags)):
                self._parts.append(packet[1:])
        except BlockingIOError:
            return None
        except ConnectionError:
            raise Closed from None
        if not packet:
            raise Closed
        parts, self._parts = b"".join(self._parts), []
        whole = len(packet) <= MOST and packet[:1] != PART
        return _unpack(packet[:1] + parts + packet[1:]) if whole else Packet({}, b"")

    def _receive(self, flags: int) -> bytes:
        """A reset is told once, before what had been sent by then. One byte more than MOST tells of a longer packet."""
        try:
            return self._socket.recv(MOST + 1, flags)
        except ConnectionResetError:
            return self._socket.recv(MOST + 1, flags)

    def _is_part(self, packet: bytes) -> bool:
        """A part is full, and no sender makes us gather more of them than the longest message has."""
        return packet[:1] == PART and len(packet) == MOST and len(self._parts) < self.longest // MOST

    def close(self) -> None:
        self._socket.close()

    def _check_open(self) -> None:
        if self._socket.fileno() < 0:
            raise Closed

    def _send(self, packet: bytes, flags: int) -> None:
        self._check_open()
        try:
            self._socket.send(packet, flags | socket.MSG_NOSIGNAL)
        except ConnectionError:
            raise Closed from None


def _connect(connection: socket.socket, path: StrPath) -> None:
    """An address has room for a short path only."""
    if len(os.fsencode(path)) <= LONGEST:
        connection.connect(os.fspath(path))
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


def listen(path: StrPath) -> socket.socket:
    """A listening socket that only its owner may connect to (the folder is 0700 as well)."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(os.fspath(path))
    os.chmod(path, 0o600)
    listener.listen()
    listener.setblocking(False)
    return listener


def accept(listener: socket.socket) -> Channel:
    """BlockingIOError: nobody is there any more."""
    whole: Any = listener  # what is known of its type is less than it has
    return Channel(socket.socket(fileno=whole._accept()[0]))


def pack(message: dict[str, Any]) -> list[bytes]:
    """The packets of it, of which all but the last are parts."""
    whole = dumps(message).encode()
    starts = range(0, len(whole), MOST - 1)
    return [(JSON if n == starts[-1] else PART) + whole[n : n + MOST - 1] for n in starts]


def pack_bytes(data: bytes) -> bytes:
    return BYTES + data


def _unpack(packet: bytes) -> Packet:
    if packet[:1] == BYTES:
        return Packet(None, packet[1:])
    try:
        message = loads(packet[1:].decode())  # of bytes it would guess the encoding, and import that
    except (ValueError, RecursionError):
        return Packet({}, b"")
    return Packet(message if isinstance(message, dict) else {}, b"")
