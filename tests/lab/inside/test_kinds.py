"""Kinds of devices that the zoo does not have: one guest has twelve of them and uses each.

The guest lives once; each device has a test of its own, of what was said of it, and of the host afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.lab.inside.using import DISK, NET, Life, Way, check, live

PICTURE = r"(?s)word 0x8000 is 600df00d.*word 0x8000 is 600df00d.*word 0x500 is [0-9a-f]{4}b0c5"

KINDS = (
    Way("0000:01:00.0", "nvme", "msix", "disk", DISK),  # its MSI-X tables have a BAR of their own
    Way("0000:02:00.0", "virtio-pci", "msix", "talk", NET),
    Way("0000:04:00.0", "xhci_hcd", "msix", "disk usb", rf"(?s){DISK}.*QEMU USB Keyboard"),
    Way("0000:05:00.0", "virtio-pci", "msix", "disk", DISK),
    Way("0000:00:07.0", "pcnet32", "intx", "talk", NET),
    Way("0000:00:08.0", "e1000", "intx", "talk", NET),
    Way("0000:00:09.0", "ne2k-pci", "intx", "talk", NET),  # I/O ports only
    Way("0000:00:0a.0", "ahci", "msi", "disk", DISK),
    Way("0000:00:0b.0", "sdhci-pci", "intx", "disk", DISK),
    Way("0000:00:0c.0", "snd_hda_intel", "msi", "", "driver"),  # no codec answers here or on the host
    Way("0000:00:10.0", "", "none", "picture", PICTURE),
    Way("0000:00:11.0", "", "none", "picture", PICTURE),
)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, more_drivers: Path, peer: None) -> Iterator[Life]:
    cli = Cli(tmp_path_factory.mktemp("life"))
    try:
        yield live(cli, more_drivers, KINDS)
    finally:
        cli.put_down()


@pytest.mark.long
@pytest.mark.host("kinds")
@pytest.mark.parametrize("one", KINDS, ids=lambda one: f"{one.address[5:]}-{one.driver or 'none'}")
def test_a_device_is_used_in_the_guest_and_is_the_hosts_again(one: Way, life: Life) -> None:
    check(one, life)
