"""How a kernel starts, by its boot protocol: what it finds in memory, and its first registers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from launcher.row import NamedTuple
from launcher.typed import Any, Protocol
from launcher.values import Span


class Patch(NamedTuple):
    """Bytes for guest memory."""

    guest: int
    data: bytes


class MapEntry(NamedTuple):
    """A line of the guest's memory map. `kind` is the board's own: on x86 that of e820."""

    span: Span
    kind: int


class Boot(NamedTuple):
    """What a kernel is told when it starts. `head`: the first HEAD_SIZE bytes of its file."""

    head: bytes
    entries: tuple[MapEntry, ...]
    cmdline: str
    initrd: Span | None
    rsdp: int


class Start(Protocol):
    """One boot protocol: a module for each."""

    HEAD_SIZE: int  # how much of the kernel's file `patches` reads, from its first byte on
    MOST_ENTRIES: int  # of the memory map

    def patches(self, boot: Boot) -> tuple[Patch, ...]:
        """ValueError when the memory map has too many entries."""
        ...

    def first_sregs(self) -> Mapping[str, Any]: ...
    def first_regs(self, entry: int) -> Mapping[str, int]: ...
