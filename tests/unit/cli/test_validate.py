"""`vmlaunch validate`: files and folders in, a verdict on each out."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from launcher.api import folders
from launcher.cli import main
from tests.conftest import ROOT

GOOD = "boot: {kernel: ./bzImage}\ncpus: 4\nmemory: 8GiB\ndevices: {disk: 0000:02:00.0}\n"
BAD = GOOD.replace("8GiB", "8G")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))


def test_good_file_is_summed_up_in_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, vm=GOOD)
    assert main(["validate", "vm.yaml"]) == 0
    assert capsys.readouterr() == ("vm.yaml: valid: vm, 4 vCPUs, 8 GiB, 1 device\n", "")


def test_all_that_a_whole_machine_has_is_counted(capsys):
    example = Path(__file__).parents[3] / "examples" / "whole-machine.yaml"
    assert main(["validate", str(example)]) == 0
    told = "whole-machine, 4 vCPUs, 4 GiB, 1 device, 3 disks, 2 NICs, 1 share, vsock"
    assert capsys.readouterr().out == f"{example}: valid: {told}\n"


def test_bad_file_is_refused_with_its_frame(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, vm=BAD)
    assert main(["validate", "vm.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error[E107]: memory: `G` is not a unit here: 8G\n --> vm.yaml:3:9\n")
    assert "3 | memory: 8G\n  |         ^^\n  = help: write `8GiB`\n" in err
    assert err.endswith("\nvm.yaml: 1 error\n")


def test_problems_of_all_files_are_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, a=BAD, b=GOOD, c=BAD)
    assert main(["validate", "a.yaml", "b.yaml", "c.yaml"]) == 1
    err = capsys.readouterr().err
    assert "--> a.yaml:3:9" in err
    assert "--> c.yaml:3:9" in err
    assert err.splitlines()[-1] == "2 of 3 specs are not valid: 2 errors"


def test_folder_means_its_yaml_files_without_hidden_ones(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "deep" / "deeper").mkdir(parents=True)
    (here / ".git").mkdir()
    write(here / "deep" / "deeper", a=GOOD)
    write(here / ".git", b=BAD)
    (here / "deep" / "c.yml").write_text(GOOD)
    (here / "deep" / "notes.txt").write_text("no spec")
    assert main(["validate", "--json", "."]) == 0
    files = [one["file"] for one in json.loads(capsys.readouterr().out)["specs"]]
    assert files == ["deep/c.yml", "deep/deeper/a.yaml"]


def test_what_is_not_read_of_a_folder_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, a=GOOD)
    (here / "b.YML").write_text(GOOD)
    (here / "made.json").write_text(json.dumps({"boot": {"kernel": "./k"}, "cpus": 1, "memory": "1GiB"}))
    (here / "host.json").write_text('{"format_version": "1.0", "boot": 1}')
    (here / "vm.yaml.tmpl").write_text("{{ . }}")
    (here / "README.md").write_text("boot:")
    for name in ("pipe.json", "pipe.yaml"):
        os.mkfifo(here / name)  # who opens one waits for its writer, and there is none
    assert main(["validate", "."]) == 0
    out, err = capsys.readouterr()
    assert out == "3 specs are valid\n"
    not_read = ["host.json", "pipe.json", "pipe.yaml", "vm.yaml.tmpl"]
    assert err == f"{', '.join(not_read)} were not read: no spec by its name or its first words\n"
    assert main(["validate", "--json", "."]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in answer["specs"]] == ["a.yaml", "b.YML", "made.json"]
    assert answer["not_read"] == not_read


def test_folder_without_a_spec_is_not_valid(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "notes.json").write_text("[]")
    assert main(["validate", str(here)]) == 1
    assert "error[E015]: there is no spec in this folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("specs", "one spec is meant here: `vmlaunch plan specs/trainer.yaml`"),
        ("empty", "there is no spec in this folder: name a file"),
        ("specs/trainer", "did you mean `specs/trainer.yaml`?"),
        ("specs/trianer.yml", "did you mean `specs/trainer.yaml`?"),
        ("web", "web is a VM, and its spec is meant here: `vmlaunch plan {here}/specs/trainer.yaml`"),
        ("gone", "gone is a VM, and its spec, /home/me/gone.yaml, is not there any more"),
        ("kept", "did you mean `examples/kept.yaml`?"),
    ],
)
def test_one_spec_that_is_not_named_is_named(
    here: Path, word: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "specs").mkdir()
    (here / "empty").mkdir()
    (here / "examples").mkdir()
    write(here / "specs", trainer=GOOD)
    write(here / "examples", kept=GOOD)
    for name, path in (("web", here / "specs" / "trainer.yaml"), ("gone", "/home/me/gone.yaml")):
        (here / "state" / name).mkdir(0o700, parents=True)
        (here / "state" / name / "plan.json").write_text(json.dumps({"spec": {"path": str(path)}}))
    monkeypatch.setattr(folders, "state_root", lambda: here / "state")
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["plan", word]) == 1
    assert f"help: {said.format(here=here)}\n" in capsys.readouterr().err
    assert main(["plan", "nothing-like-it"]) == 1
    (only,) = re.findall("help: (.*)", capsys.readouterr().err)
    assert only.startswith("`plan` takes the path of a spec or of a saved plan, and no VM called nothing-like-it is up")
    assert main(["plan", "nothing/like-it"]) == 1
    assert "name a file that is there" in capsys.readouterr().err


def test_set_is_checked_and_shown_where_it_is_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, vm=BAD)
    assert main(["validate", "vm.yaml", "--set", "memory=16GiB"]) == 0
    assert "16 GiB" in capsys.readouterr().out
    assert main(["validate", "vm.yaml", "--set", "memory=16GiB", "--set", "devices.disk=60"]) == 1
    err = capsys.readouterr().err
    assert " --> --set #2, column 14\n  |\n1 | devices.disk=60\n  |              ^^\n" in err


def test_spec_from_stdin_needs_a_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stdin(monkeypatch, GOOD)
    assert main(["validate", "-"]) == 1
    assert "E129" in capsys.readouterr().err
    stdin(monkeypatch, GOOD + "name: piped\n")
    assert main(["validate", "-"]) == 0
    assert "piped" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing.yaml", "nul\0byte.yaml", "file.yaml/below.yaml"])
def test_file_that_cannot_be_read_is_a_diagnostic(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, file=GOOD)
    assert main(["validate", name]) == 1
    assert "error[E015]: failed to read the file:" in capsys.readouterr().err


def test_file_that_may_not_be_read_is_not_permitted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = Path("/proc/1/mem") if os.geteuid() == 0 else here / "vm.yaml"
    if secret.parent == here:
        secret.touch(0o000)
    code = main(["validate", str(secret)])
    assert (code, "E017" in capsys.readouterr().err) in ((4, True), (1, False))


AS_NOBODY = """
import os, sys
from launcher.cli import main
main(["validate", sys.argv[1] + ".not-there"])  # all that it takes is imported: nobody may not read a checkout in /root
if os.geteuid() == 0:
    os.seteuid(65534)
sys.exit(main(["validate", sys.argv[1]]))
"""


def test_file_in_a_folder_that_may_not_be_searched_is_not_permitted(here: Path) -> None:
    (here / "closed").mkdir()
    write(here / "closed", vm=GOOD)
    (here / "closed").chmod(0)
    command = [sys.executable, "-c", AS_NOBODY, here / "closed" / "vm.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    (here / "closed").chmod(0o700)
    assert done.returncode == 4, done.stderr
    assert "error[E017]" in done.stderr


def test_name_of_a_refused_file_cannot_steer_the_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "no\x1b[31m.yaml"]) == 1
    assert "\x1b" not in capsys.readouterr().err


def test_malformed_set_is_wrong_usage(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, vm=GOOD)
    assert main(["validate", "vm.yaml", "--set", "foo"]) == 2
    assert "error[E019]" in capsys.readouterr().err


def test_file_that_does_not_end_is_too_large(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "/dev/zero"]) == 1
    assert "E014" in capsys.readouterr().err


def test_json_has_every_file_and_every_diagnostic(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, good=GOOD, bad=BAD)
    assert main(["validate", "--json", "good.yaml", "bad.yaml"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"] is False
    assert [(one["file"], one["valid"], one["name"]) for one in answer["specs"]] == [
        ("good.yaml", True, "good"),
        ("bad.yaml", False, None),
    ]
    (one,) = answer["diagnostics"]
    assert (one["code"], one["file"], one["line"], one["column"], one["end_column"], one["path"], one["fix"]) == (
        ("E107", "bad.yaml", 3, 9, 11, "memory.0.size", "8GiB")
    )


def test_a_job_of_github_has_annotations_beside_the_text(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, bad=BAD)
    for environment, commands in (("false", 0), ("true", 1)):
        monkeypatch.setenv("GITHUB_ACTIONS", environment)
        for words in (["validate", "bad.yaml"], ["plan", "bad.yaml"]):
            assert main(words) == 1
            out, err = capsys.readouterr()
            assert (out, "error[E107]" in err) == ("", True)
            assert err.count("::error file=bad.yaml,line=3,col=9,endColumn=10,title=E107::") == commands
        assert main(["validate", "bad.yaml", "--json"]) == 1
        assert capsys.readouterr().err == ""


def test_junit_has_a_test_for_each_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, good=GOOD, bad=BAD)
    (here / "odd<&>.yaml").write_text(GOOD + 'name: "\\x1b]]>"\nnics: 1\n')
    assert main(["validate", "--format", "junit", "good.yaml", "bad.yaml", "odd<&>.yaml"]) == 1
    out, err = capsys.readouterr()
    suites = ElementTree.fromstring(out)
    assert (err, suites.attrib["tests"], suites.attrib["failures"]) == ("", "3", "2")
    cases = suites.findall("testsuite/testcase")
    assert [one.attrib["name"] for one in cases] == ["good.yaml", "bad.yaml", "odd<&>.yaml"]
    assert [len(one) for one in cases] == [0, 1, 1]
    failure = cases[1][0]
    assert (failure.attrib["type"], failure.attrib["message"]) == ("E107", "E107: memory: `G` is not a unit here: 8G")
    assert "3 | memory: 8G\n  |         ^^\n" in (failure.text or "")
    assert cases[2][0].attrib["message"] == "2 errors"


def test_github_and_sarif_go_to_stdout(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, bad=BAD)
    assert main(["validate", "--format", "github", "bad.yaml"]) == 1
    assert capsys.readouterr().out.startswith("::error file=bad.yaml,line=3,col=9,endColumn=10,title=E107::memory:")
    assert main(["validate", "--format", "sarif", "bad.yaml"]) == 1
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"][0]["ruleId"] == "E107"
