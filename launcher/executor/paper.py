"""A Plan in, the same Plan out in another process: written as JSON to a memfd that both have."""

from __future__ import annotations

import json
import os

from launcher.kernel.whole import write_whole
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan


def write_plan(paper: int, plan: Plan) -> None:
    """OSError: the host has no memory for it."""
    try:
        write_whole(paper, json.dumps(plan_to_json(plan)).encode(), 0, "the plan")
    except OSError as error:
        raise OSError(error.errno, error.strerror, "memfd") from None


def read_plan(paper: int) -> Plan:
    """What was written there."""
    return plan_from_json(json.loads(os.pread(paper, os.fstat(paper).st_size, 0)))


def take_plan(paper: int) -> Plan:
    """The same; `paper` is closed."""
    plan = read_plan(paper)
    os.close(paper)
    return plan
