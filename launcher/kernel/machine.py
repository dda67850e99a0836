"""The machine's devices that C serves: who answers for which ports and addresses."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.kernel.api import MemoryPart, Trap
from launcher.kernel.call import check
from launcher.kernel.console import Console
from launcher.kernel.memory import HostMemory
from launcher.native import ffi, lib
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launcher.kernel.fw_cfg import FwCfgItems
    from launcher.kernel.msix import MsixEntries
    from launcher.kernel.virtio import VirtioRegisters

TRAPS = {
    "serial": lib.TRAP_SERIAL,
    "power": lib.TRAP_POWER,
    "keyboard": lib.TRAP_KEYBOARD,
    "pci": lib.TRAP_PCI,
    "ecam": lib.TRAP_ECAM,
    "file": lib.TRAP_FILE,
    "pulse": lib.TRAP_PULSE,
    "timer": lib.TRAP_TIMER,
    "flash": lib.TRAP_FLASH,
    "model": lib.TRAP_ASK,
    "table": lib.TRAP_MSIX,
    "pending": lib.TRAP_ASK,
    "registers": lib.TRAP_VIRTIO,
    "fw-cfg": lib.TRAP_FW_CFG,
}
COUNTS = (
    "unclaimed_reads",
    "unclaimed_writes",
    "serial_written",
    "serial_read",
    "trapped",
    "refused",
    "variables_written",
    "variables_lost",
)

NOWHERE = bytes(lib.CONFIG_SIZE)


class Machine:
    def __init__(self, vm_fd: int, serial_gsi: int, power_gsi: int) -> None:
        self._vm = vm_fd
        self._flash: HostMemory | None = None
        self._msix: dict[int, MsixEntries] = {}
        self._virtio: dict[int, VirtioRegisters] = {}
        self._fw_cfg: FwCfgItems | None = None
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

    def set_function(
        self, function: int, image: bytes, asks_read: bytes = NOWHERE, asks_write: bytes = NOWHERE
    ) -> None:
        """The configuration space of a PCI function on bus 0, all of it; `function` is slot * 8 + function.

        A read or a write that has a byte in it which is not 0 there comes back from Vcpu.run. Before any vCPU runs.
        """
        if {len(image), len(asks_read), len(asks_write)} != {lib.CONFIG_SIZE}:
            raise ValueError(f"{len(image)} bytes of configuration space")
        error = lib.machine_set_function(self.pointer, function, image, asks_read, asks_write)
        check(error, "machine_set_function")

    def change_function(self, function: int, offset: int, data: bytes) -> None:
        """It reads as these bytes there from now on; vCPUs may run."""
        check(lib.machine_change_function(self.pointer, function, offset, data, len(data)), "machine_change_function")

    def add_msix(self, function: int, vectors: int) -> MsixEntries:
        """Of traps of the kind `table` they answer those whose `offset` is `function`. Before any vCPU runs."""
        from launcher.kernel.msix import MsixEntries

        made = self._msix[function] = MsixEntries(vectors)  # must outlive the pointer given to C
        lib.machine_set_msix(self.pointer, function, made.pointer)
        return made

    def add_virtio(self, function: int, offered: int, queues: int, config: bytes) -> VirtioRegisters:
        """Of traps of the kind `registers` they answer those whose `offset` is `function`. Before any vCPU runs."""
        from launcher.kernel.virtio import VirtioRegisters

        made = self._virtio[function] = VirtioRegisters(offered, queues, config)  # must outlive the pointer given to C
        lib.machine_set_virtio(self.pointer, function, made.pointer)
        return made

    def add_fw_cfg(self, memory: Sequence[MemoryPart]) -> FwCfgItems:
        """They answer a trap of the kind `fw-cfg`; `memory` is the guest's RAM. Before any vCPU runs."""
        from launcher.kernel.fw_cfg import FwCfgItems

        made = self._fw_cfg = FwCfgItems(memory)  # must outlive the pointer given to C
        lib.machine_set_fw_cfg(self.pointer, made.pointer)
        return made

    def set_flash(self, slot: int, guest: int, memory: HostMemory, file: int) -> None:
        """Flash of firmware's, whose array the guest reads from `memory`, all of it, by this read-only memslot. What it
        programs and erases goes to `file`, too, if it is none of -1. Before any vCPU runs."""
        self._flash = memory  # must outlive the pointer given to C
        made = lib.machine_set_flash(self.pointer, self._vm, slot, guest, memory.pointer, memory.size, file)
        check(made, "machine_set_flash")

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

    def unanswered(self) -> dict[tuple[int, int], int]:
        """Where nobody answered the guest: (space of SPACES, address) -> how often. The first places alone."""
        one, found = ffi.new("uint64_t[3]"), dict[tuple[int, int], int]()
        while lib.machine_unanswered(self.pointer, len(found), one):
            found[one[0], one[1]] = int(one[2])
        return found

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
