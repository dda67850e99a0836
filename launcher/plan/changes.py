"""What a running guest causes: a passed function's configuration writes, as sentences for the executor. Pure."""

from __future__ import annotations

from launcher.record import record
from launcher.row import NamedTuple
from launcher.typed import Literal


class Vector(NamedTuple):
    """A message-signalled interrupt: the device's write of `data` to `address`."""

    address: int
    data: int


@record
class HideBar:
    """The guest's accesses no longer reach BAR `index` (6: the ROM)."""

    index: int


@record
class ShowBar:
    """From now on BAR `index` (6: the ROM) is at this guest address, or I/O port."""

    index: int
    guest: int


@record
class Forward:
    """These bytes go to the device's own configuration space."""

    offset: int
    data: bytes


@record
class Interrupt:
    """How the function interrupts from now on. `vectors`: None is masked; what is behind the last is not in use."""

    kind: Literal["none", "intx", "msi", "msix"]
    vectors: tuple[Vector | None, ...] = ()


Change = HideBar | ShowBar | Forward | Interrupt
