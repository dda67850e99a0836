"""State folders: a name is up once, files are whole, nothing stays behind."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from launcher.errors import Refused
from launcher.vms.folder import NameTaken, StateFolder
from launcher.vms.looking import all_folders, is_lost, is_up, read_json, wait_until_down
from launcher.vms.way import read_below


def test_a_claimed_name_cannot_be_claimed_again(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    folder.write("state.json", {"phase": "running"})
    with pytest.raises(NameTaken):
        StateFolder.claim(tmp_path / "vm")
    folder.close()
    StateFolder.claim(tmp_path / "vm").close()


@pytest.mark.parametrize("written", ["{}/run/vm/", "{}//run/./vm", "{}/run/vm/."])
def test_a_path_that_somebody_wrote_otherwise_is_of_the_same_folder(tmp_path: Path, written: str) -> None:
    """As may be in a plan that was edited."""
    folder = StateFolder.claim(written.format(tmp_path))
    assert (folder.path, folder.name, folder.root) == (f"{tmp_path}/run/vm", "vm", f"{tmp_path}/run")
    folder.leave()
    assert list((tmp_path / "run").iterdir()) == []


def test_the_lock_lives_as_long_as_any_process_that_has_it(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    other = os.dup(folder.lock)
    folder.close()
    assert is_up(tmp_path / "vm")
    os.close(other)
    assert not is_up(tmp_path / "vm")


def test_a_look_whether_it_is_up_does_not_keep_it_from_being_claimed(tmp_path: Path) -> None:
    (tmp_path / "vm").mkdir()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            is_up(tmp_path / "vm")

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for one in lookers:
        one.start()
    try:
        for _ in range(300):
            StateFolder.claim(tmp_path / "vm").close()
    finally:
        done.set()
        for one in lookers:
            one.join()


def test_one_that_ends_while_somebody_looks_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last state is written before the lock is given back."""
    folder = StateFolder.claim(tmp_path / "vm")
    folder.write("state.json", {"phase": "running"})

    def read_and_end(looked_at: int) -> bool:
        folder.close()
        return bool(json.loads(read_below(looked_at, "state.json"))["phase"] == "running")

    monkeypatch.setattr("launcher.vms.looking.has_begun", read_and_end)
    assert not is_lost(tmp_path / "vm")
    folder.close()
    assert is_lost(tmp_path / "vm")


def test_only_its_owner_may_look_into_it(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "run" / "vm")
    assert Path(folder.path).stat().st_mode & 0o777 == 0o700
    assert Path(folder.path).parent.stat().st_mode & 0o777 == 0o700
    folder.close()


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vm").write_text("")
    with pytest.raises(Refused, match=r"E541: state is not kept below .*/vm: it is no folder"):
        StateFolder.claim(tmp_path / "vm")
    assert not is_up(tmp_path / "vm")


def test_files_are_written_whole_and_read_back(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    folder.write("state.json", {"phase": "running"})
    assert json.loads((Path(folder.path) / "state.json").read_text()) == {"phase": "running"}
    assert [entry.name for entry in Path(folder.path).iterdir()] == ["state.json"]
    folder.close()


def test_half_a_file_reads_as_none(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"phase": "run')
    assert read_json(tmp_path / "state.json") is None
    assert read_json(tmp_path / "nothing.json") is None


def test_an_emptied_and_removed_folder_is_gone(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    folder.write("report.json", {})
    folder.empty()
    assert list(Path(folder.path).iterdir()) == []
    folder.remove()
    folder.close()
    assert list(all_folders(tmp_path)) == []


def test_what_is_not_ours_is_never_removed(tmp_path: Path) -> None:
    folder = StateFolder.claim(tmp_path / "vm")
    (Path(folder.path) / "letter").write_text("dear")
    folder.write("report.json", {})
    assert folder.remove() == ("letter",)
    assert [entry.name for entry in Path(folder.path).iterdir()] == ["letter"]
    folder.close()


def test_nothing_there_is_not_up_and_not_waited_for(tmp_path: Path) -> None:
    assert not is_up(tmp_path / "vm")
    wait_until_down(tmp_path / "vm")
    assert list(all_folders(tmp_path / "nowhere")) == []
