"""Interrupt lines of the machine: which pin of which chip a GSI is, and which GSIs are left for messages. Pure."""

from __future__ import annotations

from launcher.machine.board import Pin
from launcher.machine.x86.layout import IOAPIC_PINS

FIRST_MESSAGE_GSI = IOAPIC_PINS
PIC_PINS, CASCADE, TIMER_PIN = 16, 2, 2


def pins() -> tuple[Pin, ...]:
    """The PC's: the timer's GSI 0 is the I/O APIC's pin 2 (ACPI says so, see acpi.py), where the PICs cascade."""
    pic = [Pin(gsi, "pic-master" if gsi < 8 else "pic-slave", gsi % 8) for gsi in range(PIC_PINS) if gsi != CASCADE]
    ioapic = [Pin(gsi, "ioapic", TIMER_PIN if gsi == 0 else gsi) for gsi in range(IOAPIC_PINS) if gsi != CASCADE]
    return (*pic, *ioapic)
