"""Names, specs or saved plans in; their VMs stopped, the host put back, their folders gone."""

from __future__ import annotations

import json
import os
import sys
from functools import partial

from launcher.errors import Diagnostic, WrongUsage
from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launcher.plan.outcome import End

SWITCHES = {
    **dict.fromkeys(("-a", "--all"), "all"),
    **dict.fromkeys(("-i", "--ignore-missing"), "ignore_missing"),
    "--kill": "kill",
    "--json": "json",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME|SPEC|PLAN", help="a VM's name, its YAML file or its saved plan; one or more"
    )
    parser.add_argument("-a", "--all", action="store_true", help="all VMs of yours, also those whose keeper died")
    parser.add_argument("-t", "--timeout", metavar="30s", default="30s", help="how long a guest may take to power off")
    parser.add_argument("--kill", action="store_true", help="do not ask the guest, nor a keeper that does not answer")
    parser.add_argument(
        "-i", "--ignore-missing", action="store_true", help="a name that no VM has is no error, as for a SPEC"
    )
    parser.add_argument("--json", action="store_true", help="the answer as JSON, a line for each")


def at_a_glance(words: Sequence[str]) -> dict[str, object] | None:
    """Names, and words that take none."""
    names = [word for word in words if word not in SWITCHES]
    if any(not one or one.startswith("-") for one in names):
        return None
    chosen = {SWITCHES[word] for word in words if word in SWITCHES}
    return {"names": names, "timeout": "30s", **{name: name in chosen for name in SWITCHES.values()}}


def run(options: argparse.Namespace) -> int:
    """One after the other, whatever becomes of the one before. The exit code is the highest."""
    from launcher.cli.naming import seconds
    from launcher.cli.outcome import refusing

    timeout = seconds(options.timeout)
    if options.all == bool(options.names):
        fact = "--all leaves nothing to name" if options.all else "which VM is to go down is not said"
        raise WrongUsage(Diagnostic("E531", fact, help=("name it, as `vmlaunch ps` does, or say --all",)))
    names = _all_names(options) if options.all else options.names
    return max([0, *(refusing(partial(_down, name, timeout, options), options) for name in names)])


def _all_names(options: argparse.Namespace) -> list[str]:
    from launcher.api.folders import all_vms

    names = [one["name"] for one in all_vms()]
    if not names and not options.json:
        print("no VM is up")
    return names


def _down(given: str, timeout: float, options: argparse.Namespace) -> int:
    from launcher.api.folders import folder_named
    from launcher.cli.naming import name_of

    name = name_of(given, options.sources)
    path = folder_named(name)
    from launcher.api.stopping import bring_down, refuse_homeless
    from launcher.cli.patience import ToldWaiting

    if path is None or not os.path.lexists(path):
        if path is not None:
            refuse_homeless(path)
        if name == given and not options.ignore_missing:
            from launcher.api.folders import no_such_vm

            raise no_such_vm(name)
        return _say(options, name, "nothing to do", f"{name} is not up")

    ends: list[End] = []
    was_up = bring_down(path, timeout, force=options.kill, waiting_as=ToldWaiting, told=_tell, ended=ends.append)
    text = "".join([f"{name} is down", *(_so(end, was_up) for end in ends)])
    return _say(options, name, "stopped" if was_up else "cleared", text, *ends)


def _so(end: End, was_up: bool) -> str:
    """That it is `down` which has stopped it need not be said here."""
    return f": {end.detail.replace(': down', '', 1)}" if was_up else f"; it had ended before: {end.detail}"


def _tell(one: Diagnostic) -> None:
    from launcher.cli.terminal import drawn

    print(drawn((one,), {}, sys.stderr), file=sys.stderr)


def _say(options: argparse.Namespace, name: str, outcome: str, text: str, end: End | None = None) -> int:
    if options.json:
        from launcher.codec import encode

        so = {"end": encode(end)} if end else {}
        print(json.dumps({"name": name, "outcome": outcome} | so))
    else:
        print(visible(text))
    return 0
