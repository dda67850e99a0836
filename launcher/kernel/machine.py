"""The devices that C serves, and the console's rings."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import Any

from launcher.kernel.api import Trap
from launcher.kernel.call import check
from launcher.native import ffi, lib
from launcher.values import KIB, MIB

TRAPS = {
    "serial": lib.TRAP_SERIAL,
    "power": lib.TRAP_POWER,
    "keyboard": lib.TRAP_KEYBOARD,
    "pci": lib.TRAP_PCI,
    "ecam": lib.TRAP_ECAM,
    "file": lib.TRAP_FILE,
    "table": lib.TRAP_ASK,
    "pending": lib.TRAP_ASK,
}
CONFIG_SIZE = 4096
COUNTS = ("unclaimed_reads", "unclaimed_writes", "serial_written", "serial_read", "trapped", "refused")


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
        buffer = ffi.new("uint8_t[]", most)
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


class Machine:
    def __init__(self, vm_fd: int, serial_gsi: int, power_gsi: int) -> None:
        self.pointer: Any = lib.machine_create(vm_fd, serial_gsi, power_gsi)
        if self.pointer == ffi.NULL:
            raise MemoryError("machine_create")
        self._console: Console | None = None

    def set_ports(self, traps: Sequence[Trap]) -> None:
        """In place of those before; vCPUs may run."""
        check(lib.machine_set_ports(self.pointer, _table(traps), len(traps)), "machine_set_ports")

    def set_memory(self, traps: Sequence[Trap]) -> None:
        """In place of those before; vCPUs may run."""
        check(lib.machine_set_memory(self.pointer, _table(traps), len(traps)), "machine_set_memory")

    def set_function(self, function: int, image: bytes) -> None:
        """The configuration space of a PCI function on bus 0, 4096 bytes; `function` is slot * 8 + function."""
        if len(image) != CONFIG_SIZE:
            raise ValueError(f"{len(image)} bytes of configuration space")
        check(lib.machine_set_function(self.pointer, function, image), "machine_set_function")

    def ask_function(self, function: int) -> None:
        """Accesses to its configuration space come back from Vcpu.run. Before any vCPU runs."""
        lib.machine_ask_function(self.pointer, function)

    def attach(self, console: Console) -> None:
        self._console = console  # its memory must outlive the pointers given to C
        output, given = console.output, console.input
        lib.machine_console(self.pointer, output.pointer, output.event, given.pointer, given.event)

    def input_arrived(self) -> None:
        lib.machine_input(self.pointer)

    def press_power(self) -> bool:
        """False: the guest has not enabled the power button."""
        return bool(lib.machine_press_power(self.pointer))

    def counts(self) -> dict[str, int]:
        return {name: int(lib.machine_count(self.pointer, n)) for n, name in enumerate(COUNTS)}

    def close(self) -> None:
        if self.pointer != ffi.NULL:
            lib.machine_destroy(self.pointer)
            self.pointer = ffi.NULL


def _table(traps: Sequence[Trap]) -> Any:
    table = ffi.new("struct trap[]", len(traps))
    for entry, trap in zip(table, sorted(traps), strict=True):
        entry.start, entry.size, entry.kind = trap.start, trap.size, TRAPS[trap.kind]
        entry.fd, entry.offset = trap.fd, trap.offset
    return table
