"""A name, a spec or a saved plan in; its VM stopped, the host put back, its folder gone."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from launcher.report.frame import visible

if TYPE_CHECKING:
    import argparse

    from launcher.errors import Diagnostic


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|SPEC|PLAN", help="the VM's name, its YAML file or its saved plan")
    parser.add_argument(
        "-t", "--timeout", metavar="30s", default="30s", help="how long the guest may take to power off"
    )
    parser.add_argument("--kill", action="store_true", help="do not ask the guest, nor a keeper that does not answer")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    from launcher.api.folders import folder_named
    from launcher.cli.naming import name_of, seconds

    timeout = seconds(options.timeout)
    name = name_of(options.name, options.sources)
    path = folder_named(name)
    from launcher.api.stopping import bring_down, refuse_homeless
    from launcher.cli.patience import ToldWaiting

    if path is None or not os.path.lexists(path):
        if path is not None:
            refuse_homeless(path)
        return _say(options, name, "nothing to do", f"{name} is not up")

    was_up = bring_down(path, timeout, force=options.kill, waiting_as=ToldWaiting, told=_tell)
    return _say(options, name, "stopped" if was_up else "cleared", f"{name} is down")


def _tell(one: Diagnostic) -> None:
    from launcher.cli.terminal import drawn

    print(drawn((one,), {}, sys.stderr), file=sys.stderr)


def _say(options: argparse.Namespace, name: str, outcome: str, text: str) -> int:
    print(json.dumps({"name": name, "outcome": outcome}) if options.json else visible(text))
    return 0
