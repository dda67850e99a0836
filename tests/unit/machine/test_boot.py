"""What a PVH guest finds in memory, read back as the guest would."""

from __future__ import annotations

import itertools
import struct

import pytest

from launcher.machine.start import Boot
from launcher.machine.x86 import cpu, layout, pvh
from launcher.machine.x86.e820 import memory_map
from launcher.plan.steps import RamRange
from launcher.values import GIB, KIB, MIB, Span

RSDP = 0xE0000
RAM = (RamRange(0, 3 * GIB, 0, 0), RamRange(4 * GIB, GIB, 1, 0))


def read_back(
    ram: tuple[RamRange, ...], cmdline: str, initrd: Span | None, holes: tuple[Span, ...] = ()
) -> dict[str, object]:
    """hvm_start_info by its definition, independent of how it was written."""
    boot = Boot(b"", memory_map(ram, holes), cmdline, initrd, RSDP)
    memory = {patch.guest: patch.data for patch in pvh.patches(boot)}
    page = memory[layout.START_INFO.start]
    magic, version, _, modules, modlist, cmdline_at, rsdp, memmap, entries, _ = struct.unpack_from("<IIIIQQQQII", page)
    assert (magic, version, rsdp) == (0x336EC578, 1, RSDP)
    offset = memmap - layout.START_INFO.start
    table = [struct.unpack_from("<QQII", page, offset + 24 * n)[:3] for n in range(entries)]
    module = struct.unpack_from("<QQ", page, modlist - layout.START_INFO.start) if modules else None
    return {"table": table, "cmdline": memory[cmdline_at], "module": module}


def test_the_map_has_all_ram_but_the_legacy_area() -> None:
    table = read_back(RAM, "", None)["table"]
    assert isinstance(table, list)
    usable = [(start, size) for start, size, kind in table if kind == 1]
    assert usable == [(0, 0xA0000), (MIB, 3 * GIB - MIB), (4 * GIB, GIB)]
    assert (layout.ECAM.start, layout.ECAM.size, 2) in table


def test_a_hole_that_the_iommu_makes_is_told_as_reserved() -> None:
    hole = Span(GIB, MIB)
    ram = (RamRange(0, GIB, 0, 0), RamRange(GIB + 2 * MIB, GIB, 0, GIB))
    table = read_back(ram, "", None, (hole,))["table"]
    assert isinstance(table, list)
    assert (hole.start, hole.size, 2) in table


def test_the_command_line_and_the_initrd_are_told() -> None:
    found = read_back(RAM, "console=ttyS0 ä", Span(0x10000000, 12345))
    assert found["cmdline"] == "console=ttyS0 ä".encode() + b"\0"
    assert found["module"] == (0x10000000, 12345)


def test_without_an_initrd_there_is_no_module() -> None:
    assert read_back(RAM, "", None)["module"] is None


def test_more_ranges_than_the_page_holds_are_an_error() -> None:
    ram = tuple(RamRange(n * 4 * MIB, MIB, 0, 0) for n in range(1, 300))
    with pytest.raises(ValueError, match="do not fit"):
        pvh.patches(Boot(b"", memory_map(ram), "", None, RSDP))


def test_what_the_launcher_writes_does_not_overlap() -> None:
    spans = [layout.GDT, layout.START_INFO, layout.PAGE_TABLES, layout.CMDLINE, layout.LEGACY]
    assert not any(one.overlaps(other) for n, one in enumerate(spans) for other in spans[n + 1 :])
    assert all(one.span.overlaps(layout.HOLE) for one in layout.HOLE_PARTS)
    parts = sorted(one.span for one in layout.HOLE_PARTS)
    assert all(one.end <= other.start for one, other in itertools.pairwise(parts))


def test_nothing_of_the_machine_is_where_firmware_puts_bars_or_has_its_rom() -> None:
    """SeaBIOS gives BARs from the I/O APIC down; the ROM of a 4 MiB OVMF ends at 4 GiB, with the reset vector."""
    ours = [one.span for one in layout.HOLE_PARTS if one.span not in (layout.BARS_32, layout.RESET_STUB)]
    assert min(ours) == layout.IOAPIC
    assert max(one.end for one in ours) <= 4 * GIB - 4 * MIB
    assert (layout.KVM_PAGES.start, layout.KVM_PAGES.end) == (layout.IDENTITY_MAP, layout.TSS + 3 * 4 * KIB)


def test_all_memory_is_write_back_by_its_default_type() -> None:
    """Intel SDM 3A, 11.11.2.1: E is bit 11, FE bit 10, the type bits 7:0. With FE the first MiB would have the types of
    the fixed-range registers, which nobody writes: 0 is uncached."""
    default = cpu.FIRST_MSRS[0x2FF]
    assert (default >> 11 & 1, default >> 10 & 1, default & 0xFF) == (1, 0, 6)
