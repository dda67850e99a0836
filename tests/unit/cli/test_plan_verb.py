"""`vmlaunch plan`: what it prints, saves and answers. It changes nothing but the file of -o."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from launcher.cli import main
from launcher.cli.preparing import tell_other_host
from launcher.plan.codec import plan_from_json
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import PLAN
from tests.elves import pvh
from tests.planning import HOSTS, SMALL, host, plan

SPEC = "boot: {kernel: ./kernel.elf}\ncpus: 2\nmemory: 64MiB\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "vm.yaml").write_text(SPEC)
    (tmp_path / "kernel.elf").write_bytes(pvh())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def on(name: str) -> str:
    return str(HOSTS / f"{name}.json")


def test_a_plan_of_another_host_that_runs_here_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    made = plan(SMALL, host("cloud-vm"))
    tell_other_host(made, made.host.name)
    assert capsys.readouterr().err == ""
    tell_other_host(made, "here")
    assert capsys.readouterr().err.startswith(f"the plan was made for {made.host.name}; all that it rests on is so on")


def test_a_spec_is_planned_for_a_recorded_host(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes")]) == 0
    assert "twin · Linux 6.1.0-56-amd64" in capsys.readouterr().out


def test_files_are_named_by_their_whole_path_so_that_the_plan_runs_from_anywhere(folder: Path, capsys):
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "--json"])
    steps = {step["op"]: step["args"] for step in json.loads(capsys.readouterr().out)["steps"]}
    assert steps["load-kernel"]["path"] == str(folder / "kernel.elf")


def test_set_changes_the_plan_and_is_where_its_errors_are(folder: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--set", "memory=2TiB"]) == 1
    assert "--set #1, column " in capsys.readouterr().out


def test_a_saved_plan_is_whole_and_nothing_else_is_left(folder: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.plan"]) == 0
    assert plan_from_json(json.loads((folder / "vm.plan").read_text())).name == "vm"
    assert sorted(path.name for path in folder.iterdir()) == ["kernel.elf", "vm.plan", "vm.yaml"]


def test_the_saved_plan_and_the_printed_json_are_the_same_bytes(folder: Path, capsys):
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.plan", "--json"])
    assert capsys.readouterr().out == (folder / "vm.plan").read_text()


@pytest.mark.parametrize(("output", "exit_code", "code"), [("-", 2, "E294"), ("no/such/folder/vm.plan", 1, "E295")])
def test_a_plan_is_not_saved_to_stdout_or_to_nowhere(folder: Path, capsys, output: str, exit_code: int, code: str):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", output]) == exit_code
    assert f"error[{code}]" in capsys.readouterr().err


def test_who_saves_a_plan_is_told_what_it_is_good_for(folder: Path, capsys):
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.plan"])
    assert capsys.readouterr().err == "saved vm.plan; run it with `vmlaunch up vm.plan` on twin\n"
    main(["plan", "vm.yaml", "--host", on("no-kvm"), "-o", "vm.plan"])
    assert capsys.readouterr().err == "saved vm.plan; it cannot run on ci\n"


def test_a_plan_for_this_host_is_run_without_naming_it(folder: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("launcher.api.hosts.this_host", lambda **_: host("two-nodes"))
    main(["plan", "vm.yaml", "-o", "vm.plan"])
    assert capsys.readouterr().err == "saved vm.plan; run it with `vmlaunch up vm.plan`\n"


@pytest.mark.parametrize("option", ["-o", "--svg"])
@pytest.mark.parametrize("target", ["vm.yaml", "kernel.elf", "facts.json", "report.json", "/dev/null"])
def test_a_file_that_holds_something_else_is_not_replaced(folder: Path, capsys, option: str, target: str):
    (folder / "facts.json").write_bytes(Path(on("two-nodes")).read_bytes())
    (folder / "report.json").write_text('{"format_version": "1.0", "steps": []}')
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["plan", "vm.yaml", "--host", "facts.json", option, target]) == 1
    assert f"error[E298]: {target} is there already and is not a" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert Path("/dev/null").is_char_device()


def test_a_link_to_a_spec_is_not_replaced_either(folder: Path, capsys):
    (folder / "link").symlink_to("vm.yaml")
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "link"]) == 1
    assert (folder / "link").is_symlink()


def test_a_plan_a_picture_and_an_empty_file_are_replaced(folder: Path, capsys):
    (folder / "vm.plan").touch()
    for size in ("64MiB", "128MiB"):
        words = ["--host", on("two-nodes"), "--set", f"memory={size}", "-o", "vm.plan", "--svg", "vm.svg"]
        assert main(["plan", "vm.yaml", *words]) == 0
    assert plan_from_json(json.loads((folder / "vm.plan").read_text())).memory[0].size == 128 << 20
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.svg"]) == 1
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--svg", "vm.plan"]) == 1


def test_a_plan_and_its_picture_are_two_files(folder: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "one", "--svg", "./one"]) == 1
    assert "error[E298]: -o and --svg both name one" in capsys.readouterr().err
    assert not (folder / "one").exists()


def test_a_saved_plan_is_shown_as_it_was_planned(folder: Path, capsys):
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.plan"])
    planned = capsys.readouterr().out
    (folder / "vm.yaml").unlink()
    assert main(["plan", "vm.plan"]) == 0
    assert capsys.readouterr().out == planned
    assert main(["plan", "vm.plan", "--json"]) == 0
    assert capsys.readouterr().out == (folder / "vm.plan").read_text()
    assert main(["plan", "vm.plan", "--host", on("cloud-vm")]) == 2
    assert "error[E514]" in capsys.readouterr().err


def test_a_saved_plan_does_not_point_into_a_set_that_is_gone(folder: Path, capsys):
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "--set", "memory=2TiB", "-o", "vm.plan"])
    assert "--set #1" in capsys.readouterr().out
    assert main(["up", "vm.plan"]) in (1, 4)
    err = capsys.readouterr().err
    assert "--set" not in err


def test_a_saved_plan_is_no_spec(folder: Path, capsys):
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.plan"])
    capsys.readouterr()
    assert main(["validate", "vm.plan"]) == 1
    err = capsys.readouterr().err
    assert (err.count("error["), "E021" in err) == (1, True)


def test_down_takes_the_name_from_a_saved_plan(folder: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "--set", "name=test-nobody", "-o", "vm.plan"])
    capsys.readouterr()
    assert main(["down", "vm.plan"]) == 0
    assert capsys.readouterr().out == "test-nobody is not up\n"


def test_a_denied_kvm_is_4_also_without_a_place_for_state(folder: Path, capsys):
    facts = json.loads(Path(on("kvm-denied")).read_text())
    facts["process"]["state_folder"] = None
    (folder / "facts.json").write_text(json.dumps(facts))
    assert main(["plan", "vm.yaml", "--host", "facts.json"]) == 4
    assert "E402, E424" in capsys.readouterr().out


def test_a_plan_of_another_host_is_stale_and_says_whose_it_is(folder: Path, capfd, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("launcher.api.hosts.this_host", lambda **_: host("cloud-vm"))
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "--set", "cpus.pin=6-7", "-o", "vm.plan"])
    assert main(["up", "vm.plan"]) == 10
    assert "= planned for twin; this is " in capfd.readouterr().err


def test_of_a_plan_of_another_host_the_devices_come_first_and_not_all_is_told(
    folder: Path, capfd, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("launcher.api.hosts.this_host", lambda **_: host("cloud-vm"))
    words = ["--set", "devices.disk=0000:02:00.0", "--set", "cpus.count=8", "--set", "cpus.pin=8-15"]
    assert main(["plan", "vm.yaml", "--host", on("gpu07"), *words, "-o", "vm.plan"]) == 0
    capfd.readouterr()
    assert main(["up", "vm.plan"]) == 10
    evidence = [line.strip() for line in capfd.readouterr().err.splitlines() if line.startswith("  = ")]
    assert evidence[:2] == ["= planned for gpu07; this is vm", "= pci[0000:02:00.0]: 144d:a809 -> not there"]
    assert len(evidence) == 1 + 12 + 1 + 1
    assert evidence[-2].endswith(" more")


def test_kvm_that_is_denied_here_comes_before_what_has_changed(folder: Path, capfd, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("launcher.api.hosts.this_host", lambda **_: host("kvm-denied"))
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.plan"])
    capfd.readouterr()
    assert main(["up", "vm.plan"]) == 4
    err = capfd.readouterr().err
    assert (err.startswith("error[E402]"), err.count("error[")) == (True, 1)


def test_strict_says_that_it_is_the_warnings_that_block(folder: Path, capfd, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("launcher.api.hosts.this_host", lambda **_: host("cloud-vm"))
    assert main(["up", "vm.yaml", "--set", "cpus=3", "--strict"]) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == "vm.yaml: 1 warning, and --strict makes them block; nothing was changed"


def test_a_blocker_is_1_and_a_denial_is_4(folder: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", on("no-kvm")]) == 1
    assert main(["plan", "vm.yaml", "--host", on("kvm-denied")]) == 4
    assert "Cannot run: 1 blocker" in capsys.readouterr().out


def test_strict_makes_warnings_block(folder: Path, capsys):
    command = ["plan", "vm.yaml", "--host", on("cloud-vm"), "--set", "cpus=3"]
    assert main(command) == 0
    assert main([*command, "--strict"]) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("not json", "E290"),
        ("[]", "E291"),
        ('{"format_version": "9.0"}', "E291"),
        ('{"format_version": "1.0", "name": 3}', "E292"),
        ('{"format_version": "1.0", "colour": "red"}', "E292"),
    ],
)
def test_a_facts_file_that_is_none_is_one_diagnostic(folder: Path, capsys, content: str, code: str):
    (folder / "facts.json").write_text(content)
    assert main(["plan", "vm.yaml", "--host", "facts.json"]) == 1
    said = capsys.readouterr().err
    assert f"error[{code}]" in said
    assert said.count("error[") == 1


def test_a_facts_file_that_is_not_there(folder: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", "nowhere.json"]) == 1
    assert "error[E293]" in capsys.readouterr().err


def test_github_and_sarif_carry_the_diagnostics(folder: Path, capsys):
    command = ["plan", "vm.yaml", "--host", on("two-nodes"), "--set", "memory=2TiB", "--format"]
    assert main([*command, "github"]) == 1
    assert capsys.readouterr().out.startswith("::error ")
    assert main([*command, "sarif"]) == 1
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"][0]["ruleId"] == "E304"


def test_this_machine_can_be_planned_for(folder: Path, capsys):
    assert main(["plan", "vm.yaml", "--json"]) in (0, 1, 4)
    assert json.loads(capsys.readouterr().out)["format_version"] == "1.0"


# ---- the picture ----


def test_the_picture_is_whole_and_the_plan_is_shown_all_the_same(folder: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--svg", "vm.svg"]) == 0
    said = capsys.readouterr()
    assert ("twin · Linux 6.1.0-56-amd64" in said.out, said.err) == (True, "drew vm.svg\n")
    assert ElementTree.parse(folder / "vm.svg").getroot().tag.endswith("svg")
    assert sorted(path.name for path in folder.iterdir()) == ["kernel.elf", "vm.svg", "vm.yaml"]


def test_a_saved_plan_can_be_drawn(folder: Path, capsys):
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.plan", "--svg", "one.svg"])
    assert main(["plan", "vm.plan", "--svg", "two.svg"]) == 0
    assert (folder / "one.svg").read_text() == (folder / "two.svg").read_text()


@pytest.mark.parametrize(("output", "exit_code", "code"), [("-", 2, "E294"), ("no/such/folder/vm.svg", 1, "E295")])
def test_a_picture_is_not_drawn_to_stdout_or_to_nowhere(folder: Path, capsys, output: str, exit_code: int, code: str):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--svg", output]) == exit_code
    assert f"error[{code}]" in capsys.readouterr().err


# ---- the difference ----


@pytest.fixture
def running(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Iterator[Path]:
    """A VM of the name vm that is up: its folder is locked, as by a keeper, and has its plan."""
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "plan.json"])
    capsys.readouterr()
    monkeypatch.setattr("launcher.api.folders.state_root", lambda: folder)
    held = StateFolder.claim(folder / "vm")
    (folder / "plan.json").rename(folder / "vm" / PLAN)
    yield folder
    held.close()


def test_an_unchanged_spec_has_no_difference(running: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--diff"]) == 0
    assert capsys.readouterr().out == "vm is up with this plan: no difference\n"


def test_a_changed_spec_shows_only_what_differs(running: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--diff", "--set", "memory=128MiB"]) == 0
    out = capsys.readouterr().out
    assert "  ~ memory.0: size  64MiB -> 128MiB" in out
    assert "create the VM" not in out


def test_a_difference_is_json_on_request(running: Path, capsys):
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--diff", "--set", "cpus=1", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["name"] == "vm"
    assert {"part": "spec", "what": "cpus.count", "old": "2", "new": "1"} in answer["differences"]


def test_a_saved_plan_is_compared_as_it_was_saved(running: Path, capsys):
    main(["plan", "vm.yaml", "--host", on("two-nodes"), "-o", "vm.plan"])
    capsys.readouterr()
    assert main(["plan", "vm.plan", "--diff"]) == 0
    assert "no difference" in capsys.readouterr().out


def test_a_vm_that_is_not_up_has_nothing_to_compare_with(folder: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("launcher.api.folders.state_root", lambda: folder)
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--diff"]) == 7
    assert "error[E520]: no VM of the name vm is up" in capsys.readouterr().err


def test_a_plan_of_another_version_is_refused(running: Path, capsys):
    (running / "vm" / PLAN).write_text('{"format_version": "9.0"}')
    assert main(["plan", "vm.yaml", "--host", on("two-nodes"), "--diff"]) == 1
    assert "error[E515]: failed to read the plan of vm, which is up" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-o", "x"], ["--svg", "x"], ["--format", "sarif"]])
def test_a_difference_is_nothing_to_save_or_draw(folder: Path, capsys, words: list[str]):
    assert main(["plan", "vm.yaml", "--diff", *words]) == 2
    said = capsys.readouterr()
    assert "E296" in said.err + said.out


def test_a_plan_without_pci_ids_has_names_of_classes_and_says_where_others_are(folder: Path, capsys):
    recorded = json.loads(Path(on("gpu07")).read_text())
    for one in recorded["pci"]:
        one["name"] = None
    (folder / "nameless.json").write_text(json.dumps(recorded))
    text = "boot: {kernel: ./bzImage}\ncpus: 1\nmemory: 1GiB\ndevices: {gpu: 0000:c1:00.0}\n"
    (folder / "gpu.yaml").write_text(text)
    main(["plan", "gpu.yaml", "--host", "nameless.json"])
    out = capsys.readouterr().out
    assert "Names of devices come from pci.ids" in out
    assert " VGA controller" in out
    main(["plan", "gpu.yaml", "--host", on("gpu07")])
    assert "pci.ids, which" not in capsys.readouterr().out


def test_only_is_saved_shown_and_not_changed_later(folder: Path, capsys):
    spec = "devices: {gpu: {match: {id: 10de:2330}, pick: free}}\n"
    (folder / "vm.yaml").write_text(SPEC + spec)
    given = ["--only", "0000:a3:00.0"]
    assert main(["plan", "vm.yaml", "--host", on("gpu-server"), *given, "-o", "vm.plan"]) == 0
    assert json.loads((folder / "vm.plan").read_text())["only"] == ["0000:a3:00.0"]
    capsys.readouterr()
    assert main(["plan", "vm.plan"]) == 0
    assert "Nothing is touched but 0000:a3:00.0." in capsys.readouterr().out
    assert main(["plan", "vm.plan", *given]) == 2
    assert "E514" in capsys.readouterr().err
    assert main(["plan", "vm.yaml", "--host", on("gpu-server"), "--only", "31"]) == 2
    assert "E572" in capsys.readouterr().err
