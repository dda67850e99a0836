"""A spec that is being made of another tool's words: what is said so far, and what is not, with its reason. Pure."""

from __future__ import annotations

from launcher.record import field, mutable, record
from launcher.spec.places import NAMED
from launcher.spec.scalars import suggested_name
from launcher.typed import Any

_LONGEST = 36  # of a share's tag; other names may be longer, and need not be


@record
class Note:
    """What the file says and the spec does not. `beside`: the section or entry that it is about, `("disks", "vda")`.

    It is `lost` if the guest has less or other than it had; if not, nothing needs to be written for it.
    """

    what: str
    why: str
    line: int
    beside: tuple[str, ...] = ()
    lost: bool = True


@mutable
class Draft:
    """`firmware` is what starts the guest where no kernel is named: uefi or bios. `taken`: aliases."""

    source: str
    name: str = ""
    boot: dict[str, Any] = field(default_factory=dict)
    firmware: str = ""
    cpus: dict[str, Any] = field(default_factory=dict)
    memory: list[dict[str, Any]] = field(default_factory=list)
    entries: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in NAMED})
    vsock: int | bool = False
    notes: list[Note] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: {"vsock"})
    numbers: dict[str, int] = field(default_factory=dict)  # of the last alias that was made of a word
    orders: set[int] = field(default_factory=set)  # of booting

    def lose(self, what: str, why: str, line: int, *beside: str) -> None:
        self.notes.append(Note(what, why, line, beside))

    def skip(self, what: str, why: str, line: int) -> None:
        self.notes.append(Note(what, why, line, lost=False))

    def add(self, kind: str, alias: str, entry: dict[str, Any]) -> str:
        """One alias is one thing, whatever its kind. Says under which it is there."""
        wanted = suggested_name(alias)[:_LONGEST].strip("-") or kind.removesuffix("s")
        free, number = wanted, self.numbers.get(wanted, 1)
        while free in self.taken:
            number += 1
            free = f"{wanted[: _LONGEST - 7]}-{number}"
        self.numbers[wanted] = number
        self.taken.add(free)
        self.entries[kind][free] = entry
        return free

    def call(self, name: str, line: int) -> None:
        self.name = suggested_name(name)
        if self.name != name:
            self.lose(f"the name {name}", "a name has a-z, 0-9 and - only", line, "name")
