"""Ways to devices that the zoo does not have, by which one guest has all of them and uses each; and 20 drives in one.

The guest lives once; each device has a test of its own, of what was said of it, and of the host afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE, Cli
from tests.lab.hosts import DRIVES
from tests.lab.inside.passing import PCI, bindings, boot, holders, interrupts, order, start


@dataclass(frozen=True)
class Way:
    """A device: its address on the host, its driver there and in the guest, how it is used, and what that says."""

    address: str
    driver: str
    interrupts: str
    use: str
    says: str
    brings: tuple[str, ...] = ()  # companions, which the guest gets too
    comes: bool = False  # is one of them

    @property
    def alias(self) -> str:
        return "at" + self.address[5:].replace(":", "-").replace(".", "-")

    @property
    def spec(self) -> dict[str, Any]:
        companions = "attach" if self.brings else "refuse"
        return {"pci": self.address, "companions": companions, "allow": ["no-reset"]}


DISK, NET = r"^compared 262144 bytes", r"\b(9|10) packets received"

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


@dataclass(frozen=True)
class Life:
    """Of the one guest: what it said, and what the report said, by host address; the host before and afterwards."""

    said: dict[str, str]
    reported: dict[str, str]
    err: str
    before: dict[str, tuple[str, str]]
    after: dict[str, tuple[str, str]]
    held: list[str]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, more_drivers: Path, peer: None) -> Iterator[Life]:
    cli = Cli(tmp_path_factory.mktemp("life"))
    try:
        yield live(cli, more_drivers, WAYS)
    finally:
        cli.put_down()


def live(cli: Cli, initrd: Path, ways: tuple[Way, ...]) -> Life:
    before = bindings()
    up = start(cli, initrd, {one.alias: one.spec for one in ways if not one.comes})
    places = {one["host"]: f"0000:{one['guest']}"[-12:] for one in _report(cli)["devices"]}
    said = {}
    for one in ways:
        guest = places[one.address]
        said[one.address] = order(up, f"use {guest[5:]} {one.use}", f"used {guest}")
    reported = {one["host"]: one["interrupts"] for one in _report(cli)["devices"]}
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    return Life(said, reported, err, before, bindings(), holders())


def _report(cli: Cli) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(cli.run("inspect", "--json", cli.name).out)["report"]
    return report


@pytest.mark.long
@pytest.mark.host("ways")
@pytest.mark.parametrize("one", WAYS, ids=lambda one: f"{one.address[5:]}-{one.driver}")
def test_a_device_is_used_in_the_guest_and_is_the_hosts_again(one: Way, life: Life) -> None:
    said = life.said[one.address]
    print(said)
    assert re.search(one.says, said, re.MULTILINE), said
    assert re.search(rf"^driver {one.driver}\r?$", said, re.MULTILINE), said
    assert interrupts(said, ":") > 0, said
    assert life.reported[one.address] == one.interrupts
    assert life.before[one.address][0] == one.driver
    assert life.after == life.before
    assert life.held == []
    assert "0 failed calls" in life.err


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
    planned = {one["alias"]: one["guest"] for one in _report(cli)["devices"]}
    assert {disk: place[5:] for disk, place in found} == planned
    assert done.out.count("8+0 records in") == 20, done.out
    assert "as it was: 20 changes undone" in done.err
