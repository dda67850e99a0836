"""Names, specs and saved plans in; what `vmlaunch down` says and answers out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.api import folders
from launcher.cli import main
from launcher.codec import encode
from launcher.executor.ending import stopped_by_force
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import REPORT, STATE
from launcher.vms.journal import Journal

Capture = pytest.CaptureFixture[str]
SPEC = "name: web\nboot: {kernel: ./k}\ncpus: 1\nmemory: 64MiB\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "state_root", lambda: tmp_path / "vmlaunch")
    return tmp_path / "vmlaunch"


def dead(root: Path, name: str) -> Path:
    """Its keeper has gone, and there is nothing to put back."""
    folder = StateFolder.claim(root / name)
    folder.write(STATE, {"name": name, "phase": "running"})
    Journal(folder).close()
    folder.close()
    return Path(folder.path)


def test_a_name_that_no_vm_has_may_be_misspelled(root: Path, capsys: Capture) -> None:
    dead(root, "strgecho")
    assert main(["down", "strgeco"]) == 7
    err = capsys.readouterr().err
    assert "error[E520]: there is no VM of the name strgeco\n" in err
    assert "did you mean `strgecho`?" in err
    assert main(["inspect", "strgeco"]) == 7
    assert "did you mean `strgecho`?" in capsys.readouterr().err
    assert main(["down", "-i", "strgeco"]) == 0
    assert capsys.readouterr().out == "strgeco is not up\n"


def test_of_a_spec_whose_vm_is_not_up_there_is_nothing_to_do(root: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "vm.yaml").write_text(SPEC)
    assert main(["down", str(tmp_path / "vm.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "web", "outcome": "nothing to do"}


def test_several_go_down_whatever_becomes_of_one(root: Path, capsys: Capture) -> None:
    left = [dead(root, name) for name in ("one", "two", "three")]
    assert main(["down", "one", "nobody", "two"]) == 7
    out, err = capsys.readouterr()
    assert (out, err.count("error[")) == ("one is down\ntwo is down\n", 1)
    assert [path.exists() for path in left] == [False, False, True]


def test_all_are_those_that_are_up_or_lost(root: Path, capsys: Capture) -> None:
    for name in ("one", "two"):
        dead(root, name)
    assert main(["down", "--all"]) == 0
    assert capsys.readouterr().out == "one is down\ntwo is down\n"
    assert main(["down", "--all"]) == 0
    assert capsys.readouterr().out == "no VM is up\n"


def test_of_a_vm_that_had_ended_it_is_said_how(root: Path, capsys: Capture) -> None:
    for name in ("one", "two"):
        (dead(root, name) / REPORT).write_text(json.dumps({"end": encode(stopped_by_force("SIGINT", 130))}))
    assert main(["down", "one"]) == 0
    assert capsys.readouterr().out == "one is down; it had ended before: stopped by force: SIGINT\n"
    assert main(["down", "--json", "two"]) == 0
    end = {"how": "killed", "detail": "stopped by force: SIGINT", "exit_code": 130, "registers": {}}
    assert json.loads(capsys.readouterr().out) == {"name": "two", "outcome": "cleared", "end": end}


def test_a_report_of_another_version_says_nothing(root: Path, capsys: Capture) -> None:
    (dead(root, "one") / REPORT).write_text('{"end": {"manner": 7}}')
    assert main(["down", "one"]) == 0
    assert capsys.readouterr().out == "one is down\n"


@pytest.mark.parametrize("words", [["down"], ["down", "--all", "vm"]], ids=" ".join)
def test_which_vm_has_to_be_said_in_one_way(words: list[str], root: Path, capsys: Capture) -> None:
    assert main(words) == 2
    assert "error[E531]" in capsys.readouterr().err
