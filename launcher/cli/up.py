"""A spec or a saved plan in, a running VM out: attached until it ends, or detached once its vCPUs run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic, GuestFailed, HostNotRestored, StepFailed, WrongUsage
from launcher.report.frame import visible

if TYPE_CHECKING:
    import argparse

    from launcher.executor.awaited import AwaitedText
    from launcher.executor.conversation import Conversation
    from launcher.executor.launch import Launched
    from launcher.plan.outcome import Observer, Report
    from launcher.plan.plan import Plan
    from launcher.vms.notices import Notice

PLANNED = "."  # which is no name
REASSURED = {StepFailed.exit_code: "the host is as it was", HostNotRestored.exit_code: "the host is not as it was"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC|PLAN", help="a YAML file, `-` for stdin, or a plan saved by `plan -o`")
    parser.add_argument("-d", "--detach", action="store_true", help="return once the vCPUs run")
    parser.add_argument("--wait", metavar="TEXT", help="the guest must say TEXT; with -d return when it has")
    parser.add_argument("--timeout", metavar="60s", help="how long --wait waits (default: 60s); then the VM is stopped")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field of the spec")
    parser.add_argument("--no-reboot", action="store_true", help="a guest that reboots ends the VM")
    parser.add_argument("--strict", action="store_true", help="warnings stop it too")
    parser.add_argument("-v", "--verbose", action="store_true", help="the report has figures on DMA and teardown")
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout; the guest only in its log")


def run(options: argparse.Namespace) -> int:
    from launcher.cli.apart import apart
    from launcher.executor.launch import start
    from launcher.refusals import REFUSALS

    wait = _awaited(options)
    launched = start()
    try:
        planned = apart(lambda: _plan(options, launched), options)
    except BaseException:
        launched.abandon()
        raise
    if planned != PLANNED:
        launched.abandon()
        return planned if isinstance(planned, int) else _already_up(planned, options, wait)
    try:
        from launcher.vms.notices import Begun

        plan = launched.begin(reboot=not options.no_reboot, awaited=wait)
        answer = launched.answer()
        found = _attend(launched, plan, options, wait) if isinstance(answer, Begun) else None
    except REFUSALS as error:
        raise _given_up(launched, error) from None
    if found is None:
        return _refused(answer, plan, options, wait)
    return found if isinstance(found, int) else _conclude(found, options)


def _plan(options: argparse.Namespace, launched: Launched) -> str:
    """In a process of its own: PLANNED, or the name of the VM that is up already, as this would start it."""
    from launcher.cli.preparing import prepare
    from launcher.kernel.handed import pass_on

    launched.channel.close()
    pass_on()
    plan = prepare(options)
    if plan is None:
        return str(options.name)
    launched.hand_over(plan)
    return PLANNED


def _awaited(options: argparse.Namespace) -> AwaitedText | None:
    if options.wait is None and options.timeout is None:
        return None
    from launcher.cli.naming import seconds
    from launcher.executor.awaited import AwaitedText

    if not options.wait:
        help_ = ("write --wait TEXT --timeout 60s",)
        raise WrongUsage(Diagnostic("E530", "--wait names what the guest must say, --timeout how soon", help=help_))
    return AwaitedText(options.wait, seconds(options.timeout or "60s"))


def _given_up(launched: Launched, error: Exception) -> Exception:
    """The host refused us what it takes to stay beside the VM, which ends with us: what became of it is known then."""
    from launcher.cli import is_unwritable
    from launcher.refusals import in_words, refusal_of

    refused = refusal_of(error)
    if refused is None or is_unwritable(refused) or isinstance(refused, BrokenPipeError):
        return error
    launched.channel.close()
    left = launched.wait() == HostNotRestored.exit_code
    return (HostNotRestored if left else StepFailed)(in_words("stay beside the VM", refused))


def _attend(launched: Launched, plan: Plan, options: argparse.Namespace, wait: AwaitedText | None) -> Report | int:
    from launcher.cli.attach import Attachment, Manner, listeners
    from launcher.cli.keyboard import is_ours
    from launcher.cli.notify import Progress, Systemd
    from launcher.cli.output import Output, silence
    from launcher.executor.conversation import Conversation

    output = Output(silence) if options.json or options.detach else Output()
    typed = not options.detach and not (options.json and is_ours())
    manner = Manner(typed=typed, detach=options.detach, wait=wait)
    progress = Progress(Systemd(), launched.pid if options.detach else None)
    observer = progress.observer(plan.steps, _observer(plan, options))
    talk = Conversation(launched.channel, observer, listeners(output, wait))

    def told() -> None:
        there = wait.heard if wait else talk.running is not None
        progress.tell(talk, ready=there and talk.stopping is None)

    attachment = Attachment(talk, output, manner, told)
    attachment.follow()
    if output.line_open and sys.stdout.isatty():
        print()
    report = talk.ended or (talk.running if options.detach or attachment.left else None)
    if report is None or talk.bug:
        return _lost(plan, talk, launched.wait())
    return report


def _already_up(name: str, options: argparse.Namespace, wait: AwaitedText | None) -> int:
    """With --wait it may have said it long ago, or still be about to. It was not we who started it: it goes on."""
    if wait is not None and (code := _listen(name, wait)):
        return code
    _tell_manager(name)
    print(json.dumps({"already_up": name}) if options.json else visible(f"{name} is already up"))
    return 0


def _tell_manager(name: str) -> None:
    """A service manager waits for it, and then for the process that stays: were it for us, it would stop the VM."""
    from launcher.cli.naming import state_root
    from launcher.cli.notify import Systemd
    from launcher.vms.folder import STATE, read_json

    root = state_root()
    state = read_json(root / name / STATE) if root else None
    Systemd().ready("already up", state.get("keeper") if isinstance(state, dict) else None)


def _listen(name: str, wait: AwaitedText) -> int:
    from launcher.cli.attach import Manner
    from launcher.cli.output import Output, silence
    from launcher.cli.reaching import folder_of
    from launcher.cli.watching import watch

    manner = Manner(typed=False, detach=True, owner=False, wait=wait)
    wait.begin()
    found = watch(folder_of(name, {}), "up", manner, Output(silence), everything=True)
    if found is not None and found.signal:
        return 128 + found.signal
    if not wait.heard:
        raise GuestFailed(wait.complaint(name))
    return 0


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
        print(as_text(report.diagnostics, {}, colour=wants_colour(sys.stderr)) + "\n", file=sys.stderr)
    print_report(report, stream, colour=wants_colour(stream), verbose=options.verbose)
    if code in REASSURED:
        print(f"\n{visible(report.name)} failed; {REASSURED[code]}", file=sys.stderr)
    return code


def _refused(answer: Notice | None, plan: Plan, options: argparse.Namespace, wait: AwaitedText | None) -> int:
    """It may have come up while we planned."""
    from launcher.api.running import running_plan
    from launcher.api.vms import refusal
    from launcher.cli.preparing import check_same
    from launcher.vms.notices import NameIsTaken

    running = running_plan(Path(answer.folder)) if isinstance(answer, NameIsTaken) else None
    if running is None:
        raise refusal(answer, plan.name)
    check_same(running, plan)
    return _already_up(plan.name, options, wait)


def _lost(plan: Plan, talk: Conversation, status: int) -> int:
    """The keeper went without a report: refused what it needs, killed, or a bug of ours."""
    from launcher.errors import BUG
    from launcher.report.escapes import escaped

    if talk.failed:
        raise (HostNotRestored if status == HostNotRestored.exit_code else StepFailed)(*talk.failed)
    if talk.bug:
        print(escaped(talk.bug), file=sys.stderr)
        print("this is a bug of vmlaunch; please report it with the lines above.", file=sys.stderr)
        return BUG
    from launcher.executor.ending import manner_of_death

    message = f"the keeper {manner_of_death(status)}; its runner ends the guest by itself"
    help_ = (f"`vmlaunch down {plan.name}` clears up what it left",)
    raise (HostNotRestored if plan.summary.host_changes else StepFailed)(Diagnostic("E510", message, help=help_))
