"""Rules about the memory that firmware boots in: it has room for itself, and takes nothing else for RAM. Not imported
for a VM that starts from a kernel. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.memory import span_of
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING
from launcher.values import MIB, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

# Tried with OVMF of Debian 12 and 13: 44 MiB and their shell is there; 40 and they find no room for it; 32 and that of
# Debian 12 shows nothing at all. SeaBIOS runs in 1 MiB, which any guest has (E307).
LEAST = 44 * MIB


def _room(it: Situation) -> Iterator[Diagnostic]:
    """Where nothing is at address 0, E307 says so."""
    end = _first_end(it)
    if it.firmware is None or it.firmware.kind != "uefi" or not 0 < end < LEAST:
        return
    has, needs = show_size(end), show_size(LEAST)
    fact = f"UEFI firmware has {has} of memory at address 0, and loads no boot loader with less than {needs}"
    help_ = ("make the first bank larger: what it boots needs more, a distribution 512MiB",)
    yield Diagnostic("E464", fact, in_spec("memory.0.size"), help=help_)


def _hole(it: Situation) -> Iterator[Diagnostic]:
    """OVMF takes all below the last RAM under 4 GiB for RAM (PlatformGetLowMemoryCB), up to
    edk2-stable202602."""
    end, last = _first_end(it), _last_end(it)
    if it.firmware is None or it.firmware.kind != "uefi" or not 0 < end < last:
        return
    high = it.board.layout.high_ram_start
    fact = f"memory below {show_size(high)} ends at {end:#x} and goes on up to {last:#x}"
    evidence = ("UEFI firmware would take what is between for memory, and give it to the guest's kernel",)
    help_ = (f"let a bank of {show_size(end)} come first and give the next one `at: {high:#x}`",)
    yield Diagnostic("E465", fact, in_spec("memory"), evidence, help_)


def _first_end(it: Situation) -> int:
    """Where memory ends that begins at 0 and has no hole."""
    end = 0
    for one in map(span_of, it.ranges):
        if one.start != end:
            break
        end = one.end
    return end


def _last_end(it: Situation) -> int:
    """Of what is below 4 GiB."""
    return max((one.end for one in map(span_of, it.ranges) if one.end <= it.board.layout.hole.start), default=0)


RULES: tuple[Rule, ...] = (Rule("kernel", _room), Rule("kernel", _hole))
