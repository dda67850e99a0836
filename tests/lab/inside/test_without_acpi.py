"""Linux that is told to leave ACPI alone finds its processors, its console's interrupt and its devices' lines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, Cli
from tests.lab.inside.passing import NVME, RTL8139, TALKS, card, comes, interrupts, order, received, start

READ = "dd if=/dev/nvme0n1 of=/dev/null bs=4k count=8 iflag=direct 2>&1 | grep records.in"


@pytest.mark.long
@pytest.mark.host("zoo")
@pytest.mark.usefixtures("host_as_before", "peer")
@pytest.mark.parametrize(
    ("options", "chip"),
    [("pci=noacpi", "IO-APIC"), ("acpi=off pci=nomsi", "IO-APIC"), ("acpi=off noapic", "XT-PIC")],
)
def test_a_guest_without_acpi_has_its_processors_and_interrupts(
    cli: Cli, initrd: Path, options: str, chip: str
) -> None:
    """The card has nothing but its line, nor has the drive with `pci=nomsi`. With `acpi=off` it halts in the end."""
    devices = {"disk": NVME, "nic": {"pci": RTL8139, "allow": ["no-reset"]}}
    up = start(cli, initrd, devices, cmdline=options, cpus=2)
    use = f"{card('00:11.0')}; {TALKS}; {READ}; echo vcpus $(nproc); cat /proc/interrupts; echo looked"
    said = order(up, use, "looked")
    assert received(said) >= 15, said
    assert "8+0 records in" in said
    assert re.search(r"^vcpus 2\r?$", said, re.MULTILINE), said
    for name in ("ttyS0", "eth0", *(("nvme0q1",) if "nomsi" in options else ())):
        assert interrupts(said, name) > 0, said
        assert re.search(rf"{chip}.*{name}", said), said
    assert ("9-fasteoi   acpi" in said) is ("acpi=off" not in options)
    assert up.stdin is not None
    up.stdin.write("poweroff\n")
    up.stdin.flush()
    if "acpi=off" in options:
        assert comes(lambda: bool(json.loads(cli.run("inspect", "--json", cli.name).out)["report"]["halted"]))
        cli.run("down", cli.name)
    _, err = up.communicate(timeout=PATIENCE)
    assert ("the guest powered off" in err) is ("acpi=off" not in options), err
