"""Which board an architecture has, and that nobody reaches round it."""

from __future__ import annotations

from pathlib import Path

import pytest

import launcher
from launcher.machine.boards import BOARDS, board_of
from launcher.machine.start import Boot
from tests.test_house import imports_of

HOUSE = Path(launcher.__file__).parent
GENERAL = [*(HOUSE / "machine").glob("*.py"), *(HOUSE / "executor").rglob("*.py")]


@pytest.mark.parametrize("path", sorted(GENERAL), ids=lambda path: str(path.relative_to(HOUSE)))
def test_what_is_an_architectures_own_comes_by_its_board(path: Path) -> None:
    own = [name for name in imports_of(path.read_text()) if name.startswith("launcher.machine.x86")]
    assert own == (["launcher.machine.x86.board.X86"] if path.name == "boards.py" else [])


def test_a_plan_for_an_architecture_without_a_board_is_shown_on_another() -> None:
    assert board_of("aarch64") is BOARDS["x86_64"]


@pytest.mark.parametrize("protocol", ["pvh", "linux64"])
def test_a_kernel_starts_where_it_was_told_and_finds_what_its_protocol_promises(protocol: str) -> None:
    board = board_of("x86_64")
    start = board.starts[protocol]
    boot = Boot(bytes(start.HEAD_SIZE), board.memory_map((), ()), "console=ttyS0", None, 0xE0000)
    assert b"console=ttyS0\0" in [patch.data for patch in start.patches(boot)]
    assert start.first_regs(0x1000200)["rip"] == 0x1000200
    assert start.first_sregs()["cs"]["selector"] == 0x10
