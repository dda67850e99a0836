"""docs/first-vm.md in; its files, and what is typed on host and guest, out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "first-vm.md"
HOST, GUEST = "host# ", "guest$ "


@dataclass
class Command:
    """`shown`: lines that the page says come of it."""

    where: str  # HOST or GUEST
    words: str
    shown: list[str] = field(default_factory=list)


@dataclass
class Way:
    """A section of the page."""

    title: str
    files: dict[str, str]
    commands: list[Command]


def ways() -> list[Way]:
    _, *sections = PAGE.read_text().split("\n## ")
    return [Way(one.partition("\n")[0], dict(_files(one)), list(_commands(one))) for one in sections]


def _files(section: str) -> Iterator[tuple[str, str]]:
    """Each has the last name that the paragraph before it has in code."""
    for before, content in re.findall(r"\n\n([^\n][^`]*`.*?)\n\n```yaml\n(.*?)```", section, re.DOTALL):
        paragraph = before.rpartition("\n\n")[2]
        yield re.findall(r"`([\w.-]+)`", paragraph)[-1], content


def _commands(section: str) -> Iterator[Command]:
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        command: Command | None = None
        for line in block.splitlines():
            where = next((one for one in (HOST, GUEST) if line.startswith(one)), None)
            if where is None:
                assert command is not None, line
                command.shown.append(line)
                continue
            if command is not None:
                yield command
            command = Command(where, line.removeprefix(where))
        if command is not None:
            yield command
