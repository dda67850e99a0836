"""What `up` is given in; a plan to carry out, or the name of the VM that is up with it, out. Nothing is changed."""

from __future__ import annotations

import os
import sys

from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from launcher.plan.plan import Plan


def prepare(options: argparse.Namespace) -> Plan | str:
    """A name: of the VM that is up, as this would start it."""
    from launcher.api.plans import is_saved_plan
    from launcher.cli.spec_folder import read_one

    raw = read_one(options.spec, options.verb)
    return _saved(raw, options) if is_saved_plan(raw) else _planned(raw, options)


def _planned(raw: bytes, options: argparse.Namespace) -> Plan | str:
    """What runs is compared first: its devices are in use, and its plan could not be carried out again."""
    from launcher.api.blocking import check_unclaimed, refuse
    from launcher.api.hosts import host_for
    from launcher.api.plans import make_plan
    from launcher.cli.given import given_functions, load_bytes

    loaded = load_bytes(raw, options.spec, options.set, options.sources)
    host = host_for(loaded.spec)
    only = given_functions(options, host)
    running = _running(loaded.spec.name)
    if running is not None:
        from launcher.api.comparing import check_same
        from launcher.api.running import as_before

        check_same(running, make_plan(loaded, as_before(host, running), only))
        return running.name
    plan = make_plan(loaded, host, only)
    check_unclaimed(plan)
    refuse(plan.diagnostics, strict=options.strict)
    _warn(plan, options)
    return plan


def _saved(raw: bytes, options: argparse.Namespace) -> Plan | str:
    """It is told by its format_version, judged by the facts, and compared with what its spec asks for now."""
    from launcher.api.staleness import judge_here
    from launcher.cli.given import given_functions, saved_plan, without_plugins

    only = given_functions(options)
    plan = saved_plan(raw, options)
    running = _running(plan.name)
    if running is not None:
        from launcher.api.comparing import check_same

        check_same(running, plan)
        return running.name
    without_plugins()
    checked = judge_here(plan, strict=options.strict, only=only)
    tell_other_host(plan, os.uname().nodename)
    _warn(checked, options)
    return checked


def tell_other_host(plan: Plan, here: str) -> None:
    """It may run here, and whoever had another host in mind learns of it."""
    if plan.host.name != here:
        said = f"the plan was made for {plan.host.name}; all that it rests on is so on this host, {here}, too"
        print(visible(said), file=sys.stderr)


def _running(name: str) -> Plan | None:
    from launcher.api.folders import died_and_left_nothing, folder_named, is_in_use

    path = folder_named(name) if is_in_use(name) else None
    if path is None:
        return None
    from launcher.api.reaching import FAREWELL, is_going, wait_for_end
    from launcher.api.running import running_plan

    if is_going(path):
        from launcher.cli.patience import ToldWaiting

        print(visible(f"{name} is going down; waiting for it"), file=sys.stderr)
        wait_for_end(path, FAREWELL, waiting_as=ToldWaiting)
    if died_and_left_nothing(path):  # else E513 names what is left
        print(visible(f"the keeper of {name} had died; nothing is left of it on this host"), file=sys.stderr)
    return running_plan(path)


def _warn(plan: Plan, options: argparse.Namespace) -> None:
    if not plan.diagnostics:
        return
    from launcher.cli.terminal import drawn
    from launcher.report.escapes import as_json

    if options.json:
        print(as_json({"diagnostics": [one.as_json() for one in plan.diagnostics]}))
    else:
        print(drawn(plan.diagnostics, options.sources, sys.stderr), file=sys.stderr)
