"""Where things are in the guest's address space: the x86 machine's fixed facts. Pure.

Everything that other rooms must avoid or describe to the guest (e820, ACPI) has its one definition here. What planner
and runner have to know of it is LAYOUT.
"""

from __future__ import annotations

from launcher.machine.board import Fixed, Layout
from launcher.values import GIB, KIB, MIB, Span

# Guest RAM below 4 GiB ends here at the latest.
HOLE = Span(3 * GIB, GIB)
HIGH_RAM_START = 4 * GIB

# Firmware gives out BARs from the I/O APIC down (SeaBIOS) and has its ROM in the last 4 MiB (OVMF): nothing of ours is
# in either.
BARS_32 = Span(3 * GIB, 0xFEC00000 - 3 * GIB)
IOAPIC = Span(0xFEC00000, 4 * KIB)
ECAM = Span(0xFED00000, MIB)  # PCI configuration space of bus 0 (PCI Firmware 3.0, 4.1.2), where a PC has its HPET
MSI = Span(0xFEE00000, MIB)  # local APIC; a write here by a device is an interrupt
IDENTITY_MAP = 0xFEFFC000  # KVM_SET_IDENTITY_MAP_ADDR: one page
TSS = 0xFEFFD000  # KVM_SET_TSS_ADDR: three pages
KVM_PAGES = Span(IDENTITY_MAP, 4 * 4 * KIB)
RESET_STUB = Span(0xFFFFF000, 4 * KIB)  # the reset vector's page

HOLE_PARTS = (
    Fixed(BARS_32, "32-bit BARs"),
    Fixed(IOAPIC, "I/O APIC"),
    Fixed(ECAM, "PCI configuration space"),
    Fixed(MSI, "local APIC and MSI"),
    Fixed(KVM_PAGES, "KVM's own pages"),
    Fixed(RESET_STUB, "reset vector"),
)

# Low memory that Linux and PVH guests expect not to be RAM: EBDA, video, option ROMs (IBM PC).
LEGACY = Span(0xA0000, 0x60000)

# What the launcher writes into low RAM before the guest starts.
GDT = Span(0x500, 64)
START_INFO = Span(0x6000, 4 * KIB)  # hvm_start_info, module list, memory map (Xen PVH ABI)
PAGE_TABLES = Span(0x9000, 24 * KIB)
CMDLINE = Span(0x20000, 4 * KIB)
ACPI_TABLES = Span(0xE0000, 64 * KIB)
MP_TABLE = Span(0xF0000, 60 * KIB)  # searched for the floating pointer (MultiProcessor Specification 1.4, 4)
SMBIOS = Span(0xFF000, 4 * KIB)  # from 0xf0000 on the entry point is looked for (DSP0134 3.4, 5.2)
KERNEL_START = MIB  # boot files may load from here on

# I/O ports.
COM1 = Span(0x3F8, 8)
BAR_PORTS = Span(0xC000, 0x4000)  # for I/O BARs, within the host bridge's window and above all that is fixed
COM1_GSI = 4
PM_BASE = 0x600  # PM1a event 0x600, PM1a control 0x604 (ACPI 6.4, 4.8.3)
PM = Span(PM_BASE, 8)
PM_TIMER = Span(PM_BASE + 8, 4)
SCI_GSI = 9
KEYBOARD_CONTROLLER = Span(0x64, 1)
PCI_CONFIG = Span(0xCF8, 8)
RESET_CONTROL = 0xCF9  # a byte within it (PIIX reset control register)

IOAPIC_PINS = 24
MOST_VCPUS = 255  # a local APIC id has 8 bits, and 255 means all of them

LAYOUT = Layout(
    hole=HOLE,
    hole_parts=HOLE_PARTS,
    high_ram_start=HIGH_RAM_START,
    bars_32=BARS_32,
    bar_ports=BAR_PORTS,
    ecam=ECAM,
    identity_map=IDENTITY_MAP,
    tss=TSS,
    tables=Span(ACPI_TABLES.start, ACPI_TABLES.size + MP_TABLE.size + SMBIOS.size),
    kernel_start=KERNEL_START,
    most_vcpus=MOST_VCPUS,
    last_vcpu_id=MOST_VCPUS - 1,
)
