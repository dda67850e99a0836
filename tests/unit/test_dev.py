"""`./dev`: whose environment it is, for somebody else, and what to type instead; which tests it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import NOBODY, ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def checkout() -> Iterator[Path]:
    """One that anybody may read, with an environment whose python is out of reach for all but root."""
    with TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o755)
        shutil.copy(ROOT / "dev", top)
        (top / "hidden").mkdir(mode=0o700)
        shutil.copy("/bin/true", top / "hidden" / "python3")
        (top / ".venv" / "bin").mkdir(parents=True)
        (top / ".venv" / "bin" / "python").symlink_to(top / "hidden" / "python3")
        yield top


def told(checkout: Path) -> str:
    somebody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    surroundings = {name: value for name, value in os.environ.items() if name != "VMLAUNCH_VENV"}
    dev = [*somebody, checkout / "dev", "ps"]
    done = subprocess.run(dev, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_an_environment_whose_python_only_its_owner_reaches(checkout: Path) -> None:
    said = told(checkout)
    assert f"{checkout}/.venv belongs to root, and nobody may not run its python, {checkout}/hidden/python3" in said
    assert f"cp -r {checkout} ~/vmlaunch" in said


def test_an_environment_of_somebody_else_in_a_checkout_of_ones_own(checkout: Path) -> None:
    checkout.chmod(0o777)
    assert "VMLAUNCH_VENV=$HOME/.cache/vmlaunch-venv " in told(checkout)


def test_a_checkout_of_somebody_else_without_an_environment(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    assert f"{checkout} belongs to root, and nobody may not make {checkout}/.venv" in told(checkout)


def asked_of_apt(checkout: Path, words: str) -> str:
    """On a host that has all but the lab's packages, with an apt-get that writes down what it is to install."""
    hidden, tools = checkout / "hidden", checkout / "tools"
    if not tools.exists():
        tools.mkdir()
        for one in (*Path("/usr/bin").iterdir(), *Path("/bin").iterdir()):
            if not one.name.startswith(("qemu", "apt", "python")) and not (tools / one.name).is_symlink():
                (tools / one.name).symlink_to(one)
        for name, script in (("python3", "exit 0"), ("apt-get", f'echo "$*" >>{checkout}/apt')):
            (hidden / name).write_text(f"#!/bin/sh\n{script}\n")
            (hidden / name).chmod(0o755)
    (checkout / "apt").write_text("")
    surroundings = {"PATH": f"{hidden}:{tools}", "HOME": str(checkout)}
    subprocess.run([checkout / "dev", *words.split()], env=surroundings, capture_output=True, text=True, check=True)
    return (checkout / "apt").read_text()


def test_to_list_the_labs_hosts_takes_no_emulator(checkout: Path) -> None:
    assert ["qemu-system-x86" in asked_of_apt(checkout, words) for words in ("lab hosts", "lab --help")] == [False] * 2
    assert "qemu-system-x86" in asked_of_apt(checkout, "lab run -- true")
    assert "libelf-dev" in asked_of_apt(checkout, "lab kernel") or Path("/usr/include/libelf.h").exists()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("test", "lab= long= -m tests.again -p tests.parts -p tests.beside"),
        ("test --lab -x tests/unit", "lab=1 long= -m tests.again -p tests.parts -p tests.beside -x tests/unit"),
        ("test --long -k hostile", "lab= long=1 -m tests.again -p tests.parts -p tests.beside -k hostile"),
        ("test --lab --long", "lab=1 long=1 -m tests.again -p tests.parts -p tests.beside"),
        ("test -x --lab", "lab= long= -m tests.again -p tests.parts -p tests.beside -x --lab"),
        ("lab -k amd", "lab=1 long= -m tests.again tests/lab -k amd"),
        ("lab --long", "lab=1 long=1 -m tests.again tests/lab"),
    ],
)
def test_which_tests_a_command_asks_for(checkout: Path, words: str, asked: str) -> None:
    """With a python that says how it was called, and an apt-get that installs nothing."""
    for name, script in (("python3", 'echo "lab=$VMLAUNCH_LAB long=$VMLAUNCH_LONG $*"'), ("apt-get", "")):
        (checkout / "hidden" / name).write_text(f"#!/bin/sh\n{script}\n")
        (checkout / "hidden" / name).chmod(0o755)
    ours = ("VMLAUNCH_VENV", "VMLAUNCH_LAB", "VMLAUNCH_LONG")
    surroundings = {name: value for name, value in os.environ.items() if name not in ours}
    surroundings["PATH"] = f"{checkout / 'hidden'}:{surroundings['PATH']}"
    command = [checkout / "dev", *words.split()]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == asked


def test_its_own_words_are_told_before_those_of_vmlaunch(checkout: Path) -> None:
    done = subprocess.run([checkout / "dev", "--help"], capture_output=True, text=True, check=False)
    told = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  ./dev")]
    assert told == ["test", "test", "lab", "lab", "lint", "bench", "generate", "package", "deb", "VERB"]
