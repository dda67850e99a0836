"""Specs and saved plans for programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import launcher
from tests.planning import HOSTS


@pytest.mark.parametrize(
    ("content", "code"), [(None, "E015"), (b"\x7fELF\0", "E001"), (b'{"format_version": "1.0"}', "E021")]
)
def test_what_is_no_spec_is_an_error_with_diagnostics(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "vm.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(launcher.LauncherError) as error:
        launcher.read_spec(str(path))
    assert [one.code for one in error.value.diagnostics] == [code]


@pytest.mark.parametrize("read", [launcher.read_spec, launcher.read_plan])
def test_a_facts_file_in_the_place_of_a_spec_is_told_what_it_is_for(read: Callable[[str], object]) -> None:
    path = str(HOSTS / "gpu07.json")
    with pytest.raises(launcher.LauncherError) as error:
        read(path)
    (found,) = error.value.diagnostics
    assert (found.code, found.help[0]) == (
        "E021",
        f"`vmlaunch plan SPEC --host {path}` plans for the host that it records",
    )
