"""A passed PCI function as the guest sees it: its accesses in, values and changes out. Pure.

Configuration space follows a policy for each register (policy.py): nothing invented reaches the device, BARs and
interrupts are the machine's own, capabilities that cannot work in a guest are not in the lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from launcher.machine import capabilities as caps
from launcher.machine.capabilities import word
from launcher.machine.msix import Entries, MsixTable, PlainEntries, pending_span, table_span
from launcher.machine.pci import CONFIG_SIZE
from launcher.machine.policy import (
    BARS,
    COMMAND,
    INTERRUPT_PIN,
    MSI_64,
    MSI_CONTROL,
    MSI_ENABLE,
    MSI_MASKS,
    MSIX_CONTROL,
    ROM_BAR,
    ROM_ENABLE,
    Shape,
    registers_of,
    visible,
)
from launcher.machine.registers import Ask
from launcher.plan.changes import Change, Forward, HideBar, Interrupt, ShowBar, Vector
from launcher.plan.steps import BarPlace
from launcher.row import NamedTuple
from launcher.typed import Literal
from launcher.values import Span

IO, MEMORY, MASTER, NO_INTX = 0x01, 0x02, 0x04, 0x400  # of the command register
ROM = 6

POWER_STATE, D3HOT = 4, 3  # PMCSR, in the capability
DEVICE_CONTROL, FUNCTION_RESET = 8, 0x8000  # PCI Express
AF_CONTROL, AF_RESET = 4, 1
TRANSLATIONS_CONTROL, TRANSLATIONS_ENABLE = 6, 0x8000
MSIX_ENABLE, MSIX_MASK_ALL = 0x8000, 0x4000


class Asked(NamedTuple):
    """Of each byte of configuration space: not 0, if this model has to be asked about a read or a write of it."""

    reads: bytes
    writes: bytes


class PassedFunction:
    def __init__(self, shape: Shape, entries: Callable[[int], Entries] = PlainEntries) -> None:
        """`entries`: number of vectors -> who has the bytes of its MSI-X table."""
        self._shape = shape
        self._caps = {one.id: one.offset for one in visible(shape.config) if one.id != caps.VENDOR}
        self._command, self._sleeps = 0, False
        self.touched = self.used = False  # the guest has written the command register; has switched something on by it
        self._shown: dict[int, int] = {}
        offset = self._caps.get(caps.MSIX)
        vectors = 0 if offset is None else (word(shape.config, offset + MSIX_CONTROL) & 0x7FF) + 1
        self.table = MsixTable(vectors, entries)
        self._registers = registers_of(shape)
        self._interrupt = Interrupt("none")
        self._interrupt = self._wanted()

    # -- what the guest does ---------------------------------------------------------------------------------------

    def read(self, offset: int, size: int, ask: Ask) -> bytes:
        """What lies behind the end reads as all ones, as it does where there is no function."""
        inside = max(min(size, self._registers.size - offset), 0)
        return self._registers.read(offset, inside, ask).ljust(size, b"\xff")

    def asked(self) -> Asked:
        """A read of other bytes needs no device, and a write of others does nothing."""
        return Asked(*(one.ljust(CONFIG_SIZE, b"\0") for one in self._registers.asked()))

    def write(self, offset: int, data: bytes) -> tuple[Change, ...]:
        """The changes in their order: BARs leave before the device hears of the write, and come back after."""
        data = data[: max(self._registers.size - offset, 0)]
        forwards = self._registers.write(offset, data)
        self._note(offset, data)
        wanted = self._places()
        resets = self._resets(offset, data)
        leaving = [n for n, guest in self._shown.items() if resets or wanted.get(n) != guest]
        hidden = tuple(HideBar(index) for index in leaving)
        stay = {n: guest for n, guest in self._shown.items() if n not in leaving}
        shown = tuple(ShowBar(index, guest) for index, guest in wanted.items() if index not in stay)
        self._shown = wanted
        return (*hidden, *forwards, *shown, *self._rearmed())

    def write_table(self, offset: int, data: bytes) -> tuple[Change, ...]:
        """A write to the MSI-X table; `offset` counts from its start."""
        return tuple(self._rearmed()) if self.table.write(offset, data) else ()

    def pending(self, offset: int, size: int, bits: int) -> bytes:
        """A read of the pending bit array; `offset` counts from its start. `bits`: which vectors wait."""
        return (bits >> 8 * offset & (1 << 8 * size) - 1).to_bytes(size, "little")

    @property
    def interrupt(self) -> Interrupt:
        return self._interrupt

    @property
    def decodes(self) -> tuple[Literal["ports", "memory"], ...]:
        """What of its BARs the guest can reach now."""
        kinds = {bar.kind for bar in self._shape.bars} if not self._sleeps else set()
        ports, memory = "io" in kinds, bool(kinds & {"mem32", "mem64"})
        return (
            *(("ports",) if ports and self._command & IO else ()),
            *(("memory",) if memory and self._command & MEMORY else ()),
        )

    @property
    def caches_translations(self) -> bool:
        """Of its DMA, as the host's IOMMU lets it: it is to be told of each that goes (PCI Express 5.0, 10.3)."""
        config = self._shape.config
        found = (one.offset for one in caps.extended(config) if one.id == caps.TRANSLATIONS)
        return any(word(config, offset + TRANSLATIONS_CONTROL) & TRANSLATIONS_ENABLE for offset in found)

    def spans(self) -> tuple[Span, ...]:
        """Where its memory BARs are by their registers, whether the guest can reach them now or not."""
        bars = (bar for bar in self._shape.bars if bar.kind != "io")
        return tuple(Span(self._address(bar), bar.size) for bar in bars)

    def first_command(self) -> Forward:
        """The device listens to nothing until the guest says so."""
        command = word(self._shape.config, COMMAND) & ~(IO | MEMORY | MASTER | NO_INTX)
        return Forward(COMMAND, command.to_bytes(2, "little"))

    # -- where MSI-X is ----------------------------------------------------------------------------------------------

    def msix_spans(self) -> tuple[tuple[int, Span], tuple[int, Span]] | None:
        """(BAR, place in it) of the MSI-X table and of its pending bits."""
        offset = self._caps.get(caps.MSIX)
        if offset is None:
            return None
        config = self._shape.config
        table, pending = word(config, offset + 4, 4), word(config, offset + 8, 4)
        count = self.table.vectors
        return (
            (table & 7, table_span(table & ~7, count)),
            (pending & 7, pending_span(pending & ~7, count)),
        )

    # -- state -------------------------------------------------------------------------------------------------------

    def _note(self, offset: int, data: bytes) -> None:
        """Remember what the guest wrote to registers that the device owns and that the model depends on."""
        command = bytearray(self._command.to_bytes(2, "little"))
        power = self._caps.get(caps.POWER)
        for place, byte in enumerate(data, offset):
            if place in (COMMAND, COMMAND + 1):
                self.touched = True
                command[place - COMMAND] = byte
            elif power is not None and place == power + POWER_STATE:
                self._sleeps = byte & 3 == D3HOT
        self._command = int.from_bytes(command, "little")
        self.used |= bool(self._command & (IO | MEMORY | MASTER))

    def _resets(self, offset: int, data: bytes) -> bool:
        """The write starts a function level reset. VFIO has all registers as they were before it returns."""
        express, advanced = self._caps.get(caps.EXPRESS), self._caps.get(caps.ADVANCED)
        written = dict(enumerate(data, offset))
        by_express = express is not None and written.get(express + DEVICE_CONTROL + 1, 0) & FUNCTION_RESET >> 8
        by_advanced = advanced is not None and written.get(advanced + AF_CONTROL, 0) & AF_RESET
        return bool(by_express or by_advanced)

    def _places(self) -> dict[int, int]:
        """BAR (6: the ROM) -> guest address, for each BAR that the guest can reach now."""
        if self._sleeps:
            return {}
        found = {}
        for bar in self._shape.bars:
            if self._command & (IO if bar.kind == "io" else MEMORY):
                found[bar.index] = self._address(bar)
        rom = self._registers.value(ROM_BAR, 4)
        if self._shape.rom and self._command & MEMORY and rom & ROM_ENABLE:
            found[ROM] = rom & ~0x7FF
        return found

    def _address(self, bar: BarPlace) -> int:
        value = self._registers.value(BARS + 4 * bar.index, 8 if bar.kind == "mem64" else 4)
        return value & ~(3 if bar.kind == "io" else 15)

    # -- interrupts --------------------------------------------------------------------------------------------------

    def _rearmed(self) -> Iterator[Interrupt]:
        wanted = self._wanted()
        if wanted != self._interrupt:
            self._interrupt = wanted
            yield wanted

    def _wanted(self) -> Interrupt:
        """A function uses one of them at a time: MSI-X comes before MSI, and MSI before INTx."""
        msix, msi = self._caps.get(caps.MSIX), self._caps.get(caps.MSI)
        if msix is not None and self._registers.value(msix + MSIX_CONTROL, 2) & MSIX_ENABLE:
            return self._msix(self._registers.value(msix + MSIX_CONTROL, 2))
        if msi is not None and self._registers.value(msi + MSI_CONTROL, 2) & MSI_ENABLE:
            return self._msi(msi)
        pin = self._registers.value(INTERRUPT_PIN, 1)
        return Interrupt("intx" if pin else "none")

    def _msix(self, control: int) -> Interrupt:
        """There is always a vector: some devices' firmware looks whether MSI-X is on when the guest has switched it on.

        While the guest masks all vectors, none is added: a guest that fills the table then gets all of them at once.
        """
        if control & MSIX_MASK_ALL:
            have = len(self._interrupt.vectors) if self._interrupt.kind == "msix" else 1
            return Interrupt("msix", (None,) * have)
        return Interrupt("msix", self.table.messages or (None,))

    def _msi(self, offset: int) -> Interrupt:
        """A guest that asks for more messages than the function is capable of gets those it is capable of."""
        registers = self._registers
        control = registers.value(offset + MSI_CONTROL, 2)
        data_at, mask_at = (offset + 12, offset + 16) if control & MSI_64 else (offset + 8, offset + 12)
        address = registers.value(offset + 4, 8 if control & MSI_64 else 4)
        data, masks = registers.value(data_at, 2), registers.value(mask_at, 4) if control & MSI_MASKS else 0
        count = 1 << min(control >> 4 & 7, control >> 1 & 7, 5)
        # A function with several messages owns the low bits of the data (6.8.1.3).
        vectors = (Vector(address, data & ~(count - 1) | n) if not masks >> n & 1 else None for n in range(count))
        return Interrupt("msi", tuple(vectors))
