"""Devices in, all of them in one guest that uses each; what was said of each, and of the host afterwards, out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import PATIENCE, Cli
from tests.lab.inside.passing import bindings, holders, interrupts, order, start

DISK, NET = r"^compared 262144 bytes", r"\b(9|10) packets received"


@dataclass(frozen=True)
class Way:
    """A device: its address on the host, its driver there and in the guest (empty: it has none), what interrupts it,
    how it is used, and what that says."""

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


@dataclass(frozen=True)
class Life:
    """Of the one guest: what it said, and what the report said, by host address; the host before and afterwards."""

    said: dict[str, str]
    reported: dict[str, str]
    err: str
    before: dict[str, tuple[str, str]]
    after: dict[str, tuple[str, str]]
    held: list[str]


def live(cli: Cli, initrd: Path, ways: tuple[Way, ...]) -> Life:
    before = bindings()
    up = start(cli, initrd, {one.alias: one.spec for one in ways if not one.comes})
    places = {one["host"]: f"0000:{one['guest']}"[-12:] for one in report_of(cli)["devices"]}
    said = {}
    for one in ways:
        guest = places[one.address]
        said[one.address] = order(up, f"use {guest[5:]} {one.use}", f"used {guest}")
    reported = {one["host"]: one["interrupts"] for one in report_of(cli)["devices"]}
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    return Life(said, reported, err, before, bindings(), holders())


def report_of(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli.run("inspect", "--json", cli.name).out)["report"]
    return found


def check(one: Way, life: Life) -> None:
    """It was used in the guest, and is the host's again."""
    said = life.said[one.address]
    print(said)
    assert re.search(one.says, said, re.MULTILINE), said
    assert re.search(rf"^driver {one.driver}\r?$", said, re.MULTILINE), said
    assert (interrupts(said, ":") > 0) == (one.interrupts != "none"), said
    assert life.reported[one.address] == one.interrupts
    assert life.before[one.address][0] == one.driver
    assert life.after == life.before
    assert life.held == []
    assert "0 failed calls" in life.err
