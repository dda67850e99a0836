"""(functions with their aliases) -> guest PCI addresses. Pure.

In the order of the file, and each looks only at those before it: a device added at the end moves no other.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from launcher.record import field, mutable
from launcher.values import PciAddress

if TYPE_CHECKING:
    from launcher.planner.decided import Seat

# 00:01.0 to 00:0f.0 are the machine's own.
PASSED = range(0x10, 0x20)
FUNCTIONS = range(8)


@mutable
class _Guest:
    """The places given so far: guest functions by guest slot, and which guest slot a slot of the host has become."""

    found: dict[PciAddress, PciAddress] = field(default_factory=dict)
    taken: dict[int, set[int]] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)

    def give(self, seat: Seat, address: PciAddress) -> None:
        self.found[seat.function.address] = address
        self.taken.setdefault(address.device, set()).add(address.function)
        self.slots.setdefault(_slot(seat), address.device)


def guest_addresses(seats: tuple[Seat, ...]) -> dict[PciAddress, PciAddress]:
    """Host -> guest. Functions of one host slot share a guest slot; a function without a place is left out."""
    guest = _Guest()
    for _, entry in groupby(seats, key=lambda seat: seat.alias):
        together: dict[str, list[Seat]] = {}
        for seat in entry:
            together.setdefault(_slot(seat), []).append(seat)
        for slot, those in together.items():
            _place(slot, those, guest)
    return guest.found


def _slot(seat: Seat) -> str:
    """Virtual functions are devices of their own, whatever slot their number falls into."""
    one = seat.function
    return one.address.slot if one.physical_function is None else str(one.address)


def _place(slot: str, together: list[Seat], guest: _Guest) -> None:
    """A device and those of its companions that are in its slot.

    Each keeps its function's number, unless nobody would be function 0, without which a guest sees none of them.
    """
    for seat in together:
        if seat.guest:
            guest.give(seat, seat.guest)
    rest = [seat for seat in together if not seat.guest and seat.function.address not in guest.found]
    rest.sort(key=lambda seat: seat.function.address)
    free = (one for one in PASSED if one not in guest.taken)
    number = guest.slots.get(slot) or next(free, None)
    keep = number in guest.taken or any(seat.function.address.function == 0 for seat in rest)
    for seat in rest:
        if len(guest.taken.get(number or 0, ())) == len(FUNCTIONS):  # others of another host slot wished themselves in
            number = next(free, None)
        if number is None:
            return
        left = [one for one in FUNCTIONS if one not in guest.taken.get(number, ())]
        own = seat.function.address.function
        guest.give(seat, PciAddress(0, 0, number, own if keep and own in left else left[0]))
