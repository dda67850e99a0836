"""What was measured, as it is kept: machines and rows with all raw values <-> JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench.measure import Values


@dataclass(slots=True)
class Results:
    commit: str = ""
    machines: dict[str, dict[str, str]] = field(default_factory=dict)  # native, lab -> what describes it
    rows: dict[str, Values] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)  # row -> the run that it is of, if it is of another

    def add(self, other: Results) -> None:
        self.machines |= other.machines
        self.rows |= other.rows

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    return Results(**json.loads(path.read_text(encoding="utf-8")))
