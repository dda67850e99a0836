"""`vmlaunch devices`: the host for people, and the facts file for `plan --host`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.cli import main
from launcher.codec import decode
from launcher.host.facts import HostFacts
from tests.planning import HOSTS, host


def on(name: str) -> str:
    return str(HOSTS / f"{name}.json")


def test_what_json_writes_is_what_host_reads(capsys: pytest.CaptureFixture[str]):
    assert main(["devices", "--json", "--redact"]) == 0
    facts = decode(HostFacts, json.loads(capsys.readouterr().out))
    assert facts.name == "redacted"
    assert facts.cpus


def test_this_host_can_be_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["devices"]) == 0
    out = capsys.readouterr().out
    assert "verdict" in out or "No PCI device on this host." in out


def test_a_recorded_host_is_shown_and_written_again(capsys: pytest.CaptureFixture[str]):
    assert main(["devices", "--host", on("gpu07")]) == 0
    assert capsys.readouterr().out.startswith("gpu07 · Linux 6.12.9 · AMD-Vi\n")
    assert main(["devices", "--host", on("gpu07"), "--json"]) == 0
    assert decode(HostFacts, json.loads(capsys.readouterr().out)) == host("gpu07")


def test_a_recorded_host_can_be_redacted_later(capsys: pytest.CaptureFixture[str]):
    assert main(["devices", "--host", on("gpu07"), "--json", "--redact"]) == 0
    out = capsys.readouterr().out
    assert "gpu07" not in json.loads(out)["name"]
    assert {one["serial"] for one in json.loads(out)["pci"]} == {None, "redacted"}


def test_what_goes_into_a_pipe_has_a_line_for_each_function_and_nothing_is_cut(capsys: pytest.CaptureFixture[str]):
    main(["devices", "--host", on("gpu07")])
    out = capsys.readouterr().out
    table = out.splitlines()[3:-2]
    assert [line[7:19] for line in table] == [
        str(one.address) for one in sorted(host("gpu07").pci, key=lambda one: (one.group or 0, one.address))
    ]
    assert "…" not in out
    assert "NVIDIA AD102 High Definition Audio Controller " in out


@pytest.mark.parametrize(("kind", "count"), [("gpu", 2), ("nvme", 2), ("0300", 2), ("02", 5), ("usb", 0)])
def test_a_class_lists_only_its_devices(kind: str, count: int, capsys: pytest.CaptureFixture[str]):
    assert main(["devices", "--host", on("gpu07"), "--class", kind]) == 0
    out = capsys.readouterr().out
    assert sum("0000:" in line for line in out.splitlines()) == count
    assert out.splitlines()[-1].startswith(f"{count} function" if count else "No PCI device")


@pytest.mark.parametrize(
    "words",
    [
        ["--class", "printers"],
        ["--class", "gpu", "--json"],
        ["--raw"],
        ["--host", on("gpu07"), "--deep"],
        ["--host", on("gpu07"), "--as", "root"],
        ["--as", "somebody"],
        ["--host", str(HOSTS)],
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["devices", *words]) == 2
    said = capsys.readouterr()
    assert "E297" in said.err + said.out


def test_facts_can_be_recorded_for_another_user(capsys: pytest.CaptureFixture[str]):
    assert main(["devices", "--json", "--as", "12345"]) == 0
    assert json.loads(capsys.readouterr().out)["process"]["uid"] == 12345


def test_a_facts_file_that_is_not_there_is_a_diagnostic(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["devices", "--host", str(tmp_path / "none.json")]) == 1
    assert "E293" in capsys.readouterr().err
