"""A lab host -> tests/hosts/lab-NAME.json: what `vmlaunch devices --json` says in it, for tests that have no lab.

A host that boots any kernel is captured on the distribution's. A second capture differs from the first only where
something changed: numbers that move by themselves are made coarse.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from launcher.record import replace
from tests.lab import pieces
from tests.lab.boot import Job, run
from tests.lab.hosts import Boots, Host
from tests.lab.packages import Missing

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "tests" / "hosts"
COMMAND = (sys.executable, "-m", "launcher", "devices", "--json")
COARSE, FINE = 512 << 20, 16 << 20  # bytes: of memory that comes and goes, of what the kernel leaves of the machine's


def capture(host: Host) -> Path:
    if host.boots is Boots.ANY:
        host = replace(host, boots=Boots.DISTRIBUTION)
    out, err = io.BytesIO(), io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="vmlaunch-lab-") as folder:
        ended = run(host, Job(COMMAND, ROOT, 120), Path(folder), out, err)
    if ended.status:
        raise Missing(ended.lost or f"no facts from {host.name}: {err.getvalue().decode()}")
    facts = steady(json.loads(out.getvalue())) | {"note": note(host, ended.kernel)}
    target = path_of(host)
    target.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return target


def path_of(host: Host) -> Path:
    return FOLDER / f"lab-{host.name}.json"


def note(host: Host, kernel: str) -> str:
    """Where a recorded host comes from."""
    emulator = re.findall(r"[0-9]+\.[0-9]+", pieces.version_of_qemu())[0]
    return f"captured by `./dev lab capture {host.name}`: {host.about}; Linux {kernel} in QEMU {emulator}"


def steady(facts: dict[str, Any]) -> dict[str, Any]:
    """The same facts, which never age; memory is rounded down, memory and interrupts in use are rounded up."""
    memory, linux = facts["memory"], facts["linux"]
    steady_memory = {
        "total": _down(memory["total"], FINE),
        "available": _down(memory["available"], COARSE),
        "commit_limit": _down(memory["commit_limit"], FINE),
        "committed": -_down(-memory["committed"], COARSE),
    }
    return facts | {
        "memory": memory | steady_memory,
        "nodes": [_steady_node(node) for node in facts["nodes"]],
        "linux": linux | {"vectors": -_down(-linux["vectors"], 32)},
        "recorded_at": None,
        "boot_id": None,
    }


def _steady_node(node: dict[str, Any]) -> dict[str, Any]:
    return node | {"memory": _down(node["memory"], FINE), "free": _down(node["free"], COARSE)}


def _down(number: int, step: int) -> int:
    return number // step * step
