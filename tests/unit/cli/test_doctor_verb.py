"""`vmlaunch doctor`: its exit code and its two forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.cli import main
from launcher.cli.doctor import PURPOSES
from launcher.errors import Diagnostic
from launcher.report.doctor import DISKS, SUBJECTS, examine
from launcher.vms.channel import listen
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import SOCKET, STATE
from tests.planning import HOSTS, host


def on(name: str) -> str:
    return str(HOSTS / f"{name}.json")


def test_no_failure_is_0_and_one_is_1(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "--host", on("gpu07")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("gpu07 · Linux 6.12.9 · ")
    assert "FAIL" not in out
    assert main(["doctor", "--host", on("cloud-vm")]) == 1
    assert "FAIL  IOMMU: " in capsys.readouterr().out


def test_what_only_devices_need_does_not_stop_other_vms(capsys: pytest.CaptureFixture[str]):
    main(["doctor", "--host", on("cloud-vm")])
    assert capsys.readouterr().out.endswith("\nVMs without devices can run.\n")
    for name in ("no-kvm", "gpu07"):
        main(["doctor", "--host", on(name)])
        assert "without devices" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wanted", "code", "there", "left_out"),
    [
        (["vm"], 0, ["KVM", "memory"], ["IOMMU", "disks", "vfio-pci"]),
        (["devices"], 1, ["KVM", "IOMMU"], ["disks", "vsock"]),
        (["vm", "vsock", "devices"], 1, ["KVM", "IOMMU"], ["disks", "shares"]),
    ],
)
def test_a_host_is_asked_for_what_one_needs(
    wanted: list[str], code: int, there: list[str], left_out: list[str], capsys: pytest.CaptureFixture[str]
):
    words = [word for one in wanted for word in ("--for", one)]
    assert main(["doctor", "--host", on("cloud-vm"), *words, "--json"]) == code
    checks = json.loads(capsys.readouterr().out)["checks"]
    levels = {one["subject"]: one["level"] for one in checks}
    assert not [one for one in there if one not in levels]
    assert not [one for one in left_out if one in levels]
    assert set(levels.values()) <= {"PASS", "WARN"} if code == 0 else levels[there[-1]] == "FAIL"


def test_what_is_a_wish_of_most_is_a_need_of_who_asks_for_it():
    missing = Diagnostic("E630", f"{DISKS} is not there")
    for wanted, levels in (((), ["WARN"]), (("disks",), ["FAIL"]), (("vm",), [])):
        checks = examine(host("gpu07"), [missing], wanted)
        assert [one.level for one in checks if one.subject == "disks"] == levels


def test_each_purpose_is_one_that_a_subject_is_for(capsys: pytest.CaptureFixture[str]):
    assert {one.only for one in SUBJECTS} - {""} == {*PURPOSES} - {"vm"}
    assert main(["doctor", "--for", "printers"]) == 2


def test_json_has_the_same_checks(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "--host", on("cloud-vm"), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["host"] == "vm"
    (failed,) = [one for one in answer["checks"] if one["level"] == "FAIL"]
    assert (failed["subject"], failed["code"]) == ("IOMMU", "E209")


def test_vms_that_died_are_named_and_those_that_ended_or_live_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("launcher.api.leftovers.state_root", lambda: tmp_path)
    for name, phase in (("died", "running"), ("retired", "ended"), ("lives", "running")):
        (tmp_path / name).mkdir()
        (tmp_path / name / STATE).write_text(json.dumps({"name": name, "phase": phase}))
    held = StateFolder.claim(tmp_path / "lives")
    keeper = listen(tmp_path / "lives" / SOCKET)
    main(["doctor"])
    keeper.close()
    held.close()
    out = capsys.readouterr().out
    assert "died lost its keeper; nothing is left to undo" in out
    assert "-> `vmlaunch down died`" in out
    assert "retired" not in out
    assert "lives" not in out
