"""What `up` is given in; a plan to carry out, or that its VM is up with it already, out. Nothing is changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic, NotPermitted, Refused, StalePlan
from launcher.report.frame import visible

if TYPE_CHECKING:
    import argparse

    from launcher.host.boot_files import BootFiles
    from launcher.host.facts import HostFacts
    from launcher.plan.plan import Plan


def prepare(options: argparse.Namespace) -> Plan | None:
    """None: the VM is up, as this would start it; `options.name` has its name."""
    from launcher.api.files import read_bytes
    from launcher.api.plans import is_saved_plan

    raw = read_bytes(options.spec)
    return _saved(raw, options) if is_saved_plan(raw) else _planned(raw, options)


def _planned(raw: bytes, options: argparse.Namespace) -> Plan | None:
    """What runs is compared first: its devices are in use, and its plan could not be carried out again."""
    from launcher.api.hosts import this_host
    from launcher.api.plans import make_plan
    from launcher.api.running import as_before
    from launcher.cli.reading import load_bytes

    loaded = load_bytes(raw, options.spec, options.set, options.sources)
    running = _running(loaded.spec.name, options)
    if running is not None:
        check_same(running, make_plan(loaded, as_before(this_host(devices=bool(loaded.spec.devices)), running)))
        return None
    plan = make_plan(loaded, this_host(devices=bool(loaded.spec.devices)))
    _check_groups(plan)
    _refuse(plan.diagnostics, options.strict)
    _warn(plan, options)
    return plan


def _saved(raw: bytes, options: argparse.Namespace) -> Plan | None:
    """It is told by its format_version, checked against the facts, and runs without pydantic."""
    from launcher.cli.plan import saved_plan

    plan = saved_plan(raw, options)
    running = _running(plan.name, options)
    if running is not None:
        check_same(running, plan)
        return None
    return _checked(plan, options)


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
    from launcher.executor.changing import left_of
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


def _refuse(found: tuple[Diagnostic, ...], strict: bool) -> None:
    """Warnings do not stop it, unless `--strict`."""
    from launcher.cli.plan import exit_code

    if code := exit_code(found, strict):
        raise (NotPermitted if code == NotPermitted.exit_code else Refused)(*found)


def _warn(plan: Plan, options: argparse.Namespace) -> None:
    from launcher.cli.terminal import drawn
    from launcher.report.escapes import as_json

    if not plan.diagnostics:
        return
    if options.json:
        print(as_json({"diagnostics": [one.as_json() for one in plan.diagnostics]}))
    else:
        print(drawn(plan.diagnostics, options.sources, sys.stderr), file=sys.stderr)


def _check_folder(plan: Plan) -> None:
    """What an edited plan names there would be written to and cleared as root."""
    from launcher.plan.steps import KeepState

    named = [step.folder for step in plan.steps if isinstance(step, KeepState)]
    fits = (Path(one).name == plan.name and Path(one).parent.name == "vmlaunch" and "\0" not in one for one in named)
    if not all(fits):
        raise Refused(Diagnostic("E515", f"the plan keeps its state in {named[0]}, which is no state folder"))


def _check_groups(plan: Plan) -> None:
    """Before it is told that somebody has its devices open: whose VM that is says more."""
    if plan.devices:
        from launcher.executor.claim import check_groups

        check_groups(plan)


def _checked(plan: Plan, options: argparse.Namespace) -> Plan:
    from launcher.api.hosts import this_host
    from launcher.api.plans import files_of

    check_saved(plan, this_host(devices=bool(plan.devices)), files_of(plan), strict=options.strict)
    _warn(plan, options)
    return plan


def check_saved(plan: Plan, host: HostFacts, files: BootFiles, *, strict: bool) -> None:
    """What nobody may or can do here comes before what has changed since."""
    from launcher.cli.plan import DENIALS
    from launcher.planner.assumptions import as_evidence, failed_assumptions
    from launcher.planner.boot import check_boot
    from launcher.planner.kvm import check_kvm

    _refuse((*check_kvm(host), *(one for one in check_boot(files, ()) if one.code in DENIALS)), strict=False)
    _refuse(plan.diagnostics, strict)
    _check_folder(plan)
    _check_groups(plan)
    if failed := failed_assumptions(plan, host, files):
        elsewhere = (f"planned for {plan.host.name}; this is {host.name}",) if plan.host.name != host.name else ()
        message = f"{plan.name}: the plan no longer fits this host"
        evidence = (*elsewhere, *as_evidence(failed))
        raise StalePlan(Diagnostic("E516", message, evidence=evidence, help=("plan again",)))
