"""GSIs as the interrupt controllers have them."""

from __future__ import annotations

import pytest

from launcher.machine.board import Pin
from launcher.machine.boards import board_of
from launcher.machine.x86.pins import FIRST_MESSAGE_GSI, INTX_LINES, pins

BOARD = board_of("x86_64")


def test_the_first_sixteen_reach_both_kinds_of_controller_but_for_the_cascade_and_what_pci_has() -> None:
    for gsi in set(range(16)) - set(INTX_LINES.values()):
        chips = [pin.chip for pin in pins() if pin.gsi == gsi]
        assert chips == ([] if gsi == 2 else ["pic-master" if gsi < 8 else "pic-slave", "ioapic"])


@pytest.mark.parametrize("pin", [1, 2, 3, 4])
def test_the_line_of_a_pci_pin_is_the_one_by_which_it_reaches_a_pic(pin: int) -> None:
    for slot in range(32):
        gsi, line = BOARD.intx_gsi(slot, pin), BOARD.intx_line(slot, pin)
        reached = [one for one in pins() if one.gsi == gsi]
        chip = "pic-master" if line < 8 else "pic-slave"
        assert reached == [Pin(gsi, chip, line % 8), Pin(gsi, "ioapic", gsi)]


def test_no_device_of_the_machines_own_has_the_line_of_a_pci_pin() -> None:
    lines = {BOARD.intx_line(slot, pin) for slot in range(4) for pin in range(1, 5)}
    assert len(lines) == 4
    assert not lines & {0, 1, 2, BOARD.serial_gsi, BOARD.power_gsi}


def test_the_timer_is_pin_2_of_the_io_apic_and_no_pin_is_used_twice() -> None:
    found = pins()
    assert Pin(0, "ioapic", 2) in found
    assert Pin(9, "pic-slave", 1) in found
    assert Pin(23, "ioapic", 23) in found
    assert len({(pin.chip, pin.pin) for pin in found}) == len(found)


def test_messages_begin_where_pins_end() -> None:
    assert max(pin.gsi for pin in pins()) == FIRST_MESSAGE_GSI - 1
