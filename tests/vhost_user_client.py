"""The runner's end of an engine in; requests of a guest's driver, put on a ring in memory of ours, and answers out.

As small as can be: one queue, one request at a time, nothing negotiated that is not needed.
"""

from __future__ import annotations

import array
import mmap
import os
import select
import socket
import struct
from collections.abc import Sequence

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 8, 9, 10, 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE = 15, 16, 18
VERSION_1, PROTOCOL, REPLY_ACK = 1 << 32, 1 << 30, 1 << 3
READ, WRITE, FLUSH, GET_ID = 0, 1, 4, 8  # of a virtio disk
LONGEST = 20.0

SIZE, GUEST = 1 << 20, 0x1000_0000  # of the memory, and where the guest has it
RINGS, HEAD, STATUS, DATA = 0, 0x3000, 0x4000, 0x5000  # in it
QUEUE = 8


class HungUp(OSError):
    """The engine has gone, or does not like what it was told."""


class Client:
    """Of queue `queue`, which is the requests' of a disk, the second of a share."""

    def __init__(self, fd: int, queue: int = 0) -> None:
        self.socket, self._queue, self._used = socket.socket(fileno=fd), queue, 0
        self.socket.settimeout(LONGEST)
        self._file = os.memfd_create("guest")
        os.ftruncate(self._file, SIZE)
        self.memory = mmap.mmap(self._file, SIZE)
        self._kick, self._call = os.eventfd(0), os.eventfd(0)
        self.features = self._number(GET_FEATURES)
        self._tell(SET_PROTOCOL_FEATURES, struct.pack("<Q", self._number(GET_PROTOCOL_FEATURES) & REPLY_ACK))
        self._tell(SET_OWNER)
        self._tell(SET_FEATURES, struct.pack("<Q", self.features & (VERSION_1 | PROTOCOL)))
        table = struct.pack("<IIQQQQ", 1, 0, GUEST, SIZE, GUEST, 0)
        self._tell(SET_MEM_TABLE, table, (self._file,))
        self._tell(SET_VRING_NUM, struct.pack("<II", queue, QUEUE))
        self._tell(SET_VRING_BASE, struct.pack("<II", queue, 0))
        places = (GUEST, GUEST + 0x2000, GUEST + 0x1000, 0)  # descriptors, used, available
        self._tell(SET_VRING_ADDR, struct.pack("<IIQQQQ", queue, 0, *places))
        self._tell(SET_VRING_CALL, struct.pack("<Q", queue), (self._call,))
        self._tell(SET_VRING_KICK, struct.pack("<Q", queue), (self._kick,))
        self._tell(SET_VRING_ENABLE, struct.pack("<II", queue, 1))

    def close(self) -> None:
        self.socket.close()
        self.memory.close()
        for one in (self._file, self._kick, self._call):
            os.close(one)

    def read(self, sector: int, size: int) -> bytes:
        assert self._disk(READ, sector, size, writes=True) == 0
        return self.memory[DATA : DATA + size]

    def write(self, sector: int, data: bytes) -> int:
        """The status that the engine gives: 0 is well, 1 an error."""
        self.memory[DATA : DATA + len(data)] = data
        return self._disk(WRITE, sector, len(data), writes=False)

    def flush(self) -> int:
        return self._disk(FLUSH, 0, 0, writes=False)

    def identity(self) -> bytes:
        self.memory[DATA : DATA + 20] = bytes(20)
        assert self._disk(GET_ID, 0, 20, writes=True) == 0
        return self.memory[DATA : DATA + 20].rstrip(b"\0")

    def _disk(self, kind: int, sector: int, size: int, *, writes: bool) -> int:
        self.memory[HEAD : HEAD + 16] = struct.pack("<IIQ", kind, 0, sector)
        self.memory[STATUS] = 0xFF
        data = [(DATA, size, writes)] if size else []
        self.request([(HEAD, 16, False), *data, (STATUS, 1, True)])
        return self.memory[STATUS]

    def request(self, buffers: Sequence[tuple[int, int, bool]]) -> int:
        """Offsets, sizes, and whether the engine writes there. The number of bytes that it says to have written."""
        for n, (at, size, writes) in enumerate(buffers):
            more = n + 1 < len(buffers)
            flags = (1 if more else 0) | (2 if writes else 0)
            self.memory[16 * n : 16 * n + 16] = struct.pack("<QIHH", GUEST + at, size, flags, n + 1 if more else 0)
        slot = 0x1004 + 2 * (self._used % QUEUE)
        self.memory[slot : slot + 2] = struct.pack("<H", 0)
        self._used += 1
        self.memory[0x1002:0x1004] = struct.pack("<H", self._used & 0xFFFF)
        os.eventfd_write(self._kick, 1)
        self._await()
        return int(struct.unpack_from("<I", self.memory, 0x2004 + 8 * ((self._used - 1) % QUEUE) + 4)[0])

    def _await(self) -> None:
        """OSError HungUp: the engine has gone."""
        waits = select.poll()
        waits.register(self._call, select.POLLIN)
        waits.register(self.socket, select.POLLIN)
        while struct.unpack_from("<H", self.memory, 0x2002)[0] != self._used & 0xFFFF:
            ready = dict(waits.poll(LONGEST * 1000))
            if self._call in ready:
                os.eventfd_read(self._call)
            elif ready:
                raise HungUp
            else:
                raise TimeoutError

    def _number(self, request: int) -> int:
        self.socket.send(struct.pack("<III", request, 1, 0))
        return int(struct.unpack("<Q", self._answer())[0])

    def _tell(self, request: int, payload: bytes = b"", files: Sequence[int] = ()) -> None:
        """With an answer where both know REPLY_ACK: not before it was agreed."""
        flags = 1 | (8 if request not in (SET_PROTOCOL_FEATURES, SET_OWNER) else 0)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        self.socket.sendmsg([struct.pack("<III", request, flags, len(payload)) + payload], rights)
        if flags & 8 and (answer := struct.unpack("<Q", self._answer())[0]):
            raise OSError(f"request {request} was answered with {answer}")

    def _answer(self) -> bytes:
        head = self.socket.recv(12, socket.MSG_WAITALL)
        if len(head) < 12:
            raise HungUp
        return self.socket.recv(struct.unpack("<III", head)[2], socket.MSG_WAITALL)
