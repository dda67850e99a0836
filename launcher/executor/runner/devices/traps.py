"""Who answers for which ports and addresses: the machine's own, and the BARs that the guest has placed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from launcher.kernel.api import Machine, Trap
from launcher.row import NamedTuple
from launcher.typed import Literal
from launcher.values import Span

Space = Literal["port", "memory"]
# Kinds of traps that come back from Vcpu.run, whoever's they are.
ASKED = ("table", "pending", "registers", "model", "fw-cfg")


class Key(NamedTuple):
    """A BAR (6: the ROM) of the function at `devfn`, slot << 3 | function."""

    devfn: int
    bar: int


MACHINE = -1  # in place of a function's `devfn`: a device of the machine's own; `bar` is its number


class Traps:
    """The tables of traps that C looks into, for ports and for memory."""

    def __init__(self, machine: Machine, ports: Sequence[Trap], memory: Sequence[Trap]) -> None:
        self._machine = machine
        self._own: dict[Space, tuple[Trap, ...]] = {"port": tuple(ports), "memory": tuple(memory)}
        self._shown: dict[Space, dict[Key, tuple[Trap, ...]]] = {"port": {}, "memory": {}}
        self._asked: dict[Space, list[tuple[Key, Trap]]] = {"port": [], "memory": []}  # by their addresses
        self._places: dict[Space, dict[Key, Span]] = {"port": {}, "memory": {}}  # of whole BARs: parts may be mapped
        self._commit("port")
        self._commit("memory")

    def become(self, space: Space, own: Sequence[Trap]) -> None:
        """The machine's own, in place of those before."""
        self._own[space] = tuple(own)
        self._commit(space)

    def free(self, space: Space, span: Span) -> bool:
        """Nobody answers there yet."""
        own = (Span(trap.start, trap.size) for trap in self._own[space])
        return not any(one.overlaps(span) for one in (*own, *self._places[space].values()))

    def show(self, space: Space, key: Key, span: Span, traps: tuple[Trap, ...]) -> None:
        """`key` is what `hide` wants, and what `owner` answers. The span must be `free`, and holds the traps."""
        self._places[space][key], self._shown[space][key] = span, traps
        try:
            self._commit(space)
        except OSError:  # one too many must not keep the others from changing
            del self._places[space][key], self._shown[space][key]
            raise

    def hide(self, space: Space, key: Key) -> None:
        self._places[space].pop(key, None)
        if self._shown[space].pop(key, None):
            self._commit(space)

    def owner(self, space: Space, address: int) -> tuple[Key, Trap] | None:
        """Whose trap is there, if it is one that the function has to be asked about."""
        asked = self._asked[space]
        at = bisect_right(asked, address, key=_start) - 1
        if at < 0 or address >= asked[at][1].start + asked[at][1].size:
            return None
        return asked[at]

    def _all(self, space: Space) -> list[Trap]:
        return [*self._own[space], *(trap for traps in self._shown[space].values() for trap in traps)]

    def _commit(self, space: Space) -> None:
        set_ = self._machine.set_ports if space == "port" else self._machine.set_memory
        set_(self._all(space))
        shown = self._shown[space].items()
        self._asked[space] = sorted(
            ((key, one) for key, traps in shown for one in traps if one.kind in ASKED), key=_start
        )


def _start(asked: tuple[Key, Trap]) -> int:
    return asked[1].start
