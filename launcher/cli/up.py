"""A spec or a saved plan in, a running VM out: attached until it ends, or detached once its vCPUs run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.errors import Diagnostic, HostNotRestored, NotPermitted, Refused, StalePlan, StepFailed

if TYPE_CHECKING:
    import argparse

    from launcher.plan.outcome import Observer, Report
    from launcher.plan.plan import Plan

BUG, CRASHED = 70, 13
REASSURED = {11: "the host is as it was", 12: "the host is not as it was"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC|PLAN", help="a YAML file, `-` for stdin, or a plan saved by `plan -o`")
    parser.add_argument("-d", "--detach", action="store_true", help="return once the vCPUs run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field of the spec")
    parser.add_argument("--no-reboot", action="store_true", help="a guest that reboots ends the VM")
    parser.add_argument("--strict", action="store_true", help="warnings stop it too")
    parser.add_argument("-v", "--verbose", action="store_true", help="the report has figures on DMA and teardown")
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout; the guest only in its log")


def run(options: argparse.Namespace) -> int:
    from launcher.executor.launch import start

    launched = start()
    try:
        plan = _plan(options)
    except BaseException:
        launched.abandon()
        raise
    answer = launched.begin(plan, reboot=not options.no_reboot)
    if "begun" not in answer:
        return _refused(answer, plan, options)
    from launcher.cli.attach import Attachment, Terminal
    from launcher.cli.keyboard import is_ours
    from launcher.executor.conversation import Conversation

    terminal = Terminal(quiet=options.json or options.detach)
    talk = Conversation(launched.channel, _observer(plan, options), terminal)
    attachment = Attachment(
        talk, terminal, detach=options.detach, typed=not options.detach and not (options.json and is_ours())
    )
    attachment.follow()
    if terminal.line_open and sys.stdout.isatty():
        print()
    report = talk.ended or (talk.running if options.detach or attachment.left else None)
    if report is None or talk.bug:
        return _lost(plan, talk.bug, launched.wait())
    return _conclude(report, options)


def _plan(options: argparse.Namespace) -> Plan:
    """A saved plan is told by its format_version, checked against the facts, and runs without pydantic."""
    from launcher.api.files import read_bytes
    from launcher.api.plans import is_saved_plan
    from launcher.cli.plan import plan_spec, saved_plan

    raw = read_bytes(options.spec)
    if is_saved_plan(raw):
        return _checked(saved_plan(raw, options), options)
    from launcher.api.hosts import this_host

    plan = plan_spec(raw, options, this_host())
    _refuse(plan.diagnostics, options.strict)
    _warn(plan, options)
    return plan


def _refuse(found: tuple[Diagnostic, ...], strict: bool) -> None:
    """Warnings do not stop it, unless `--strict`."""
    from launcher.cli.plan import exit_code

    if code := exit_code(found, strict):
        raise (NotPermitted if code == NotPermitted.exit_code else Refused)(*found)


def _warn(plan: Plan, options: argparse.Namespace) -> None:
    from launcher.cli.terminal import drawn

    if plan.diagnostics and not options.json:
        print(drawn(plan.diagnostics, options.sources, sys.stderr), file=sys.stderr)


def _check_folder(plan: Plan) -> None:
    """What an edited plan names there would be written to and cleared as root."""
    from launcher.plan.steps import KeepState

    named = [step.folder for step in plan.steps if isinstance(step, KeepState)]
    if any(Path(folder).name != plan.name or Path(folder).parent.name != "vmlaunch" for folder in named):
        raise Refused(Diagnostic("E515", f"the plan keeps its state in {named[0]}, which is no state folder"))


def _checked(plan: Plan, options: argparse.Namespace) -> Plan:
    """What nobody may or can do here comes before what has changed since."""
    from launcher.api.hosts import this_host
    from launcher.api.plans import files_of
    from launcher.cli.plan import DENIALS
    from launcher.planner.assumptions import as_evidence, failed_assumptions
    from launcher.planner.boot import check_boot
    from launcher.planner.kvm import check_kvm

    host, files = this_host(), files_of(plan)
    _refuse((*check_kvm(host), *(one for one in check_boot(files, ()) if one.code in DENIALS)), strict=False)
    _refuse(plan.diagnostics, options.strict)
    _check_folder(plan)
    if failed := failed_assumptions(plan, host, files):
        elsewhere = (f"planned for {plan.host.name}; this is {host.name}",) if plan.host.name != host.name else ()
        message = f"{plan.name}: the plan no longer fits this host"
        evidence = (*elsewhere, *as_evidence(failed))
        raise StalePlan(Diagnostic("E516", message, evidence=evidence, help=("plan again",)))
    _warn(plan, options)
    return plan


def _observer(plan: Plan, options: argparse.Namespace) -> Observer:
    from launcher.report.progress import json_lines, text_lines

    if options.json:
        return json_lines(plan.steps, sys.stdout)
    return text_lines(plan.steps, sys.stderr, live=sys.stderr.isatty())


def _conclude(report: Report, options: argparse.Namespace) -> int:
    """The report, behind the diagnostics of what failed."""
    from launcher.plan.codec import report_to_json

    code = 0 if report.end is None else report.end.exit_code
    if options.json:
        print(json.dumps({"report": report_to_json(report)}))
        return code
    from launcher.cli.terminal import wants_colour
    from launcher.report.console import print_report
    from launcher.report.diagnostics import as_text

    stream = sys.stdout if options.detach else sys.stderr
    if not options.detach:
        print(file=sys.stderr)
    if report.diagnostics:
        print(as_text(report.diagnostics, options.sources, colour=wants_colour(sys.stderr)) + "\n", file=sys.stderr)
    print_report(report, stream, colour=wants_colour(stream), verbose=options.verbose)
    if code in REASSURED:
        print(f"\n{report.name} failed; {REASSURED[code]}", file=sys.stderr)
    return code


def _refused(answer: dict[str, Any], plan: Plan, options: argparse.Namespace) -> int:
    """Up already and unchanged is nothing to do; changed, it is refused with the difference."""
    from launcher.api.running import running_plan
    from launcher.api.vms import refusal
    from launcher.report.plan_diff import differences

    if "up" not in answer:
        raise refusal(answer, plan.name)
    running = running_plan(Path(answer["up"]))
    # Facts move while it runs; what it does is in the other parts.
    found = differences(running, plan) if running else ()
    different = tuple(str(one) for one in found if one.part != "assumes")
    if different or running is None:
        help_ = (f"stop it with `vmlaunch down {plan.name}`",)
        raise Refused(Diagnostic("E507", f"{plan.name} is up with another plan", evidence=different, help=help_))
    print(json.dumps({"already_up": plan.name}) if options.json else f"{plan.name} is already up")
    return 0


def _lost(plan: Plan, bug: str, status: int) -> int:
    """The keeper went without a report: killed, or a bug of ours."""
    if bug:
        print(bug, file=sys.stderr)
        print("this is a bug of vmlaunch; please report it with the lines above.", file=sys.stderr)
        return BUG
    from launcher.executor.ending import manner_of_death

    message = f"the keeper {manner_of_death(status)}; its runner ends the guest by itself"
    help_ = (f"`vmlaunch down {plan.name}` clears up what it left",)
    raise (HostNotRestored if plan.summary.host_changes else StepFailed)(Diagnostic("E510", message, help=help_))
