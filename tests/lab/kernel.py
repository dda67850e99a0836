"""linux-source of the distribution, kernel.config -> a kernel of our own in the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.lab.packages import CACHE, Archive, Missing, say
from tests.lab.pieces import CONFIG, own_kernel_folder

WORK = CACHE / "own-kernel-work"  # a build that was broken off goes on from here
NEEDED = re.compile("(CONFIG_[A-Z0-9_]+)=")


def build() -> Path:
    """The image. From nothing it is about 16 minutes of one processor's time, and 2 GB while it lasts."""
    source = configured()
    say(f"compiling {source.name}")
    _make(source, f"-j{len(os.sched_getaffinity(0))}", "bzImage")
    target = own_kernel_folder() / "bzImage"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(WORK / "build/arch/x86/boot/bzImage", target.with_suffix(".new"))
    target.with_suffix(".new").rename(target)
    shutil.rmtree(WORK)
    return target


def configured() -> Path:
    """The newest source that the release or its backports have, unpacked, with a configuration that has all we need."""
    source = _source()
    _make(source, "tinyconfig")
    with (WORK / "build/.config").open("a") as config:
        config.write(CONFIG.read_text())  # of two lines on one symbol the last one counts
    _make(source, "olddefconfig")
    if left_out := missing(CONFIG.read_text(), (WORK / "build/.config").read_text()):
        raise Missing(f"{source.name} cannot be configured as the lab needs it, without {', '.join(left_out)}")
    say(f"the configuration of {source.name} has all that kernel.config asks for")
    return source


def missing(wanted: str, config: str) -> list[str]:
    """The symbols that kconfig dropped, as it does without a word when something that they depend on is not set."""
    lines = set(config.splitlines())
    return [line.partition("=")[0] for line in wanted.splitlines() if NEEDED.match(line) and line not in lines]


def newest(packages: Iterable[str]) -> str | None:
    """linux-source-6.12 before linux-source-6.9."""
    found = [match for match in (re.fullmatch(r"linux-source-([0-9.]+)", name) for name in packages) if match]
    return max(found, key=lambda match: [int(part) for part in match[1].split(".")])[0] if found else None


def _source() -> Path:
    archive = Archive(backports=True)
    package = newest(archive.names("^linux-source-[0-9.]+$"))
    if package is None:
        raise Missing("the package sources of this machine have no linux-source")
    source = WORK / package
    if not source.exists():
        shutil.rmtree(WORK, ignore_errors=True)
        archive.unpack([package], WORK / "package")
        tree = next((WORK / "package/usr/src").rglob("linux-source-*.tar.*"))
        say(f"unpacking {tree.name}")
        unpacking = WORK / "unpacking"
        unpacking.mkdir()
        subprocess.run(["tar", "-xf", tree, "-C", unpacking, "--strip-components=1"], check=True)
        unpacking.rename(source)
        shutil.rmtree(WORK / "package")
    return source


def _make(source: Path, *words: str) -> None:
    compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
    command = ["make", "-s", "-C", str(source), f"O={WORK / 'build'}", f"CC={compiler}", "KCFLAGS=-w", *words]
    with (WORK / "log").open("wb") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise Missing(f"failed to make {words[-1]}; {WORK / 'log'} ends so:\n{_tail(WORK / 'log')}")


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])
