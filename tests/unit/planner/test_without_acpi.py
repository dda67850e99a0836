"""Guests that are told to leave ACPI alone: the one that cannot power off, and command lines that only look so."""

from __future__ import annotations

import pytest

from tests.planning import host, plan


def warned(cmdline: str) -> list[str]:
    text = f"boot: {{kernel: ./bzImage, cmdline: '{cmdline}'}}\ncpus: 2\nmemory: 256MiB\n"
    return [one.message for one in plan(text, host("gpu07")).diagnostics if one.code == "W440"]


@pytest.mark.parametrize("cmdline", ["acpi=off", "console=ttyS0 acpi=off ro -- quiet"])
def test_a_guest_without_acpi_does_not_end_when_it_powers_off(cmdline):
    assert warned(cmdline) == ["with `acpi=off` Linux cannot power this machine off: it halts, and the VM stays up"]


@pytest.mark.parametrize("cmdline", ["", "acpi=force pci=nomsi", "acpi_osi=off noapic", "ro -- acpi=off"])
def test_other_words_are_none_of_these(cmdline):
    assert warned(cmdline) == []


@pytest.mark.parametrize("cmdline", ["pci=noacpi", "pci=nomsi,noacpi ro", "acpi=noirq"])
def test_interrupts_are_found_without_acpi_too(cmdline):
    assert warned(cmdline) == []
