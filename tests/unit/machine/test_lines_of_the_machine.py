"""GSIs as the interrupt controllers have them."""

from __future__ import annotations

from launcher.machine.board import Pin
from launcher.machine.x86.pins import FIRST_MESSAGE_GSI, pins


def test_the_first_sixteen_reach_both_kinds_of_controller_but_for_the_cascade() -> None:
    for gsi in range(16):
        chips = [pin.chip for pin in pins() if pin.gsi == gsi]
        assert chips == ([] if gsi == 2 else ["pic-master" if gsi < 8 else "pic-slave", "ioapic"])


def test_the_timer_is_pin_2_of_the_io_apic_and_no_pin_is_used_twice() -> None:
    found = pins()
    assert Pin(0, "ioapic", 2) in found
    assert Pin(9, "pic-slave", 1) in found
    assert Pin(23, "ioapic", 23) in found
    assert len({(pin.chip, pin.pin) for pin in found}) == len(found)


def test_messages_begin_where_pins_end() -> None:
    assert max(pin.gsi for pin in pins()) == FIRST_MESSAGE_GSI - 1
