"""(functions with their aliases) -> guest PCI addresses. Pure.

In the order of the file, and each looks only at those before it: a device added at the end moves no other. Each card
has a slot of its own as long as there are any, so that the first 16 are where they always were. Whatever comes then
becomes further functions of slots that have a function 0, of which a guest sees all (PCI Local Bus 3.0, 3.2.2.3.4).
"""

from __future__ import annotations

from itertools import groupby

from launcher.record import field, mutable
from launcher.typed import TYPE_CHECKING
from launcher.values import HostDevice, PciAddress

if TYPE_CHECKING:
    from launcher.planner.decided import Seat

# 00:01.0 to 00:0f.0 are the machine's own.
PASSED = range(0x10, 0x20)
FUNCTIONS = range(8)


@mutable
class _Guest:
    """The places given so far: guest functions by guest slot, and which guest slot a slot of the host has become."""

    found: dict[HostDevice, PciAddress] = field(default_factory=dict)
    taken: dict[int, set[int]] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)

    def give(self, seat: Seat, address: PciAddress) -> None:
        self.found[seat.host] = address
        self.taken.setdefault(address.device, set()).add(address.function)
        self.slots.setdefault(seat.slot, address.device)

    def room_in(self, number: int) -> int:
        return len(FUNCTIONS) - len(self.taken.get(number, ()))

    def slot_for(self, count: int) -> int | None:
        """An empty one; or of those with a function 0 the emptiest, if any that has room for all of a card."""
        empty = next((one for one in PASSED if one not in self.taken), None)
        if empty is not None:
            return empty
        shared = [one for one in PASSED if 0 in self.taken[one] and self.room_in(one)]
        whole = [one for one in shared if self.room_in(one) >= count]
        return max(whole or shared, key=self.room_in, default=None)


def guest_addresses(seats: tuple[Seat, ...]) -> dict[HostDevice, PciAddress]:
    """Host -> guest. Functions of one host slot share a guest slot; a function without a place is left out."""
    guest = _Guest()
    for _, entry in groupby(seats, key=lambda seat: seat.alias):
        together: dict[str, list[Seat]] = {}
        for seat in entry:
            together.setdefault(seat.slot, []).append(seat)
        for slot, those in together.items():
            _place(slot, those, guest)
    return guest.found


def _place(slot: str, together: list[Seat], guest: _Guest) -> None:
    """A device and those of its companions that are in its slot.

    Each keeps its function's number, unless nobody would be function 0, without which a guest sees none of them.
    """
    for seat in together:
        if seat.guest:
            guest.give(seat, seat.guest)
    rest = [seat for seat in together if not seat.guest and seat.host not in guest.found]
    rest.sort(key=lambda seat: seat.function)
    number = guest.slots.get(slot) or guest.slot_for(len(rest))
    keep = number in guest.taken or any(seat.function == 0 for seat in rest)
    for at, seat in enumerate(rest):
        if number is not None and not guest.room_in(number):  # others of another host slot wished themselves in
            number = guest.slot_for(len(rest) - at)
        if number is None:
            return
        left = [one for one in FUNCTIONS if one not in guest.taken.get(number, ())]
        own = seat.function if keep and seat.function in left else left[0]
        guest.give(seat, PciAddress(0, 0, number, own))
