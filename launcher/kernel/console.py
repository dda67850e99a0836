"""The guest's serial console: rings of shared memory between keeper and runner, and the eventfds that wake them."""

from __future__ import annotations

import mmap
import os

from launcher.kernel.call import check
from launcher.native import ffi, lib
from launcher.typed import Any
from launcher.values import KIB, MIB

_uncleared = ffi.new_allocator(should_clear_after_alloc=False)


class _Ring:
    """Shared anonymous memory, what this process knows of it by itself, and the eventfd that wakes the keeper.

    `pointer` is of this process: after a fork each has one of its own, and neither can write to the other's.
    """

    def __init__(self, size: int) -> None:
        self._map = mmap.mmap(-1, size + 4 * KIB)
        self._memory: Any = ffi.from_buffer(self._map)
        self.pointer: Any = ffi.new("struct ring *")
        check(lib.ring_create(self.pointer, self._memory, len(self._map)), "ring_create")
        self.event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def close(self) -> None:
        if self.event >= 0:
            os.close(self.event)
            ffi.release(self._memory)
            self._map.close()
            self.event = -1


class Console:
    """What the guest writes and may read, shared by keeper and runner: it outlives a runner that was killed.

    Output never waits: a reader that falls more than 1 MiB behind loses the oldest bytes and is told how many. What
    either side writes to the shared memory is looked at by the other before it is used.
    """

    def __init__(self) -> None:
        self.output, self.input = _Ring(MIB), _Ring(64 * KIB)
        self.arrived = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)  # input for the runner to announce

    def read(self, position: int, most: int) -> tuple[bytes, int, int]:
        """Output from `position`: the bytes, the position behind them, how many bytes were lost."""
        place, lost = ffi.new("uint64_t *", position), ffi.new("uint64_t *")
        buffer = _uncleared("uint8_t[]", most)
        count = lib.ring_read(self.output.pointer, place, buffer, most, lost)
        return bytes(ffi.buffer(buffer, count)), place[0], lost[0]

    @property
    def head(self) -> int:
        """How many bytes the guest has written."""
        return int(lib.ring_head(self.output.pointer))

    @property
    def broken(self) -> bool:
        """The other side has written what no ring can hold: nothing is read or taken any more."""
        return any(lib.ring_broken(ring.pointer) for ring in (self.output, self.input))

    def wait(self, position: int) -> bool:
        """Ask that the output's eventfd fire at the next byte; False when there already is one."""
        return bool(lib.ring_wait(self.output.pointer, position))

    def write(self, data: bytes) -> int:
        """Input for the guest: how many bytes found room; the runner is told by `arrived`."""
        return int(lib.ring_write(self.input.pointer, self.arrived, data, len(data)))

    def stuck(self) -> bool:
        """Ask that the input's eventfd fire when there is room again; False when there already is."""
        return bool(lib.ring_stuck(self.input.pointer))

    def descriptors(self) -> tuple[int, ...]:
        """What both processes must keep open."""
        return self.output.event, self.input.event, self.arrived

    def close(self) -> None:
        self.output.close()
        self.input.close()
        if self.arrived >= 0:
            os.close(self.arrived)
            self.arrived = -1
