"""Interrupt lines of the machine: which pin of which chip a GSI is, and which GSIs are left for messages. Pure."""

from __future__ import annotations

from launcher.machine.board import Pin
from launcher.machine.x86.layout import IOAPIC_PINS

FIRST_MESSAGE_GSI = IOAPIC_PINS
PIC_PINS, CASCADE, TIMER_PIN = 16, 2, 2
INTX_LINES = {16: 10, 17: 11, 18: 12, 19: 5}  # GSIs of PCI pins -> interrupts of the PICs that nothing else here has


def pins() -> tuple[Pin, ...]:
    """The PC's pins. The timer's GSI 0 is the I/O APIC's pin 2 (ACPI says so, see acpi.py), where the PICs cascade. PCI
    pins are at both, as firmware routes them: a guest that leaves the I/O APIC alone takes their interrupts from a PIC.
    """
    by_irq = {irq: irq for irq in range(PIC_PINS) if irq != CASCADE} | {irq: gsi for gsi, irq in INTX_LINES.items()}
    pic = [Pin(gsi, "pic-master" if irq < 8 else "pic-slave", irq % 8) for irq, gsi in by_irq.items()]
    ioapic = [Pin(gsi, "ioapic", TIMER_PIN if gsi == 0 else gsi) for gsi in range(IOAPIC_PINS) if gsi != CASCADE]
    return (*pic, *ioapic)
