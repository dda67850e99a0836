"""What `up` is given in; a plan to carry out, or that its VM is up with it already, out. Nothing is changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic, Refused
from launcher.report.frame import visible

if TYPE_CHECKING:
    import argparse

    from launcher.plan.plan import Plan


def prepare(options: argparse.Namespace) -> Plan | None:
    """None: the VM is up, as this would start it; `options.name` has its name."""
    from launcher.api.files import read_bytes
    from launcher.api.plans import is_saved_plan

    raw = read_bytes(options.spec)
    return _saved(raw, options) if is_saved_plan(raw) else _planned(raw, options)


def _planned(raw: bytes, options: argparse.Namespace) -> Plan | None:
    """What runs is compared first: its devices are in use, and its plan could not be carried out again."""
    from launcher.api.blocking import refuse
    from launcher.api.hosts import this_host
    from launcher.api.plans import make_plan
    from launcher.api.running import as_before
    from launcher.api.staleness import check_groups
    from launcher.cli.reading import load_bytes

    loaded = load_bytes(raw, options.spec, options.set, options.sources)
    running = _running(loaded.spec.name, options)
    if running is not None:
        check_same(running, make_plan(loaded, as_before(this_host(devices=bool(loaded.spec.devices)), running)))
        return None
    plan = make_plan(loaded, this_host(devices=bool(loaded.spec.devices)))
    check_groups(plan)
    refuse(plan.diagnostics, strict=options.strict)
    _warn(plan, options)
    return plan


def _saved(raw: bytes, options: argparse.Namespace) -> Plan | None:
    """It is told by its format_version, judged by the facts, and compared with what its spec asks for now."""
    from launcher.api.staleness import check_here
    from launcher.cli.plan import saved_plan
    from launcher.cli.reading import without_plugins

    plan = saved_plan(raw, options)
    running = _running(plan.name, options)
    if running is not None:
        check_same(running, plan)
        return None
    without_plugins()
    checked = check_here(plan, strict=options.strict)
    _warn(checked, options)
    return checked


def _running(name: str, options: argparse.Namespace) -> Plan | None:
    from launcher.api.running import running_plan
    from launcher.cli.naming import state_root
    from launcher.cli.reaching import FAREWELL, is_going, wait_for_end
    from launcher.vms.folder import is_lost

    options.name, root = name, state_root()
    if root is None:
        return None
    if is_going(root / name):
        print(visible(f"{name} is going down; waiting for it"), file=sys.stderr)
        wait_for_end(root / name, FAREWELL)
    if is_lost(root / name):
        _say_that_nothing_is_left(root / name)
    return running_plan(root / name)


def _say_that_nothing_is_left(folder: Path) -> None:
    """Unless something is: that, E513 names."""
    from launcher.executor.keeper.changing import left_of
    from launcher.vms.folder import JOURNAL

    if not left_of(folder / JOURNAL):
        print(visible(f"the keeper of {folder.name} had died; nothing is left of it on this host"), file=sys.stderr)


def check_same(running: Plan, plan: Plan) -> None:
    """Refused with the difference. Facts move while it runs; what it does is in the other parts."""
    from launcher.report.plan_diff import differences

    different = tuple(str(one) for one in differences(running, plan) if one.part != "assumes")
    if different:
        help_ = (f"stop it with `vmlaunch down {plan.name}`",)
        raise Refused(Diagnostic("E507", f"{plan.name} is up with another plan", evidence=different, help=help_))


def _warn(plan: Plan, options: argparse.Namespace) -> None:
    from launcher.cli.terminal import drawn
    from launcher.report.escapes import as_json

    if not plan.diagnostics:
        return
    if options.json:
        print(as_json({"diagnostics": [one.as_json() for one in plan.diagnostics]}))
    else:
        print(drawn(plan.diagnostics, options.sources, sys.stderr), file=sys.stderr)
