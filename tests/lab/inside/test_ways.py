"""Ways to devices that the zoo does not have, by which one guest has all of them and uses each; and 20 drives in one.

The guest lives once; each device has a test of its own, of what was said of it, and of the host afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.lab.hosts import DRIVES
from tests.lab.inside.passing import PCI, boot
from tests.lab.inside.using import DISK, NET, Life, Way, check, live, report_of

WAYS = (
    Way("0000:01:01.0", "e1000", "intx", "talk", NET, brings=("0000:01:02.0",)),
    Way("0000:01:02.0", "pcnet32", "intx", "talk", NET, comes=True),
    Way("0000:02:00.0", "virtio-pci", "msix", "random", r"64 bytes of virtio_rng"),
    Way("0000:06:00.0", "nvme", "msix", "serial disk", rf"(?s)serial lab-apart.*{DISK}"),
    Way("0000:07:00.0", "e1000e", "msix", "talk", NET),
    Way("0000:0a:00.0", "nvme", "msix", "serial disk", rf"(?s)serial lab-left.*{DISK}", brings=("0000:0b:00.0",)),
    Way("0000:0b:00.0", "nvme", "msix", "serial disk", rf"(?s)serial lab-right.*{DISK}", comes=True),
    Way("0000:81:00.0", "nvme", "msix", "serial disk", rf"(?s)serial lab-far.*{DISK}"),
)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, more_drivers: Path, peer: None) -> Iterator[Life]:
    cli = Cli(tmp_path_factory.mktemp("life"))
    try:
        yield live(cli, more_drivers, WAYS)
    finally:
        cli.put_down()


@pytest.mark.long
@pytest.mark.host("ways")
@pytest.mark.parametrize("one", WAYS, ids=lambda one: f"{one.address[5:]}-{one.driver}")
def test_a_device_is_used_in_the_guest_and_is_the_hosts_again(one: Way, life: Life) -> None:
    check(one, life)


@pytest.mark.long
@pytest.mark.host("drives")
@pytest.mark.usefixtures("host_as_before")
def test_twenty_drives_are_in_one_guest(cli: Cli, initrd: Path) -> None:
    """More than it has slots for: some are functions of one slot. Each is the drive that its alias names, and reads."""
    drives = {disk: f"0000:00:{n + 2:02x}.0" for n, disk in enumerate(DRIVES)}
    assert all((PCI / address).exists() for address in drives.values())
    look = "for one in /sys/class/nvme/*; do echo serial $(cat $one/serial) $(cat $one/address) $(cat $one/state); done"
    read = "for one in /dev/nvme*n1; do dd if=$one of=/dev/null bs=4k count=8 iflag=direct 2>&1 | grep records.in; done"
    done = boot(cli, initrd, drives, f"{look}; {read}")
    found = re.findall(r"^serial lab-(\S+) (\S+) live\r?$", done.out, re.MULTILINE)
    assert {disk for disk, _ in found} == set(DRIVES), done.out
    assert any(not place.endswith(".0") for _, place in found)
    planned = {one["alias"]: one["guest"] for one in report_of(cli)["devices"]}
    assert {disk: place[5:] for disk, place in found} == planned
    assert done.out.count("8+0 records in") == 20, done.out
    assert "as it was: 20 changes undone" in done.err
