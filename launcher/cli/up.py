"""A spec or a saved plan in, a running VM out: attached until it ends, or detached once its vCPUs run."""

from __future__ import annotations

import sys
from contextlib import ExitStack, suppress

from launcher.cli import hello
from launcher.errors import Diagnostic, GuestFailed, HostNotRestored, StepFailed, WrongUsage
from launcher.json_text import dumps
from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from launcher.api.apart import Ended
    from launcher.api.launching import Launch, VmIsUp
    from launcher.plan.outcome import Observer, Report
    from launcher.plan.plan import Plan

SWITCHES = {
    **dict.fromkeys(("-d", "--detach"), "detach"),
    **dict.fromkeys(("-v", "--verbose"), "verbose"),
    "--no-reboot": "no_reboot",
    "--strict": "strict",
    "--json": "json",
}
VALUES = ("wait", "timeout", "only")
REASSURED = {StepFailed.exit_code: "the host is as it was", HostNotRestored.exit_code: "the host is not as it was"}


def arguments(parser: argparse.ArgumentParser) -> None:
    hello.arguments(parser, "a YAML file, `-` for stdin, or a plan saved by `plan -o`")
    parser.add_argument("-d", "--detach", action="store_true", help="return once the vCPUs run")
    parser.add_argument("--wait", metavar="TEXT", help="the guest must say TEXT; with -d return when it has")
    parser.add_argument("--timeout", metavar="60s", help="how long --wait waits (default: 60s); then the VM is stopped")
    parser.add_argument(
        "--only", metavar="ADDRESS,...", help="touch no other devices, companions included; env: what a scheduler gave"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field of the spec")
    parser.add_argument("--no-reboot", action="store_true", help="a guest that reboots ends the VM")
    parser.add_argument("--strict", action="store_true", help="warnings stop it too")
    parser.add_argument("-v", "--verbose", action="store_true", help="the report has figures on DMA and teardown")
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout; the guest only in its log")


def at_a_glance(words: Sequence[str]) -> dict[str, object] | None:
    others: dict[str, object] = {**dict.fromkeys(SWITCHES.values(), False), **dict.fromkeys(VALUES), "set": []}
    return hello.only_a_file(words, others, {word: (name, True) for word, name in SWITCHES.items()})


def run(options: argparse.Namespace) -> int:
    with ExitStack() as at_end:
        return _run(options, at_end)


def _run(options: argparse.Namespace, at_end: ExitStack) -> int:
    from launcher.cli.outcome import is_unwritable, tell_interrupted

    options.spec = hello.meant(options)
    try:
        from launcher.api.launching import VmIsUp
        from launcher.refusals import REFUSALS

        said, (launch, other) = _said(options), _planned_apart(options)
    except KeyboardInterrupt:
        tell_interrupted("planning was")
        raise
    if isinstance(other, str):
        return _already_up(other, options, said)
    if other is not None:
        return _unplanned(other)
    try:
        plan = launch.begin(reboot=not options.no_reboot, said=said)
        found = _attend(launch, plan, options, at_end)
    except KeyboardInterrupt:  # until there is somebody who hears it, and stops the VM
        if not launch.left:
            _tell_stopped(launch)
        raise
    except VmIsUp as error:
        return _taken(error, options, said)
    except REFUSALS as error:
        if is_unwritable(error) or isinstance(error, BrokenPipeError):
            raise
        raise launch.given_up(error) from None
    return found if isinstance(found, int) else _conclude(found, options)


def _planned_apart(options: argparse.Namespace) -> tuple[Launch, Ended | str | None]:
    from launcher.api.launching import Launch
    from launcher.cli.outcome import exit_code_of

    launch = Launch()
    return launch, launch.plan_apart(lambda: _prepared(options), lambda deed: exit_code_of(deed, options))


def _tell_stopped(launch: Launch) -> None:
    """When the keeper has undone what it had begun."""
    launch.close()
    left = REASSURED[StepFailed.exit_code if launch.restored else HostNotRestored.exit_code]
    print(f"vmlaunch: `up` was interrupted; {left}", file=sys.stderr)


def _prepared(options: argparse.Namespace) -> Plan | str:
    from launcher.cli.preparing import prepare

    return prepare(options)


def _unplanned(ended: Ended) -> int:
    if ended.how:
        print(f"vmlaunch: the process that planned {ended.how}; nothing was changed", file=sys.stderr)
    return ended.code


def _said(options: argparse.Namespace) -> tuple[str, float] | None:
    """What the guest must say, and the seconds it has for that."""
    if options.wait is None and options.timeout is None:
        return None
    from launcher.cli.naming import seconds

    if not options.wait:
        help_ = ("write --wait TEXT --timeout 60s",)
        raise WrongUsage(Diagnostic("E530", "--wait names what the guest must say, --timeout how soon", help=help_))
    return options.wait, seconds(options.timeout or "60s")


def _attend(launch: Launch, plan: Plan, options: argparse.Namespace, at_end: ExitStack) -> Report | int:
    """Whoever stops it while we get ready stops the VM, which begins by then. Whoever interrupts a VM that has ended
    is told its end all the same: signals are put back `at_end`.
    """
    from launcher.cli.signals import signals_as_before, signals_held

    at_end.enter_context(signals_as_before())
    with signals_held() as let_come:
        return _follow(launch, plan, options, let_come)


def _follow(launch: Launch, plan: Plan, options: argparse.Namespace, let_come: Callable[[], None]) -> Report | int:
    from launcher.cli.attach import Attachment, Manner
    from launcher.cli.keyboard import is_ours
    from launcher.cli.notify import Progress, Systemd
    from launcher.cli.output import Output, silence

    output = Output(silence) if options.json or options.detach else Output()
    typed = not options.detach and not (options.json and is_ours())
    progress = Progress(Systemd(), launch.pid if options.detach else None)
    talk = launch.talk(progress.observer(plan.steps, _observer(plan, options)), output)

    def told() -> None:
        there = talk.awaited.heard if talk.awaited else talk.running is not None
        progress.tell(talk, ready=there and talk.stopping is None)
        if talk.ending and not options.json:
            _learn_to_tell()

    attachment = Attachment(talk, output, Manner(typed=typed, detach=options.detach), told)
    attachment.follow(let_come)
    if output.line_open and sys.stdout.isatty():
        print()
    report = talk.ended or (talk.running if options.detach or attachment.left else None)
    if report is not None and not talk.bug:
        return _after_waiting(report) if options.detach and talk.awaited and not talk.ended else report
    error = launch.lost(plan, talk)
    if talk.bug and not talk.failed:
        return _tell_bug(talk.bug)
    raise error


def _learn_to_tell() -> None:
    """The report: with colours its code takes as long to read as the kernel takes to undo a VM."""
    from launcher.cli.terminal import wants_colour

    with suppress(ImportError, OSError):  # then it is told by whoever needs it
        from launcher.report import report_text  # noqa: F401

        if wants_colour(sys.stderr):
            from launcher.report import coloured  # noqa: F401


def _after_waiting(report: Report) -> Report:
    """The VM as it is by now: devices have been used since its vCPUs ran. One that has ended meanwhile was up."""
    from launcher.api.inspecting import report_of
    from launcher.cli.naming import folder_of
    from launcher.errors import LauncherError

    try:
        now = report_of(folder_of(report.name, {}))
    except LauncherError:
        return report
    return report if now.end else now


def _already_up(name: str, options: argparse.Namespace, said: tuple[str, float] | None) -> int:
    """With --wait it may have said it long ago, or still be about to. It was not we who started it: it goes on."""
    if said is not None and (code := _listen(name, said)):
        return code
    _tell_manager(name)
    print(dumps({"already_up": name}) if options.json else visible(f"{name} is already up"))
    return 0


def _tell_manager(name: str) -> None:
    """A service manager waits for it, and then for the process that stays: were it for us, it would stop the VM."""
    from launcher.api.folders import keeper_of
    from launcher.cli.notify import Systemd

    Systemd().ready("already up", keeper_of(name))


def _listen(name: str, said: tuple[str, float]) -> int:
    from launcher.api.listening import never_said
    from launcher.cli.attach import Manner
    from launcher.cli.naming import folder_of
    from launcher.cli.output import Output, silence
    from launcher.cli.watching import watch

    manner = Manner(typed=False, detach=True, owner=False)
    found = watch(folder_of(name, {}), "up", manner, Output(silence), everything=True, said=said)
    if found is not None and found.signal:
        return 128 + found.signal
    if unsaid := never_said(name, said) if found is None else found.unsaid:
        raise GuestFailed(unsaid)
    return 0


def _observer(plan: Plan, options: argparse.Namespace) -> Observer:
    from launcher.cli.terminal import can_redraw
    from launcher.report.progress import json_lines, text_lines

    if options.json:
        return json_lines(plan.steps, sys.stdout)
    return text_lines(plan.steps, sys.stderr, live=can_redraw(sys.stderr))


def _conclude(report: Report, options: argparse.Namespace) -> int:
    """The report, behind the diagnostics of what failed."""
    from launcher.plan.codec import report_to_json

    code = 0 if report.end is None else report.end.exit_code
    if options.json:
        print(dumps({"report": report_to_json(report)}))
        return code
    from launcher.cli.terminal import drawn, wants_colour
    from launcher.report.report_text import print_report

    stream = sys.stdout if options.detach else sys.stderr
    if not options.detach:
        print(file=sys.stderr)
    if report.diagnostics:
        print(drawn(report.diagnostics, {}, sys.stderr) + "\n", file=sys.stderr)
    print_report(report, stream, colour=wants_colour(stream), verbose=options.verbose)
    if code in REASSURED:
        print(f"\n{visible(report.name)} failed; {REASSURED[code]}", file=sys.stderr)
    return code


def _taken(error: VmIsUp, options: argparse.Namespace, said: tuple[str, float] | None) -> int:
    """It came up while we planned."""
    from launcher.api.comparing import check_same
    from launcher.api.running import running_plan

    running = running_plan(error.folder)
    if running is None:
        raise error
    check_same(running, error.plan)
    return _already_up(error.plan.name, options, said)


def _tell_bug(trace: str) -> int:
    """Of keeper or runner."""
    from launcher.errors import BUG
    from launcher.report.escapes import escaped

    print(escaped(trace), file=sys.stderr)
    print("this is a bug of vmlaunch; please report it with the lines above.", file=sys.stderr)
    return BUG
