"""Signals have the numbers and the names that Python's own enumeration has for them."""

from __future__ import annotations

import signal

from launcher.signals import signal as numbers
from launcher.signals import signal_name


def test_each_number_has_the_name_that_python_has_for_it() -> None:
    named = {int(one): one.name for one in signal.Signals}
    assert all(signal_name(number) == named.get(number, f"signal {number}") for number in range(80))


def test_what_is_done_at_a_signal_is_told_in_numbers_that_equal_those_of_python() -> None:
    assert numbers.getsignal(numbers.SIGCHLD) == signal.getsignal(signal.SIGCHLD)
    assert numbers.SIG_IGN == signal.SIG_IGN
    assert numbers.SIGTERM == signal.SIGTERM
