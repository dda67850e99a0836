"""Names of distribution packages -> folders of their unpacked files. The system's own package state stays as it is.

Lists and downloads live in the cache. The mirrors are those of the machine's own package sources.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CODENAME = platform.freedesktop_os_release().get("VERSION_CODENAME", "unknown")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmlaunch-lab" / CODENAME
KEYRINGS = [Path(f"/usr/share/keyrings/{name}-archive-keyring.gpg") for name in ("debian", "ubuntu")]


class Missing(Exception):
    """Something that the lab needs is not there and cannot be had; the text is a whole sentence."""


class Unavailable(Missing):
    """As that, and no fault: tests that need it are skipped. Any other Missing fails them."""


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


class Archive:
    """The distribution's packages, or another release's, with or without backports; lists are read anew by the first
    question.
    """

    def __init__(self, *, backports: bool = False, release: str = CODENAME) -> None:
        other = release if release != CODENAME else ""
        kind = "backports" if backports else "release"
        self.folder = CACHE / "apt" / (f"{other}{'-backports' if backports else ''}" if other else kind)
        self._backports = backports
        self._release = release
        self._read = False

    def depends(self, package: str) -> list[str]:
        """What a package depends on, by name; what is not there at all has no dependencies."""
        lines = self._apt("apt-cache", "depends", "--important", package, check=False).splitlines()
        return [line.split()[1] for line in lines if line.lstrip().startswith(("Depends:", "PreDepends:"))]

    def names(self, pattern: str) -> list[str]:
        """Packages whose names match."""
        return [line.split()[0] for line in self._apt("apt-cache", "search", "--names-only", pattern).splitlines()]

    def version(self, package: str) -> str | None:
        """What a download would bring."""
        found = re.search(r"Candidate: (\S+)", self._apt("apt-cache", "policy", package))
        return None if found is None or found[1] == "(none)" else found[1]

    def unpack(self, packages: list[str], target: Path) -> None:
        """The files of all of them, in one tree."""
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download.", dir=CACHE) as name:
            folder = Path(name)
            say(f"downloading {' '.join(packages)}")
            self._apt("apt-get", "download", "-qq", *packages, cwd=folder)
            for package in sorted(folder.glob("*.deb")):
                say(f"unpacking {package.name} ({package.stat().st_size >> 20} MiB)")
                subprocess.run(["dpkg-deb", "-x", package, target], check=True)

    def _apt(self, *command: str, check: bool = True, cwd: Path | None = None) -> str:
        if not self._read:
            self._read = True
            self._read_lists()
        return _run([command[0], *self._options, *command[1:]], check=check, cwd=cwd)

    @property
    def _options(self) -> list[str]:
        return [
            f"-oDir::Etc::sourcelist={self.folder / 'sources.list'}",
            "-oDir::Etc::sourceparts=/dev/null",
            f"-oDir::State::lists={self.folder / 'lists'}",
            "-oDir::State::status=/dev/null",  # what is installed, of another release, is no candidate
            f"-oDir::Cache={self.folder}",
            "-oAPT::Sandbox::User=",
        ]

    def _read_lists(self) -> None:
        (self.folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "sources.list").write_text(self.sources())
        say(f"reading the package lists of {self._release}{' and its backports' if self._backports else ''}")
        _run(["apt-get", *self._options, "update", "-qq"])

    def sources(self) -> str:
        """A sources.list, as apt reads it."""
        return "".join(sorted(set(self._sources())))

    def _sources(self) -> Iterator[str]:
        """Lines for sources.list: the machine's own sources of its release, and beside the release its backports. Of
        another release what the same mirror has.
        """
        signed = ",".join(str(path) for path in KEYRINGS if path.exists())
        ends = ("", "-backports") if self._backports else ("",)
        start = f"deb [signed-by={signed}]" if signed else "deb"
        listed = _run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
        )
        ours = [words for words in map(str.split, listed.splitlines()) if f"{words[1]}-".startswith(f"{CODENAME}-")]
        if not ours:
            raise Missing(f"the package sources of this machine do not name {CODENAME}")
        for address, suite, component in ours:
            if self._release == CODENAME:
                yield f"{start} {address} {suite} {component}\n"
            if suite == CODENAME:
                yield from (f"{start} {address} {self._release}{end} {component}\n" for end in ends)


def _run(command: list[str], *, check: bool = True, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not there: the lab takes its parts from Debian or Ubuntu") from None
    if check and done.returncode:
        raise Missing(f"failed to run {command[0]} {command[-1]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder that takes the name `target` when the block ends well and leaves nothing when it does not.

    Who comes second finds the name taken and leaves it at that: both have made the same.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    folder.chmod(0o755)
    try:
        yield folder
        with contextlib.suppress(OSError):
            folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
