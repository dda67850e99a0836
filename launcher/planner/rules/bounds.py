"""Rules about what the machine, KVM and Linux have only so many of: map entries, memslots, bytes of a path. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.machine.x86 import e820, linux64, pvh
from launcher.planner.bars import bar_pieces
from launcher.planner.places import field
from launcher.planner.regions import left_empty
from launcher.planner.rules.rule import Rule
from launcher.values import MIB, Missing, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, PciFunction
    from launcher.planner.rules.rule import Situation

_FEWER = "make fewer and larger banks; a bank that stands in one piece takes one"

# An expansion ROM has 16 MiB at most (PCI Local Bus 3.0, 6.2.5.2).
_LARGEST_ROM = 16 * MIB

# sun_path has 108 bytes, with the NUL (unix(7)).
_LONGEST_PATH, _SOCKET = 107, "control.sock"


def _map_entries(it: Situation) -> Iterator[Diagnostic]:
    """What the guest is told of its memory when it starts has a page in one protocol and 128 places in the other."""
    kernel = it.files.kernel
    zero_page = not isinstance(kernel, Missing) and kernel.kind == "bzimage"
    most, what = (linux64.MOST_ENTRIES, "the zero page") if zero_page else (pvh.MOST_ENTRIES, "the PVH start info page")
    entries, reserved = len(e820.memory_map(it.ranges, left_empty(it.reserved))), len(left_empty(it.reserved))
    if entries > most:
        fact = f"the guest's memory map has {entries} entries, and {what} holds {most}"
        evidence = f"memory is in {_ranges(it)}; the IOMMU reserves {reserved} more"
        yield Diagnostic("E319", fact, field("memory"), (evidence,), (_FEWER,))


def _ranges(it: Situation) -> str:
    return f"{len(it.ranges)} {'range' if len(it.ranges) == 1 else 'ranges'} of guest addresses"


def _ram_slots(it: Situation) -> Iterator[Diagnostic]:
    most = memslots(it.host)
    if most and len(it.ranges) > most:
        fact = f"memory takes {len(it.ranges)} memslots, one for each range, and KVM has {most} for a VM"
        yield Diagnostic("E320", fact, field("memory"), help=(_FEWER,))


def _bar_slots(it: Situation) -> Iterator[Diagnostic]:
    """Behind those of RAM. A BAR that gets none is trapped: it works, and each access leaves the guest."""
    wanted = {one.address: mapped_pieces(one) for one in it.passing.functions}
    most, total = memslots(it.host), sum(wanted.values())
    left = most - len(it.ranges)
    if not most or total <= left or left < 0:
        return
    fact = (
        f"the BARs of the devices take {total} memslots, and KVM has {left} left for them: the rest is trapped, slowly"
    )
    largest = sorted(wanted.items(), key=lambda pair: -pair[1])[:4]
    evidence = (
        f"KVM has {most} memslots for a VM, and memory in {_ranges(it)} takes {len(it.ranges)}",
        ", ".join(f"{address} {count}" for address, count in largest),
    )
    yield Diagnostic("W321", fact, field("devices"), evidence, ("pass fewer devices to one VM", _FEWER))


def mapped_pieces(function: PciFunction) -> int:
    """Of all its BARs: each has a memslot, and a map for the DMA of others."""
    bars = () if isinstance(function.bars, Missing) else function.bars
    return sum(piece.served == "mmap" for bar in bars for piece in bar_pieces(bar, function))


def memslots(host: HostFacts) -> int:
    """0: not known."""
    return 0 if isinstance(host.kvm, Missing) else host.kvm.extensions.get("nr_memslots", 0)


def _large_roms(it: Situation) -> Iterator[Diagnostic]:
    for alias, rom in it.files.roms.items():
        if not isinstance(rom, Missing) and rom.size > _LARGEST_ROM:
            fact = f"{rom.path} has {show_size(rom.size)}, and an option ROM has {show_size(_LARGEST_ROM)} at most"
            help_ = ("name the file that has the card's ROM, or leave `rom` out",)
            yield Diagnostic("E425", fact, field(f"devices.{alias}.rom"), help=help_)


def _long_path(it: Situation) -> Iterator[Diagnostic]:
    folder = it.host.process.state_folder
    path = f"{folder}/{it.spec.name}/{_SOCKET}"
    if folder and (length := len(path.encode(errors="surrogatepass"))) > _LONGEST_PATH:
        fact = f"the control socket's path would have {length} bytes, and Linux takes {_LONGEST_PATH}: {path}"
        help_ = ("set XDG_RUNTIME_DIR to a folder with a shorter path", "or give the VM a shorter name")
        yield Diagnostic("E429", fact, help=help_)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _map_entries),
    Rule("kernel", _ram_slots),
    Rule("kernel", _bar_slots),
    Rule("kernel", _large_roms),
    Rule("kernel", _long_path),
)
