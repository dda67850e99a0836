"""vhost-user: queues of virtio devices that another process works on, told by messages on a socket.

The engine at the other end may have been taken over by the guest: each answer has its size before it is read, and comes
within a limit of time, or not at all. (QEMU docs/interop/vhost-user.rst)
"""

from __future__ import annotations

import _socket as socket
import array
import errno
import os
import struct
from collections.abc import Sequence
from threading import Lock

from launcher.kernel.api import MemoryPart, RingPlace
from launcher.native import ffi

LONGEST = 30  # seconds for an answer
GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 8, 9, 10, 11, 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE, GET_CONFIG = 15, 16, 17, 18, 24
NAMES = {value: name for name, value in dict(globals()).items() if name[:4] in ("GET_", "SET_")}
VERSION, REPLY, NEED_REPLY = 1, 4, 8  # flags of a message
PROTOCOL = 30  # the feature bit: there are protocol features, and a queue works once it is enabled
MQ, REPLY_ACK, CONFIG = 0, 3, 9  # protocol features
MOST_REGIONS = 8
_HEAD, _NUMBER, _STATE = struct.Struct("<III"), struct.Struct("<Q"), struct.Struct("<II")
_CONFIG = struct.Struct("<III")


class VhostUser:
    """An end of a connected socket, which is closed with it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._socket = socket.socket(fileno=fd)
        limit = struct.pack("qq", LONGEST, 0)
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, way, limit)
        self._unheard = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._protocol = 0
        self._features = 0  # the engine's own
        self._broken = ""  # why nothing is said to it any more
        self._asking = Lock()  # held from a message to its answer: what comes else was not asked for

    def begin(self, wanted: int) -> int:
        """The session; `wanted` are protocol features. The virtio features of the engine."""
        self._features = self._ask(GET_FEATURES)
        if self._features >> PROTOCOL & 1:
            protocol = self._ask(GET_PROTOCOL_FEATURES) & (wanted | 1 << REPLY_ACK)
            self._tell(SET_PROTOCOL_FEATURES, _NUMBER.pack(protocol))
            self._protocol = protocol
        self._tell(SET_OWNER)
        return self._features & ~(1 << PROTOCOL)

    def queues(self) -> int:
        """As many as it works on at most; one that does not say so has one."""
        return self._ask(GET_QUEUE_NUM) if self._protocol >> MQ & 1 else 1

    def config(self, size: int) -> bytes:
        """The device's configuration. OSError EPROTO: it does not say so much."""
        if not self._protocol >> CONFIG & 1:
            raise self._failed(GET_CONFIG, "it has no configuration")
        payload = self._question(GET_CONFIG, _CONFIG.pack(0, size, 0) + bytes(size), _CONFIG.size + size)
        return payload[_CONFIG.size :]

    def set_features(self, features: int) -> None:
        self._tell(SET_FEATURES, _NUMBER.pack(features | self._features & 1 << PROTOCOL))

    def set_memory(self, parts: Sequence[MemoryPart]) -> None:
        """Guest memory, which must be shared; the engine maps it."""
        files = [part.file for part in parts if part.file is not None]
        if len(files) < len(parts) or len(parts) > MOST_REGIONS:
            raise OSError(errno.EINVAL, "guest memory is private, or in too many pieces", "SET_MEM_TABLE")
        table = b"".join(struct.pack("<QQQQ", one.guest, one.size, one.address, one.offset) for one in parts)
        self._tell(SET_MEM_TABLE, _STATE.pack(len(parts), 0) + table, files)

    def set_ring(self, ring: RingPlace) -> None:
        self._tell(SET_VRING_NUM, _STATE.pack(ring.number, ring.size))
        self._tell(SET_VRING_BASE, _STATE.pack(ring.number, 0))
        places = (ring.descriptors, ring.device, ring.driver, 0)
        self._tell(SET_VRING_ADDR, struct.pack("<IIQQQQ", ring.number, 0, *places))

    def set_kick(self, index: int, event: int) -> None:
        self._tell(SET_VRING_KICK, _NUMBER.pack(index), (event,))

    def set_call(self, index: int, event: int) -> None:
        """-1: it interrupts nobody. It is not told that there is no eventfd: QEMU's engine gives up when a driver then
        wants an interrupt all the same (libvhost-user.c, _vu_queue_notify)."""
        self._tell(SET_VRING_CALL, _NUMBER.pack(index), (event if event >= 0 else self._unheard,))

    def enable(self, index: int) -> None:
        """Without protocol features a queue works as soon as it has its eventfd."""
        if self._features >> PROTOCOL & 1:
            self._tell(SET_VRING_ENABLE, _STATE.pack(index, 1))

    def unanswered(self, ring: RingPlace) -> int:
        """Requests that the driver has offered and that have not come back. By so many the second word of its ring is
        ahead of the device's, which is read first. Both are the guest's to write (virtio 1.2, 2.7.6 and 2.7.8)."""
        used, offered = (int(ffi.cast("volatile uint16_t *", one)[1]) for one in (ring.device, ring.driver))
        return offered - used & 0xFFFF

    def stop(self, index: int) -> None:
        """The engine takes no request from the queue any more. What it has taken it may still be at: that of QEMU
        answers without a look at it (libvhost-user.c, vu_get_vring_base_exec)."""
        self._question(GET_VRING_BASE, _STATE.pack(index, 0), _STATE.size)

    def take(self) -> bool:
        """It has hung up, or says what nobody has asked for, as an answer that comes too late. To be asked when the
        socket is readable, which it is, too, while somebody hears an answer."""
        if not self._asking.acquire(blocking=False):
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            self._broken = self._broken or "the engine has gone, or says what nobody has asked for"
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._asking.release()
        return True

    def close(self) -> None:
        """Some engines end when their client goes."""
        self._socket.close()
        unheard, self._unheard = self._unheard, -1
        if unheard >= 0:
            os.close(unheard)

    def _ask(self, request: int) -> int:
        number: int = _NUMBER.unpack(self._question(request, b"", _NUMBER.size))[0]
        return number

    def _question(self, request: int, payload: bytes, size: int) -> bytes:
        with self._asking:
            self._send(request, VERSION, payload)
            return self._answer(request, size)

    def _tell(self, request: int, payload: bytes = b"", files: Sequence[int] = ()) -> None:
        """OSError EPROTO: the engine refuses, where it says so."""
        acknowledged = self._protocol >> REPLY_ACK & 1
        with self._asking:
            self._send(request, VERSION | (NEED_REPLY if acknowledged else 0), payload, files)
            if acknowledged and any(self._answer(request, _NUMBER.size)):
                raise OSError(errno.EPROTO, "the engine refuses", NAMES[request])

    def _send(self, request: int, flags: int, payload: bytes, files: Sequence[int] = ()) -> None:
        if self._broken:
            raise OSError(errno.EPIPE, self._broken, NAMES[request])
        message = _HEAD.pack(request, flags, len(payload)) + payload
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        try:
            sent = self._socket.sendmsg([message], rights, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            raise self._failed(request, f"the engine took nothing for {LONGEST} s") from None
        except OSError as error:
            raise self._gone(request, f"the engine has gone: {error.strerror}") from None
        if sent != len(message):
            raise self._failed(request, "the engine took a part of a message")

    def _answer(self, request: int, size: int) -> bytes:
        """Of just this request, in just this size."""
        got, flags, length = _HEAD.unpack(self._take(request, _HEAD.size))
        if got != request or flags & 3 != VERSION or not flags & REPLY or length != size:
            raise self._failed(request, f"the engine's answer is none: {length} bytes of message {got}, not {size}")
        return self._take(request, size)

    def _take(self, request: int, size: int) -> bytes:
        try:
            data = self._socket.recv(size, socket.MSG_WAITALL)
        except BlockingIOError:
            raise self._failed(request, f"the engine did not answer for {LONGEST} s") from None
        except OSError as error:
            raise self._gone(request, f"the engine has gone: {error.strerror}") from None
        if len(data) != size:
            raise self._gone(request, "the engine has gone" if not data else "the engine stopped in its answer")
        return data

    def _gone(self, request: int, why: str) -> OSError:
        """ConnectionResetError: nobody is at the other end any more, and no driver's request did that."""
        failed = self._failed(request, why)
        return ConnectionResetError(errno.ECONNRESET, failed.strerror, failed.filename)

    def _failed(self, request: int, why: str) -> OSError:
        """What comes next could be the answer to something else: nothing is said to it any more."""
        self._broken = why
        return OSError(errno.EPROTO, why, NAMES[request])
