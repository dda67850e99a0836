"""A Plan in, the same Plan out in another process: written as JSON to a memfd that both have.

Copies of the files that it loads lie behind it there.
"""

from __future__ import annotations

import os

from launcher.copies import Copies, Here
from launcher.json_text import dumps, loads
from launcher.kernel.sealed import seal
from launcher.kernel.whole import write_whole
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan
from launcher.typed import Any

_HEAD = 8  # bytes, which say how long the text is


def write_plan(paper: int, plan: Plan) -> None:
    """OSError: the host has no memory for it."""
    try:
        text = dumps({"plan": plan_to_json(plan), "copies": Here.copies.places}).encode()
        write_whole(paper, len(text).to_bytes(_HEAD) + text, 0, "the plan")
    except OSError as error:
        raise OSError(error.errno, error.strerror, "memfd") from None


def read_plan(paper: int) -> Plan:
    """What was written there."""
    return plan_from_json(_read(paper)["plan"])


def take_plan(paper: int) -> Plan:
    """The same; `paper` is that of this process's copies now, and nobody changes it any more."""
    seal(paper)
    Here.copies = Copies(paper)
    found = _read(paper)
    Here.copies.places = found["copies"]
    return plan_from_json(found["plan"])


def _read(paper: int) -> Any:
    return loads(os.pread(paper, int.from_bytes(os.pread(paper, _HEAD, 0)), _HEAD))
