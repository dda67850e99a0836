"""docs/first-vm.md: what it writes down is valid; tests/lab/inside/test_first_vm.py sees that it works."""

from __future__ import annotations

from pathlib import Path

import pytest

import launcher
from launcher.cli import VERBS
from tests.lab.inside.first_vm import GUEST, HOST, ways

SPECS = [(name, content) for way in ways() for name, content in way.files.items() if name.endswith(".yaml")]


@pytest.mark.parametrize(("name", "content"), SPECS)
def test_its_specs_are_valid(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert launcher.read_spec(str(tmp_path / name)).spec.devices


def test_its_commands_are_read_with_the_files_that_they_name() -> None:
    commands = [command for way in ways() for command in way.commands]
    assert {command.where for command in commands} == {HOST, GUEST}
    files = {name for way in ways() for name in way.files}
    words = [command.words.split() for command in commands if command.words.startswith("vmlaunch ")]
    assert {word[1] for word in words} <= set(VERBS)
    assert {last for *_, last in words if last.endswith(".yaml")} == files - {"user-data"}
