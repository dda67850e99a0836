"""What is odd in a state folder, or in its place: each verb answers with a code, and takes away what is ours."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from launcher.api import folders
from launcher.cli import main
from launcher.vms.channel import accept, listen
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import FILES, LOG, REPORT, SOCKET, STATE
from launcher.vms.journal import Journal
from launcher.vms.notices import HasEnded, notice_to_json
from tests.unit.vms.test_notices import REPORT as LAST

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "state_root", lambda: tmp_path / "vmlaunch")
    return tmp_path / "vmlaunch"


def dead(root: Path, phase: str = "running") -> Path:
    """Its keeper has gone, and there is nothing to put back."""
    folder = StateFolder.claim(root / "vm")
    folder.write(STATE, {"name": "vm", "phase": phase})
    Journal(folder).close()
    folder.close()
    return Path(folder.path)


def test_down_names_what_is_not_ours_and_takes_away_what_is(root: Path, capsys: Capture) -> None:
    folder = dead(root)
    (folder / "notes.txt").write_text("mine")
    (folder / "bell\x07").mkdir()
    assert main(["down", "vm"]) == 11
    err = capsys.readouterr().err
    assert f"error[E542]: vm is down, but failed to remove {folder}: vmlaunch did not make bell" in err
    assert "notes.txt" in err
    assert "\x07" not in err
    assert "the host is as it was" in err
    assert sorted(os.listdir(folder)) == ["bell\x07", "notes.txt"]
    assert main(["ps", "-a"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["down", "vm"]) == 11
    (folder / "notes.txt").unlink()
    (folder / "bell\x07").rmdir()
    assert main(["down", "vm"]) == 0
    assert not folder.exists()


def test_down_names_only_the_first_of_many(root: Path, capsys: Capture) -> None:
    folder = dead(root)
    for n in range(1000):
        (folder / f"n{n:03}").touch()
    assert main(["down", "vm"]) == 11
    assert "vmlaunch did not make n000, n001, n002, n003, n004 and 995 more" in capsys.readouterr().err


@pytest.mark.parametrize("make", [Path.touch, lambda path: os.symlink("/nowhere", path), os.mkfifo])
@pytest.mark.parametrize("verb", ["down", "inspect", "logs", "console"])
def test_what_is_no_folder_is_answered(root: Path, capsys: Capture, make: object, verb: str) -> None:
    root.mkdir()
    make(root / "vm")  # type: ignore[operator]
    assert main([verb, "vm"]) in (1, 7)
    assert "error[E5" in capsys.readouterr().err
    assert main(["ps", "-a"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_the_place_of_a_file_keeps_nobody(root: Path, capsys: Capture, name: str) -> None:
    folder = dead(root)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    for words in ("ps", "ps -a", "ps --json -a", "inspect vm", "logs vm", "logs -f vm"):
        assert main(words.split()) in (0, 1, 7), words
    said = capsys.readouterr()
    assert "lost" in said.out
    if name == LOG:
        assert "error[E543]: failed to read the log of vm: it is no file of this VM" in said.err


@pytest.mark.parametrize("text", ["[]", "{}", "1", '{"phase": []}', '{"phase": "ended", "started": "x", "ended": 7}'])
def test_any_state_and_report_are_listed(root: Path, capsys: Capture, text: str) -> None:
    folder = dead(root)
    for name in (STATE, REPORT):
        (folder / name).write_text(text)
    for words in (["ps", "-a"], ["ps", "-a", "--json"]):
        assert main(words) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])[0]["name"] == "vm"


def test_what_a_state_says_is_drawn_harmless(root: Path, capsys: Capture) -> None:
    (dead(root) / STATE).write_text(json.dumps({"phase": "\x1b]0;title\x07"}))
    os.mkdir(root / "\x1b[2J")
    main(["ps", "-a"])
    assert "\x1b" not in capsys.readouterr().out


def test_logs_are_shown_from_their_last_lines(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = dead(root)
    (folder / LOG).write_text("one\ntwo\r\nthree\n")
    for words, said in ((["-n", "2"], "two\r\nthree\n"), (["--tail=0"], ""), (["-f", "-n", "1"], "three\n")):
        assert main(["logs", *words, "vm"]) == 0
        assert capfd.readouterr().out.replace("\r\n", "\n") == said.replace("\r\n", "\n")
    assert main(["logs", "-n", "all", "vm"]) == 2
    assert "error[E532]" in capfd.readouterr().err


def test_logs_that_come_when_the_vm_ends_show_all_that_was_said(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its keeper has taken the call, and says the end before it has heard what is asked."""
    folder = StateFolder.claim(root / "vm")
    (Path(folder.path) / LOG).write_text("one\ntwo\n")

    def end() -> None:
        listener.setblocking(True)
        channel = accept(listener)
        channel.send(notice_to_json(HasEnded(LAST)))
        channel.receive()  # too late
        channel.close()

    with closing(listen(Path(folder.path) / SOCKET)) as listener, ThreadPoolExecutor() as keeper:
        ended = keeper.submit(end)
        assert main(["logs", "-f", "vm"]) == 0
        ended.result()
    folder.close()
    assert capfd.readouterr().out == "one\ntwo\n"
