"""Rules about what the machine, KVM and Linux have only so many of: map entries and memslots. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.boot import protocol_of
from launcher.planner.needs import fixed_slots, mapped_pieces, memslots
from launcher.planner.places import in_spec
from launcher.planner.regions import left_empty
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

_FEWER = "make fewer and larger banks; a bank that stands in one piece takes one"

# Boot protocol -> what has the memory map.
_MAPS = {"pvh": "the PVH start info page", "linux64": "the zero page"}


def _map_entries(it: Situation) -> Iterator[Diagnostic]:
    """What the guest is told of its memory when it starts has a page in one protocol and 128 places in the other."""
    protocol, reserved = protocol_of(it.files.kernel), left_empty(it.reserved, it.board.layout)
    most, entries = it.board.starts[protocol].MOST_ENTRIES, len(it.board.memory_map(it.ranges, reserved))
    if entries > most:
        fact = f"the guest's memory map has {entries} entries, and {_MAPS[protocol]} holds {most}"
        evidence = f"memory is in {_ranges(it)}; the IOMMU reserves {len(reserved)} more"
        yield Diagnostic("E319", fact, in_spec("memory"), (evidence,), (_FEWER,))


def _ranges(it: Situation) -> str:
    return f"{len(it.ranges)} {'range' if len(it.ranges) == 1 else 'ranges'} of guest addresses"


def _of_firmware(it: Situation) -> str:
    rom = fixed_slots(it) - len(it.ranges)
    return f", firmware {rom}" if rom else ""


def _ram_slots(it: Situation) -> Iterator[Diagnostic]:
    most, wanted = memslots(it.host), fixed_slots(it)
    if most and wanted > most:
        taken = f"{len(it.ranges)} memslots, one for each range{_of_firmware(it)}"
        fact = f"memory takes {taken}, and KVM has {most} for a VM"
        yield Diagnostic("E320", fact, in_spec("memory"), help=(_FEWER,))


def _bar_slots(it: Situation) -> Iterator[Diagnostic]:
    """Behind those of RAM. A BAR that gets none is trapped: it works, and each access leaves the guest."""
    wanted = {one.address: mapped_pieces(one) for one in it.passing.functions}
    most, total = memslots(it.host), sum(wanted.values())
    left = most - fixed_slots(it)
    if not most or total <= left or left < 0:
        return
    fact = (
        f"the BARs of the devices take {total} memslots, and KVM has {left} left for them: the rest is trapped, slowly"
    )
    largest = sorted(wanted.items(), key=lambda pair: -pair[1])[:4]
    evidence = (
        f"KVM has {most} memslots for a VM, and memory in {_ranges(it)} takes {len(it.ranges)}{_of_firmware(it)}",
        ", ".join(f"{address} {count}" for address, count in largest),
    )
    yield Diagnostic("W321", fact, in_spec("devices"), evidence, ("pass fewer devices to one VM", _FEWER))


RULES: tuple[Rule, ...] = (
    Rule("kernel", _map_entries),
    Rule("kernel", _ram_slots),
    Rule("kernel", _bar_slots),
)
