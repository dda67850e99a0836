"""How often a keeper looks at what its guest writes: at once for an echo, seldom while it goes on and on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.executor.keeper.archive import COALESCE, MOST_COALESCED, Archive
from launcher.executor.keeper.records import Records
from launcher.kernel.console import Console
from launcher.native import lib
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import LOG
from tests.unit.executor.passing import passing_plan


class Guest:
    def __init__(self, folder: StateFolder, plan_in: Path) -> None:
        self.console = Console()
        self.archive = Archive(folder, Records(passing_plan(plan_in), ""), self.console, None)
        self.archive.open()

    def writes(self, text: bytes) -> float | None:
        """Seconds until the keeper looks again, which has just done so."""
        if text:
            assert lib.ring_write(self.console.output.pointer, self.console.output.event, text, len(text)) == len(text)
        self.archive.keep_log()
        return self.archive.next_look()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StateFolder]:
    found = StateFolder.claim(tmp_path / "vm")
    yield found
    found.remove()


@pytest.fixture
def guest(folder: StateFolder, tmp_path: Path) -> Iterator[Guest]:
    made = Guest(folder, tmp_path)
    yield made
    made.console.close()


def test_an_echo_is_soon_there(guest: Guest) -> None:
    """Who types leaves the guest silent in between: the next byte wakes the keeper."""
    for _ in range(100):
        assert guest.writes(b"x") == COALESCE
        assert guest.writes(b"") is None


def test_a_guest_that_goes_on_is_looked_at_ever_more_seldom(guest: Guest, folder: StateFolder) -> None:
    looks = [guest.writes(b"a line of it\n") for _ in range(50)]
    assert looks == sorted(looks)
    assert looks[0] == COALESCE
    assert set(looks[20:]) == {MOST_COALESCED}
    assert guest.writes(b"") is None
    assert guest.writes(b"x") == COALESCE
    assert Path(folder.path, LOG).read_bytes() == b"a line of it\n" * 50 + b"x"
