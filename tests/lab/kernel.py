"""linux-source of the distribution, the files of a recipe -> a kernel of our own in the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.lab.packages import CACHE, CODENAME, Archive, Missing, say
from tests.lab.pieces import OTHER_RELEASE, Recipe, own_kernel_folder

LINE = re.compile("(?:# )?(CONFIG_[A-Z0-9_]+)(?:=| is not set)")
NEWEST = "trixie"  # the newest of Debian's releases that has backports


def build(recipe: Recipe) -> Path:
    """The image. From nothing it is about 16 minutes of one processor's time, and 2 GB while it lasts."""
    source, work = configured(recipe), _work(recipe)
    say(f"compiling {source.name}")
    _make(work, source, f"-j{len(os.sched_getaffinity(0))}", "bzImage")
    target = own_kernel_folder(recipe) / "bzImage"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(work / "build/arch/x86/boot/bzImage", target.with_suffix(".new"))
    target.with_suffix(".new").rename(target)
    shutil.rmtree(work)
    return target


def configured(recipe: Recipe) -> Path:
    """The newest source that the release or its backports have, unpacked, with a configuration that has all we need."""
    source, work = _source(recipe), _work(recipe)
    _make(work, source, "tinyconfig")
    with (work / "build/.config").open("a") as config:
        config.write(recipe.config())
    _make(work, source, "olddefconfig")
    if left_out := missing(recipe.config(), (work / "build/.config").read_text()):
        raise Missing(f"{source.name} cannot be configured as the lab needs it, without {', '.join(left_out)}")
    say(f"the configuration of {source.name} has all that {' and '.join(recipe.configs)} ask for")
    return source


def missing(wanted: str, config: str) -> list[str]:
    """The symbols that kconfig dropped, as it does without a word when something that they depend on is not set."""
    lines = set(config.splitlines())
    last = {match[1]: line for line in wanted.splitlines() if (match := LINE.match(line))}
    return [name for name, line in last.items() if line.startswith("CONFIG") and line not in lines]


def _work(recipe: Recipe) -> Path:
    """A build that was broken off goes on from here."""
    return CACHE / f"{recipe.name}-kernel-work"


def newest(packages: Iterable[str]) -> str | None:
    """linux-source-6.12 before linux-source-6.9."""
    found = [match for match in (re.fullmatch(r"linux-source-([0-9.]+)", name) for name in packages) if match]
    return max(found, key=lambda match: [int(part) for part in match[1].split(".")])[0] if found else None


def _source(recipe: Recipe) -> Path:
    work = _work(recipe)
    archive = Archive(backports=True, release=NEWEST if recipe.newest and CODENAME in OTHER_RELEASE else CODENAME)
    package = newest(archive.names("^linux-source-[0-9.]+$"))
    if package is None:
        raise Missing("the package sources of this machine have no linux-source")
    source = work / package
    if not source.exists():
        shutil.rmtree(work, ignore_errors=True)
        archive.unpack([package], work / "package")
        tree = next((work / "package/usr/src").rglob("linux-source-*.tar.*"))
        say(f"unpacking {tree.name}")
        unpacking = work / "unpacking"
        unpacking.mkdir()
        subprocess.run(["tar", "-xf", tree, "-C", unpacking, "--strip-components=1"], check=True)
        unpacking.rename(source)
        shutil.rmtree(work / "package")
    return source


def _make(work: Path, source: Path, *words: str) -> None:
    compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
    command = ["make", "-s", "-C", str(source), f"O={work / 'build'}", f"CC={compiler}", "KCFLAGS=-w", *words]
    with (work / "log").open("wb") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise Missing(f"failed to make {words[-1]}; {work / 'log'} ends so:\n{_tail(work / 'log')}")


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])
