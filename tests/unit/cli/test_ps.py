"""`vmlaunch ps`: state folders in, a table out."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.api import folders
from launcher.cli import VERBS, _module_of, _parser_of, main
from launcher.cli.ps import _local, _seconds

TIMES = {"started": "2026-01-02T03:04:05+00:00", "ended": "2026-01-02T03:04:09+00:00"}
STATE = {"keeper": 1, **TIMES, "vcpus": 2, "memory": 96 << 20}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "state_root", lambda: tmp_path)
    return tmp_path


def vm(root: Path, name: str, phase: str, **files: Any) -> Path:
    (root / name).mkdir()
    (root / name / "state.json").write_text(json.dumps({"name": name, "phase": phase, **STATE}))
    for file, value in files.items():
        (root / name / f"{file}.json").write_text(json.dumps(value))
    return root / name


def test_vms_are_listed_with_when_and_how_they_ended(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    vm(root, "done", "ended", report={"end": {"how": "power-off", "detail": "", "exit_code": 0}})
    assert main(["ps"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["ps", "-a"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NAME  STATE  VCPUS  MEMORY  SINCE/ENDED",
        "done  ended  2      96 MiB  2026-01-02 03:04:09, power-off, exit code 0",
    ]


def test_vm_whose_keeper_died_is_lost_and_the_way_out_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vm(root, "orphan", "running")
    (root / "halfway").mkdir()
    assert main(["ps"]) == 0
    out = capsys.readouterr().out
    assert "orphan   lost   2      96 MiB  its keeper died; `vmlaunch down orphan`" in out
    assert "None" not in out


def test_vm_that_runs_says_since_when(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    lock = os.open(vm(root, "busy", "running"), os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert main(["ps"]) == 0
    assert "busy  running  2      96 MiB  2026-01-0" in capsys.readouterr().out
    os.close(lock)


def test_names_are_those_of_the_list(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vm(root, "orphan", "running")
    vm(root, "done", "ended", report={})
    (root / "Other").mkdir()
    (root / "no-vm").mkdir()
    (root / "no-vm" / "file").write_text("x")
    for words in ([], ["-a"]):
        assert main(["ps", "--json", *words]) == 0
        listed = [one["name"] for one in json.loads(capsys.readouterr().out)]
        assert listed == (["done"] if words else []) + ["orphan"]
        assert main(["ps", "--names", *words]) == 0
        assert capsys.readouterr().out.split() == listed


WORDS = [
    *("-a", "--all", "--names", "--json", "bash", "zsh", "-h", "vm.yaml", "", "-", "--", "-d", "--hello", "--al"),
    *("-v", "--strict", "--no-reboot", "--kill", "-i", "-di"),
]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if hasattr(_module_of(verb), "at_a_glance")])
@given(data=st.data())
def test_what_is_meant_at_a_glance_is_what_argparse_says(verb: str, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(WORDS)))
    module = _module_of(verb)
    meant = module.at_a_glance(words)
    if meant is not None:
        assert meant == vars(_parser_of(verb, module).parse_intermixed_args(words))


def test_what_people_type_is_understood_at_a_glance() -> None:
    usual = {"ps": [[], ["-a"], ["-a", "--names"]], "completion": [["bash"]]}
    usual |= {verb: [["vm.yaml"]] for verb in ("up", "plan", "validate", "down")}
    usual["up"] += [["-d", "vm.yaml"], ["vm.yaml", "--detach"], ["--hello"]]
    usual["down"] += [["one", "two"], ["--kill", "one"], ["-a"]]
    for verb, words in ((verb, words) for verb, several in usual.items() for words in several):
        assert _module_of(verb).at_a_glance(words) is not None


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9998, 1, 1)))
def test_times_are_those_of_datetime(moment: datetime) -> None:
    text = moment.replace(tzinfo=UTC).isoformat(timespec="seconds")
    assert _seconds(text) == datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-02T03:04:05.5+01:00", "2026-01-02 02:04:05"),
        ("2026-02-30T00:00:00+00:00", "-"),
        ("now", "-"),
        ("", "-"),
    ],
)
def test_times_of_others_are_told_if_they_are_some(text: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert _local(text) == shown
