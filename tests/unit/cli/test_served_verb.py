"""`plan` of a VM with disks, networks and shares, as somebody sees it who tries: real files, and codes with places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.cli import main
from tests.elves import pvh
from tests.qcow2_images import qcow2

START = "boot: {kernel: ./bzImage}\ncpus: 1\nmemory: 64MiB\n"


def planned(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Messages by code, of those about what is served."""
    (folder / "bzImage").write_bytes(pvh())
    (folder / "vm.yaml").write_text(START + text)
    main(["plan", str(folder / "vm.yaml"), "--json"])
    found: dict[str, list[str]] = {}
    for one in json.loads(capsys.readouterr().out)["diagnostics"]:
        if one["code"][1] == "6":
            assert (one["line"], one["help"]) != (None, [])
            found.setdefault(one["code"], []).append(one["message"])
    return found


def test_each_disk_is_told_what_is_wrong_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "snapshot.qcow2").write_bytes(qcow2(backing="base.img", backing_format="raw"))
    (tmp_path / "cut.img").write_bytes(bytes(1000))
    (tmp_path / "odd.img").write_bytes(qcow2())
    (tmp_path / "none.qcow2").write_bytes(bytes(1024))
    text = """\
disks:
  a: ./snapshot.qcow2
  b: ./cut.img
  c: ./odd.img
  d: ./none.qcow2
  e: ./absent.img
  f: /dev/zero
  g: .
shares: {cut: ./cut.img}
"""
    found = planned(tmp_path, text.replace("{cut:", "{share:"), capsys)
    assert {code: len(messages) for code, messages in found.items() if code < "E615"} == {
        "E600": 1,
        "E603": 2,
        "E605": 1,
        "E606": 1,
        "E607": 1,
        "E614": 1,
    }
    assert found["E614"] == [f"a: {tmp_path}/snapshot.qcow2 is based on {tmp_path}/base.img, which is not there"]
    assert "E654" in found


def test_networks_that_this_host_has_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "nics: {a: {bridge: vmlnone0}, b: {tap: vmlnone1}, c: {bridge: lo}, d: {tap: lo}}\n"
    found = planned(tmp_path, text, capsys)
    assert {"E635", "E636", "E637", "E638"} <= found.keys()
    assert found["E635"] == ["a: there is no interface vmlnone0"]


def test_a_name_that_would_end_the_line_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a\x1b[31m\nb.img").write_bytes(bytes(100))
    (tmp_path / "bzImage").write_bytes(pvh())
    (tmp_path / "vm.yaml").write_text(START + 'disks: {a: "./a\\e[31m\\nb.img"}\n')
    main(["plan", str(tmp_path / "vm.yaml")])
    out = capsys.readouterr().out
    assert "E605" in out
    assert "\x1b" not in out
