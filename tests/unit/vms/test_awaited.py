"""`up --wait`: a text in what a guest says, piece by piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.cli import main
from launcher.vms.awaited import AwaitedText


@given(st.binary(max_size=40), st.text("ab", min_size=1, max_size=4), st.binary(max_size=40), st.integers(1, 7))
def test_a_text_is_heard_however_it_is_cut(before: bytes, text: str, after: bytes, size: int) -> None:
    whole, wait = before + text.encode() + after, AwaitedText(text, 60)
    for start in range(0, len(whole), size):
        wait.hear(whole[start : start + size])
    assert wait.heard


@given(st.lists(st.text("ab", max_size=5)), st.text("ab", min_size=1, max_size=4))
def test_a_text_is_heard_only_if_it_was_said(pieces: list[str], text: str) -> None:
    wait = AwaitedText(text, 60)
    for piece in pieces:
        wait.hear(piece.encode())
    assert wait.heard == (text in "".join(pieces))


@given(st.integers(1, 40))
def test_a_panic_is_told_however_it_is_cut(size: int) -> None:
    wait = AwaitedText("login:", 0)
    said = b"[    1.5] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
    for start in range(0, len(said), size):
        wait.hear(said[start : start + size])
    told = wait.complaint("web")
    assert told.message == "web did not say 'login:' before it ended; it said `Kernel panic - not syncing`"
    assert told.help == ("`vmlaunch logs web` shows what it said, and behind that word why",)
    assert "panic" not in AwaitedText("login:", 0).complaint("web").message


def test_the_time_is_over_once() -> None:
    wait = AwaitedText("x", 0)
    assert (wait.left(), wait.tick()) == (None, False)  # the vCPUs do not run yet
    wait.begin()
    assert [wait.tick(), wait.tick()] == [True, False]
    assert wait.left() is None


def test_what_comes_later_is_not_heard() -> None:
    wait = AwaitedText("x", 0)
    wait.begin()
    assert wait.tick()
    wait.hear(b"x")
    assert not wait.heard


def test_what_was_heard_has_no_time() -> None:
    wait = AwaitedText("x", 0)
    wait.begin()
    wait.hear(b"x")
    assert not wait.tick()


@pytest.mark.parametrize("words", [["--timeout", "5s"], ["--wait", ""], ["--wait", "x", "--timeout", "soon"]])
def test_a_wait_that_means_nothing_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "vm.yaml", *words]) == 2
    assert "nothing was changed" in capsys.readouterr().err
