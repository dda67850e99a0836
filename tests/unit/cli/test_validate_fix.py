"""`validate --fix` and `--diff`: what a program could mend, mended in the file, and nothing else of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from launcher.api.mending import mended_file, write_over
from launcher.cli import main
from launcher.errors import Diagnostic, Refused
from launcher.spec.load import load_spec
from launcher.spec.mending import mended
from tests.budget import LONG
from tests.unit.spec.test_fixes import corpus, faults

WRONG = """\
# the trainer, as Ada left it
boot:   {kernel: ./bzImage}   # signed
vcpus: 8      # all of them
memory: 64G    # half\tof the host

devices:
  GPU_0: {host: 0000:c1:00.0, companions: all}  # with its sound
"""
RIGHT = """\
# the trainer, as Ada left it
boot:   {kernel: ./bzImage}   # signed
cpus: 8      # all of them
memory: 64GiB    # half\tof the host

devices:
  gpu-0: {pci: 0000:c1:00.0, companions: attach}  # with its sound
"""
REST = "boot: {kernel: ./k}\ncpus: 1"
IN_JSON = '"boot": {"kernel": "k"}, "name": "b"}'


@pytest.fixture
def vm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vm.yaml").write_text(WRONG)
    return tmp_path / "vm.yaml"


def test_a_file_is_mended_where_it_is_wrong_and_nowhere_else(vm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vm.chmod(0o640)
    assert main(["validate", "--fix", "vm.yaml"]) == 0
    out, err = capsys.readouterr()
    assert vm.read_text() == RIGHT
    assert vm.stat().st_mode & 0o777 == 0o640
    assert out == "vm.yaml: valid: vm, 8 vCPUs, 64 GiB, 1 device\n"
    assert "vm.yaml:3:1: `vcpus` is now `cpus` (E101)\n" in err
    assert err.endswith("vm.yaml: 5 problems mended\n")
    assert os.listdir() == ["vm.yaml"]


def test_a_difference_is_shown_and_nothing_written_and_patch_takes_it(
    vm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--diff", "vm.yaml"]) == 1
    out, err = capsys.readouterr()
    assert vm.read_text() == WRONG
    assert "vm.yaml: 5 problems can be mended\n" in err
    subprocess.run(["patch", "-p0", "--quiet"], input=out, text=True, check=True)
    assert vm.read_text() == RIGHT


def test_what_no_program_can_mend_is_left_and_told(vm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vm.write_text("boot: {kernel: ./k}\r\nvcpus: 5 # all\r\nmemory: 512\r\n")
    assert main(["validate", "--fix", "vm.yaml"]) == 1
    assert vm.read_bytes() == b"boot: {kernel: ./k}\r\ncpus: 5 # all\r\nmemory: 512\r\n"
    assert "error[E107]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"\ufeffmemory: 1G\n{REST}", f"\ufeffname: b-ro\nmemory: 1GiB\n{REST}"),
        (f"---\nmemory: 1GiB\n{REST}", f"---\nname: b-ro\nmemory: 1GiB\n{REST}"),
        (f'{{"memory": "1G", "vcpus": 1, {IN_JSON}', f'{{"memory": "1GiB", "cpus": 1, {IN_JSON}'),
    ],
    ids=["a byte order mark", "a document's mark", "JSON"],
)
def test_a_file_stays_what_it_is(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "B RO.yaml"
    path.write_text(before)
    write_over(mended_file(str(path)))
    assert path.read_text() == after
    load_spec(path.read_bytes(), "b.yaml", name="b")


def test_a_link_stays_one_and_who_came_between_keeps_his_change(vm: Path) -> None:
    link = vm.parent / "link.yaml"
    link.symlink_to("vm.yaml")
    one = mended_file("link.yaml")
    vm.write_text(f"{WRONG}# mine\n")
    with pytest.raises(Refused, match="somebody else has changed it"):
        write_over(one)
    assert vm.read_text().endswith("# mine\n")
    write_over(mended_file("link.yaml"))
    assert link.is_symlink()
    assert vm.read_text() == f"{RIGHT}# mine\n"
    assert sorted(os.listdir()) == ["link.yaml", "vm.yaml"]


def test_nobody_else_reads_what_is_written_and_what_is_not_ours_stays(
    vm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a umask that hides nothing, and where somebody has made a file, or a link, of the draft's name."""
    vm.chmod(0o600)
    modes, write = list[int](), os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (modes.append(os.fstat(fd).st_mode & 0o777), write(fd)))
    monkeypatch.setattr(os, "fchmod", lambda fd, mode: modes.append(os.fstat(fd).st_mode & 0o777))
    before = os.umask(0)
    try:
        write_over(mended_file("vm.yaml"))
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]
    vm.write_text(WRONG)
    theirs = Path(f"{vm}.{os.getpid()}.tmp")
    theirs.write_text("theirs")
    with pytest.raises(Refused, match="file exists"):
        write_over(mended_file("vm.yaml"))
    assert (vm.read_text(), theirs.read_text()) == (WRONG, "theirs")


@pytest.mark.parametrize(
    "words", [["--fix", "-"], ["--fix", "vm.yaml", "--set", "cpus=2"], ["--diff", "--json", "vm.yaml"]]
)
def test_what_cannot_be_mended_is_wrong_usage(vm: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", *words]) == 2
    assert "E029" in "".join(capsys.readouterr())
    assert vm.read_text() == WRONG


def test_json_says_what_is_left(vm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--fix", "--json", "vm.yaml"]) == 0
    assert json.loads(capsys.readouterr().out)["valid"]


@pytest.mark.parametrize("text", corpus()[:: 1 if LONG else 12])
def test_all_that_is_offered_is_taken_and_nothing_is_made_worse(text: str) -> None:
    whole, fixed = mended(text, faults)
    assert len(faults(whole)) <= len(faults(text)) - bool(fixed)
    assert mended(whole, faults) == (whole, ())


def test_fixes_that_go_together_are_judged_together() -> None:
    """To judge a text takes the longer the more is wrong with it."""
    lines = [f"  d{number}: {{pathh: /a{number}, redonly: true}}\n" for number in range(8)]
    text, judged = "boot: {kernel: ./k}\ndisks:\n" + "".join(lines), list[str]()

    def judge(candidate: str) -> Sequence[Diagnostic]:
        judged.append(candidate)
        return faults(candidate)

    whole, fixed = mended(text, judge)
    assert whole == text.replace("pathh", "path").replace("redonly", "readonly")
    assert [one.after for one in fixed] == ["path", "readonly"] * 8
    assert len(judged) < 4
