"""A virtio function (virtio 1.2, 4.1; modern only): kinds, features that are offered, what is where in its BAR. Pure.

C answers for its registers (native/virtio.c). The queues are only named here: an engine works on them, and nobody of
ours reads them. Its configuration space is a template; BARs and MSI-X are those of any function (function.py).
"""

from __future__ import annotations

from launcher.machine.msix import table_span
from launcher.machine.pieces import Piece
from launcher.row import NamedTuple
from launcher.typed import Literal
from launcher.values import KIB, Span

Kind = Literal["net", "blk", "fs", "vsock"]
# The device's number (5) and its PCI class.
KINDS: dict[Kind, tuple[int, int]] = {
    "net": (1, 0x020000),
    "blk": (2, 0x010000),
    "fs": (26, 0x018000),
    "vsock": (19, 0x028000),
}

# The BAR: what is where in it, a page for each.
COMMON, ISR, CONFIG, NOTIFY, TABLE, PENDING, BAR_SIZE = (n * 4 * KIB for n in (0, 1, 2, 3, 4, 5, 8))
NOTIFY_STEP = 4  # bytes between the places where two queues are notified

# Of every device (6); those that an engine would have to be told of, or that say where rings may be, are not offered.
INDIRECT_DESC, EVENT_IDX, VERSION_1 = 28, 29, 32
# Of the kinds: what needs no control queue, which would be served here.
OFFERABLE: dict[Kind, tuple[int, ...]] = {
    "net": (0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
    "blk": (1, 2, 4, 5, 6, 9, 10, 12, 13, 14),
    "fs": (),
    "vsock": (1,),
}

NO_VECTOR = 0xFFFF


class Ring(NamedTuple):
    """A queue: where its three areas are in the guest."""

    number: int
    size: int
    descriptors: int
    driver: int
    device: int

    def areas(self) -> tuple[Span, Span, Span]:
        """Their bytes (2.7)."""
        return (
            Span(self.descriptors, 16 * self.size),
            Span(self.driver, 6 + 2 * self.size),
            Span(self.device, 6 + 8 * self.size),
        )


def offerable(kind: Kind, features: int) -> int:
    """Of what an engine can do: what the guest's driver may use."""
    own = (*OFFERABLE[kind], INDIRECT_DESC, EVENT_IDX, VERSION_1)
    return features & sum(1 << one for one in own)


def pieces(vectors: int) -> tuple[Piece, ...]:
    """Of its BAR. What is behind them is not there."""
    return (
        Piece(Span(0, TABLE), "registers"),
        Piece(table_span(TABLE, vectors), "table"),
        Piece(Span(PENDING, 8 * -(-vectors // 64)), "pending"),
    )
