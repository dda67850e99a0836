"""(aliases with their functions) -> guest PCI addresses. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.values import PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.host.facts import PciFunction

# 00:01.0 to 00:0f.0 are the machine's own.
PASSED = range(0x10, 0x20)


@dataclass(frozen=True, slots=True)
class Seat:
    """A function that needs a place in the guest; `wish` is what the spec says."""

    function: PciFunction
    wish: PciAddress | None


def guest_addresses(seats: tuple[Seat, ...]) -> dict[PciAddress, PciAddress]:
    """Host -> guest. Functions of one host slot share a guest slot; a function without a place is left out."""
    wished = {seat.wish.device for seat in seats if seat.wish}
    free = iter(number for number in PASSED if number not in wished)
    found: dict[PciAddress, PciAddress] = {}
    for together in _together(seats):
        number = next((seat.wish.device for seat in together if seat.wish), None)
        number = next(free, None) if number is None else number
        if number is not None:
            found |= _share(together, number)
    return found


def _together(seats: tuple[Seat, ...]) -> Iterable[list[Seat]]:
    """Without a wish a function goes where the first of its host slot goes.

    Virtual functions are devices of their own, whatever slot their number falls into.
    """
    wishes: dict[str, int] = {}
    for seat in seats:
        if seat.wish:
            wishes.setdefault(_slot(seat), seat.wish.device)
    groups: dict[tuple[str, int | None], list[Seat]] = {}
    for seat in seats:
        number = seat.wish.device if seat.wish else wishes.get(_slot(seat))
        groups.setdefault((_slot(seat), number), []).append(seat)
    return groups.values()


def _slot(seat: Seat) -> str:
    one = seat.function
    return one.address.slot if one.physical_function is None else str(one.address)


def _share(together: list[Seat], number: int) -> dict[PciAddress, PciAddress]:
    """Each keeps its function's number, unless nobody would be function 0, without which a guest sees none of them."""
    hosts = sorted(seat.function.address for seat in together)
    keep = any(host.function == 0 for host in hosts)
    numbers = {host: host.function if keep else order for order, host in enumerate(hosts)}
    wishes = {seat.function.address: seat.wish.function for seat in together if seat.wish}
    return {host: PciAddress(0, 0, number, wishes.get(host, numbers[host])) for host in hosts}
