"""Packages from an archive of the test's own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab import packages
from tests.lab.packages import Archive

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "dpkg-deb"))), reason="this is no Debian, and has no apt"
)
CONTROL = "Package: firm\nVersion: {}\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\nDescription: none\n"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """It has version 1 of the package `firm`."""
    folder, tree = tmp_path / "archive", tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(CONTROL.format(1))
    (tree / "file").write_text("of version 1\n")
    folder.mkdir()
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, folder / "firm.deb"], check=True, capture_output=True)
    content = (folder / "firm.deb").read_bytes()
    whole = {"Filename": "./firm.deb", "Size": len(content), "SHA256": hashlib.sha256(content).hexdigest()}
    (folder / "Packages").write_text(CONTROL.format(1) + "".join(f"{key}: {one}\n" for key, one in whole.items()))
    return folder


def test_what_is_installed_is_no_candidate(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that has the package in a version of a later release."""
    (tmp_path / "status").write_text(CONTROL.format(2).replace("Version", "Status: install ok installed\nVersion"))
    (tmp_path / "apt.conf").write_text(f'Dir::State::status "{tmp_path}/status";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setattr(packages, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(Archive, "sources", lambda _: f"deb [trusted=yes] file:{archive} ./\n")
    there = Archive(release="earlier")
    assert there.version("firm") == "1"
    there.unpack(["firm"], tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "file").read_text() == "of version 1\n"
