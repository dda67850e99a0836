"""A virtio function (virtio 1.2, 4.1; modern only) as its driver sees it: accesses in, values and deeds out. Pure.

Its registers are those of one BAR. The queues are only named here: an engine works on them, and nobody of ours reads
them. Its configuration space is a template; BARs and MSI-X are those of any function (function.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Literal, NamedTuple

from launcher.machine.msix import table_span
from launcher.machine.pieces import Piece
from launcher.record import mutable, record
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
MOST_VECTORS = 4 * KIB // 16
MOST_QUEUES = MOST_VECTORS - 1  # the last vector tells of a change of the configuration
QUEUE_SIZE = 256

# Of every device (6); those that an engine would have to be told of, or that say where rings may be, are not offered.
INDIRECT_DESC, EVENT_IDX, VERSION_1 = 28, 29, 32
# Of the kinds: what needs no control queue, which would be served here.
OFFERABLE: dict[Kind, tuple[int, ...]] = {
    "net": (0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
    "blk": (1, 2, 4, 5, 6, 9, 10, 12, 13, 14),
    "fs": (),
    "vsock": (1,),
}

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED = 1, 2, 4, 8, 0x40, 0x80
NO_VECTOR = 0xFFFF
CONFIG_CHANGED = 2  # of the interrupt status

# The common configuration (4.1.4.3) field by field.
_COMMON = struct.Struct("<IIIIHHBBHHHHHQQQ")
_ADDRESSES = {0x20: "descriptors", 0x28: "driver", 0x30: "device"}


@record
class Start:
    """The driver is ready: these features, these queues."""

    features: int
    rings: tuple[Ring, ...]


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


@record
class Stop:
    """The driver has reset the device: nothing of its memory is touched any more."""


@record
class Rewire:
    """A queue, or the change of configuration, has another vector."""


@record
class Notify:
    """A queue has something new, which came here and not by an eventfd."""

    queue: int


Deed = Start | Stop | Rewire | Notify


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


@mutable
class _Queue:
    size: int = QUEUE_SIZE
    vector: int = NO_VECTOR
    enabled: bool = False
    descriptors: int = 0
    driver: int = 0
    device: int = 0


class VirtioRegisters:
    """`offered` are its features, `config` its own configuration. Behind the last queue there is none."""

    def __init__(self, offered: int, queues: int, config: bytes) -> None:
        if not 0 < queues <= MOST_QUEUES:
            raise ValueError(f"{queues} queues")
        self.offered, self.config = offered, config
        self._queues = [_Queue() for _ in range(queues)]
        self._nobody = _Queue(size=0)
        self.status = self.features = self._isr = 0
        self._offered_half = self._wanted_half = self._selected = 0
        self.config_vector = NO_VECTOR
        self.started = False

    @property
    def vectors(self) -> int:
        return len(self._queues) + 1

    def vector(self, queue: int) -> int:
        """Of MSI-X; NO_VECTOR: none."""
        return self._queues[queue].vector

    # -- accesses ------------------------------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> bytes:
        page, at = offset & ~(4 * KIB - 1), offset & (4 * KIB - 1)
        if page == COMMON:
            field = _FIELDS.get((at, size))
            return field(self).to_bytes(size, "little") if field else self._common()[at : at + size].ljust(size, b"\0")
        if page == CONFIG:
            return self.config[at : at + size].ljust(size, b"\0")
        if page == ISR and at == 0:
            isr, self._isr = self._isr, 0
            return isr.to_bytes(size, "little")
        return bytes(size)

    def write(self, offset: int, data: bytes) -> tuple[Deed, ...]:
        page, at = offset & ~(4 * KIB - 1), offset & (4 * KIB - 1)
        if page == NOTIFY:
            queue = at // NOTIFY_STEP
            return (Notify(queue),) if self.started and queue < len(self._queues) else ()
        return self._write_common(at, data) if page == COMMON else ()

    def fail(self) -> None:
        """The engine could not do as it should: the driver is to reset the device (2.1.1). One that has just done so
        waits for a status of 0."""
        if self.started:
            self.status |= NEEDS_RESET
            self._isr |= CONFIG_CHANGED

    # -- the common configuration --------------------------------------------------------------------------------------

    def _common(self) -> bytes:
        queue = self._queue
        return _COMMON.pack(
            self._offered_half,
            _half(self.offered, self._offered_half),
            self._wanted_half,
            _half(self.features, self._wanted_half),
            self.config_vector,
            len(self._queues),
            self.status,
            0,  # generation: the configuration never changes
            self._selected,
            queue.size,
            queue.vector,
            queue.enabled,
            self._selected if queue is not self._nobody else 0,
            queue.descriptors,
            queue.driver,
            queue.device,
        )

    @property
    def _queue(self) -> _Queue:
        return self._queues[self._selected] if self._selected < len(self._queues) else self._nobody

    def _write_common(self, at: int, data: bytes) -> tuple[Deed, ...]:
        """Each field by an access of its own width; of addresses each half, too (4.1.3.1)."""
        value, size = int.from_bytes(data, "little"), len(data)
        if (at, size) == (0x14, 1):
            return self._write_status(value)
        if (at, size) in ((0x10, 2), (0x1A, 2)):
            return self._write_vector(at, value)
        if (at, size) == (0x00, 4):
            self._offered_half = value
        elif (at, size) == (0x08, 4):
            self._wanted_half = value
        elif (at, size) == (0x16, 2):
            self._selected = value
        elif (at, size) == (0x0C, 4) and self._wanted_half < 2 and not self.status & FEATURES_OK:
            shift = 32 * self._wanted_half
            self.features = self.features & ~(0xFFFFFFFF << shift) | value << shift
        elif self._queue is not self._nobody and not (self._queue.enabled or self.started):
            self._write_queue(at, size, value)
        return ()

    def _write_queue(self, at: int, size: int, value: int) -> None:
        queue = self._queue
        if (at, size) == (0x18, 2):
            queue.size = value if 0 < value <= QUEUE_SIZE and not value & value - 1 else queue.size
        elif (at, size) == (0x1C, 2):
            queue.enabled = value == 1
        elif at & ~4 in _ADDRESSES and size == 4:
            name, shift = _ADDRESSES[at & ~4], 32 if at & 4 else 0
            setattr(queue, name, getattr(queue, name) & ~(0xFFFFFFFF << shift) | value << shift)
        elif at in _ADDRESSES and size == 8:
            setattr(queue, _ADDRESSES[at], value)

    def _write_vector(self, at: int, value: int) -> tuple[Deed, ...]:
        """What there is no vector for reads back as none (4.1.5.1.2.1)."""
        vector = value if value < self.vectors else NO_VECTOR
        if at == 0x10:
            self.config_vector = vector
        elif self._queue is not self._nobody:
            self._queue.vector = vector
        return (Rewire(),)

    def _write_status(self, value: int) -> tuple[Deed, ...]:
        """Bits are only ever set (2.1.1); writing zero is the reset."""
        if value == 0:
            return self._reset()
        value = (value | self.status) & (ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK | FAILED) | self.status
        if value & FEATURES_OK and not self.status & FEATURES_OK and not self._may_use():
            value &= ~FEATURES_OK
        if value & DRIVER_OK and not value & FEATURES_OK:
            value &= ~DRIVER_OK
        starts = value & DRIVER_OK and not self.status & DRIVER_OK and not self.status & NEEDS_RESET
        self.status = value
        if not starts:
            return ()
        self.started = True
        return (Start(self.features, tuple(self._rings())),)

    def _may_use(self) -> bool:
        return not self.features & ~self.offered and bool(self.features >> VERSION_1 & 1)

    def _rings(self) -> list[Ring]:
        return [
            Ring(n, one.size, one.descriptors, one.driver, one.device)
            for n, one in enumerate(self._queues)
            if one.enabled
        ]

    def _reset(self) -> tuple[Deed, ...]:
        """All as at first. That of a device that nobody has started is free: each driver begins with it."""
        started, self.started = self.started, False
        self._queues = [_Queue() for _ in self._queues]
        self.status = self.features = self._isr = 0
        self._offered_half = self._wanted_half = self._selected = 0
        self.config_vector = NO_VECTOR
        return (Stop(), Rewire()) if started else (Rewire(),)


def _half(features: int, half: int) -> int:
    return features >> 32 * half & 0xFFFFFFFF if half < 2 else 0


# What drivers read as the standard has it: each field by an access of its own width.
_FIELDS: dict[tuple[int, int], Callable[[VirtioRegisters], int]] = {
    (0x04, 4): lambda it: _half(it.offered, it._offered_half),
    (0x12, 2): lambda it: len(it._queues),
    (0x14, 1): lambda it: it.status,
    (0x18, 2): lambda it: it._queue.size,
    (0x1A, 2): lambda it: it._queue.vector,
    (0x1C, 2): lambda it: it._queue.enabled,
    (0x1E, 2): lambda it: 0 if it._queue is it._nobody else it._selected,
}
