"""(the facts of a host as JSON has them, devices of specs) -> the same without what no plan of these looks at. Pure.

Reading a big host takes longer than planning for it, and most of it is functions that nobody asks about. What is left
out is looked at as far as the names of its fields go. Facts in which anything is odd are left whole: reading says what.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial

from launcher.host.facts import IommuGroup, PciFunction
from launcher.patterns import re
from launcher.planner.functions import VGA
from launcher.planner.linux import OF_XEN
from launcher.record import defaults, fields
from launcher.spec.kinds import is_of
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.spec.parts import Device, Match

Plain = dict[str, Any]
Key = tuple[object, ...]
Part = tuple[Key, Callable[[], Iterable[Plain]]]

_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]").fullmatch
_NAMES = frozenset(fields(PciFunction))
_NEEDED = _NAMES - defaults(PciFunction).keys()
_OF_GROUPS = frozenset(fields(IommuGroup))
_NEEDED_OF_GROUPS = _OF_GROUPS - defaults(IommuGroup).keys()
_VIRTIO = "1af4:"


def near(plain: Plain, devices: Iterable[Device]) -> Plain:
    pci, groups = plain.get("pci"), plain.get("groups")
    if not isinstance(pci, list) or not isinstance(groups, list):
        return plain
    if not all(map(_is_function, pci)) or not all(map(_is_group, groups)):
        return plain
    known = _Known(pci, groups)
    seen = set[Key]()
    meant = {one["address"]: one for device in devices for one in _meant(device, pci, known)}
    taken = {one["address"]: one for each in meant.values() for one in _each_once(known.coming_with(each), seen)}
    kept = {found["address"] for one in taken.values() for found in _each_once(known.around(one), seen)}
    kept.update(known.anywhere(kept, plain))
    numbers = {known.functions[address].get("group") for address in kept}
    left = {"pci": [one for one in pci if one["address"] in kept]}
    return plain | left | {"groups": [one for one in groups if one["number"] in numbers]}


def _each_once(parts: Iterable[Part], seen: set[Key]) -> Iterator[Plain]:
    """What many functions share, as a bus or a card with its virtual functions, is looked at for the first of them."""
    for key, find in parts:
        if key not in seen:
            seen.add(key)
            yield from find()


def _is_function(one: Any) -> bool:
    if not isinstance(one, dict) or not _NEEDED <= one.keys() <= _NAMES:
        return False
    texts = (one["address"], one["id"], one["class_code"])
    links = (one.get("parent"), one.get("physical_function"))
    return (
        all(isinstance(text, str) for text in texts)
        and _ADDRESS(one["address"]) is not None
        and all(link is None or (isinstance(link, str) and _ADDRESS(link)) for link in links)
        and all(one.get(name) is None or type(one[name]) is int for name in ("group", "irq"))
        and all(isinstance(other, str) and _ADDRESS(other) for other in _list(one, "virtual_functions"))
        and all(isinstance(use, dict) for use in _list(one, "uses"))
    )


def _list(one: Plain, name: str) -> list[Any]:
    found = one.get(name, [])
    return found if isinstance(found, list) else [None]


def _is_group(one: Any) -> bool:
    if not isinstance(one, dict) or not _NEEDED_OF_GROUPS <= one.keys() <= _OF_GROUPS:
        return False
    if type(one["number"]) is not int or not isinstance(one["devices"], list):
        return False
    return all(isinstance(member, str) and _ADDRESS(member) for member in one["devices"])


def _meant(device: Device, pci: list[Plain], known: _Known) -> Iterator[Plain]:
    """What an alias can mean: all that match."""
    if device.match is not None:
        yield from (one for one in pci if _matches(device.match, one))
    elif (found := known.functions.get(str(device.pci))) is not None:
        yield found
        yield from known.there(found.get("virtual_functions", ()))


def _matches(match: Match, one: Plain) -> bool:
    """As `choose.matching` has it."""
    return (
        (match.id is None or one["id"] == match.id)
        and (match.class_ is None or is_of(match.class_, one["class_code"], one["id"]))
        and (match.serial is None or one.get("serial") == match.serial)
        and (match.slot is None or one.get("slot") == match.slot)
        and (match.node is None or one.get("node") == match.node)
        and (match.pf is None or one.get("physical_function") == str(match.pf))
    )


class _Known:
    """All functions of the host, by what they have in common."""

    def __init__(self, pci: list[Plain], groups: list[Plain]) -> None:
        self.functions = {one["address"]: one for one in pci}
        self._members: dict[int | None, list[str]] = {one["number"]: one["devices"] for one in groups}
        self._buses: dict[str, list[Plain]] = defaultdict(list)
        self._lines: dict[int, list[Plain]] = defaultdict(list)
        self._below: dict[str, list[Plain]] = defaultdict(list)
        self._slots: dict[str, list[Plain]] = defaultdict(list)
        for one in pci:
            self._buses[_bus(one)].append(one)
            self._slots[_slot(one)].append(one)
            if one.get("irq"):
                self._lines[one["irq"]].append(one)
            if one.get("parent"):
                self._below[one["parent"]].append(one)

    def there(self, addresses: Iterable[str]) -> Iterator[Plain]:
        return (self.functions[address] for address in addresses if address in self.functions)

    def coming_with(self, one: Plain) -> Iterator[Part]:
        """What a VM may take with it: the rest of its card and of its groups."""
        slot = self._slots[_slot(one)]
        yield ("slot", _slot(one)), lambda: slot
        for number in {other.get("group") for other in slot}:
            yield ("group", number), partial(self._of_group, number)

    def around(self, one: Plain) -> Iterator[Part]:
        """Its bus and all below, the groups there, its line, its card with its virtual functions, the bridges above."""
        bus, parent, line = _bus(one), one.get("parent"), one.get("irq") or 0
        yield ("bus", bus, parent), partial(self._beside, bus, parent)
        yield ("line", line), lambda: self._lines.get(line, ())
        for address in (one["address"], one.get("physical_function")):
            if address in self.functions:
                yield ("card", address), partial(self._card, self.functions[address])

    def _of_group(self, number: int | None) -> Iterator[Plain]:
        return self.there(self._members.get(number, ()))

    def _beside(self, bus: str, parent: str | None) -> Iterator[Plain]:
        mates, numbers = self._buses[bus], set[int | None]()
        for other in (*mates, *self._behind([parent, *(mate["address"] for mate in mates)])):
            yield other
            if (number := other.get("group")) not in numbers:
                numbers.add(number)
                yield from self._of_group(number)

    def _card(self, one: Plain) -> Iterator[Plain]:
        yield one
        yield from self.there(one.get("virtual_functions", ()))
        yield from self.there(self._above(one))

    def _behind(self, bridges: list[str | None]) -> Iterator[Plain]:
        """Through all buses."""
        waiting, seen = bridges, set[str | None]()
        while waiting:
            if (above := waiting.pop()) in seen or above is None:
                continue
            seen.add(above)
            yield from self._below.get(above, ())
            waiting += [one["address"] for one in self._below.get(above, ())]

    def _above(self, one: Plain) -> Iterator[str]:
        seen, parent = set[str](), one.get("parent")
        while parent is not None and parent not in seen and parent in self.functions:
            yield parent
            seen.add(parent)
            parent = self.functions[parent].get("parent")

    def anywhere(self, kept: set[str], plain: Plain) -> Iterator[str]:
        """What rules look for on the whole host: others of a kind, other paths to a disk, what Linux runs on."""
        ids = {self.functions[address]["id"] for address in kept}
        shown = any(self.functions[address]["class_code"].startswith(VGA) for address in kept)
        untold = not plain.get("firmware")
        for address, one in self.functions.items():
            if (
                (one["id"] in ids and one["driver"] == "vfio-pci")
                or (shown and one["class_code"].startswith(VGA))
                or one["driver"] in OF_XEN
                or any(use.get("kind") == "path" for use in one.get("uses", ()))
                or (untold and one["id"].startswith(_VIRTIO))
            ):
                yield address


def _bus(one: Plain) -> str:
    address: str = one["address"]
    return address.rpartition(":")[0]


def _slot(one: Plain) -> str:
    address: str = one["address"]
    return address.rpartition(".")[0]
