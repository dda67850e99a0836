"""Guests that are told to leave ACPI alone: what each of them loses, and command lines that only look so."""

from __future__ import annotations

import pytest

from launcher.host.facts import Config, Msix
from tests.catalogue.row import with_function
from tests.planning import host, plan

DISK = "0000:02:00.0"


def costs(cmdline: str, cpus: int = 1, devices: str = "", config: Config | None = None) -> list[tuple[str, ...]]:
    facts = with_function(host("gpu07"), DISK, config=config) if config else host("gpu07")
    text = f"boot: {{kernel: ./bzImage, cmdline: '{cmdline}'}}\ncpus: {cpus}\nmemory: 256MiB\n{devices}"
    return [one.evidence for one in plan(text, facts).diagnostics if one.code == "W440"]


def test_a_guest_without_acpi_has_one_vcpu_and_does_not_end():
    halts = "it cannot power off: `up` goes on"
    assert costs("console=ttyS0 acpi=off", cpus=2) == [("it finds one of 2 vCPUs", halts)]
    assert costs("acpi=off") == [(halts,)]


def test_a_device_that_has_only_its_line_is_named():
    devices = f"devices: {{disk: {DISK}}}\n"
    line, messages = Config(pin=1, port="endpoint"), Config(pin=1, port="endpoint", msix=Msix(33, 0, 0x2000, 0, 0x3000))
    deaf = "no interrupt of disk arrives, which has INTx only"
    assert deaf in costs("acpi=off", devices=devices, config=line)[0]
    assert deaf not in costs("acpi=off", devices=devices, config=messages)[0]


@pytest.mark.parametrize("cmdline", ["pci=noacpi", "pci=nomsi,noacpi ro", "acpi=noirq"])
def test_without_routing_the_serial_port_is_mute(cmdline):
    assert costs(cmdline, cpus=2) == [("ttyS0 gets no interrupt: what is not the kernel is mute",)]


@pytest.mark.parametrize("cmdline", ["", "acpi=force pci=nomsi", "acpi_osi=off noapic", "ro -- acpi=off"])
def test_other_words_are_none_of_these(cmdline):
    assert costs(cmdline, cpus=2) == []
