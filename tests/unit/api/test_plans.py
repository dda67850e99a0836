"""Specs and saved plans for programs."""

from __future__ import annotations

from pathlib import Path

import pytest

import launcher


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
