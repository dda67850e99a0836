"""What is installed beside the code is there, and one version is said everywhere; `.ci/package` builds and tries it."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from launcher.cli.hello import HELLO
from launcher.version import VERSION
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
UNABLE = 77  # what .ci/deb ends with where it cannot do what it is for


def test_each_file_that_is_installed_beside_the_code_is_there() -> None:
    patterns = [one for listed in PROJECT["tool"]["setuptools"]["data-files"].values() for one in listed]
    package = [f"launcher/{one}" for one in PROJECT["tool"]["setuptools"]["package-data"]["launcher"]]
    assert [one for one in (*patterns, *package) if not list(ROOT.glob(one))] == []
    assert len(list((ROOT / "schemas").iterdir())) == len(list(ROOT.glob("schemas/*.schema.json")))


def test_the_guest_of_hello_is_the_one_of_the_examples() -> None:
    """As links, which a build follows: a copy would be another one some day."""
    for name in ("hello.yaml", "hello.elf"):
        assert (ROOT / "launcher" / "cli" / name).readlink() == Path("../../examples") / name
    assert str(ROOT / "launcher" / "cli" / "hello.yaml") == HELLO


def test_the_debian_package_has_the_version_and_what_the_wheel_requires() -> None:
    debian = ROOT / ".ci" / "debian"
    assert (debian / "changelog").read_text().startswith(f"vmlaunch ({VERSION}-")
    control = (debian / "control").read_text()
    for required in PROJECT["project"]["dependencies"]:
        name, least = re.fullmatch(r"([\w.]+)>=([\d.]+)", required).groups()  # type: ignore[union-attr]
        assert f"python3-{name} (>= {least})" in control


@pytest.mark.long
def test_the_debian_package_is_built_used_and_purged(tmp_path: Path) -> None:
    done = subprocess.run([ROOT / ".ci" / "deb", "--try", tmp_path], capture_output=True, text=True, check=False)
    if done.returncode == UNABLE:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert list(tmp_path.glob("vmlaunch_*_amd64.deb"))
