"""A name, a spec or a saved plan in; its VM stopped, the host put back, its folder gone."""

from __future__ import annotations

import json
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

PATIENCE, MOMENT = 10.0, 0.05  # seconds for a keeper to have a socket; between two looks


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|SPEC|PLAN", help="the VM's name, its YAML file or its saved plan")
    parser.add_argument(
        "-t", "--timeout", metavar="30s", default="30s", help="how long the guest may take to power off"
    )
    parser.add_argument("--kill", action="store_true", help="do not ask the guest")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    from launcher.cli.naming import name_of, seconds, state_root
    from launcher.vms.folder import is_up

    timeout = seconds(options.timeout)
    name = name_of(options.name, options.sources)
    root = state_root()
    path = root / name if root else None
    if path is None or not path.exists():
        return _say(options, name, "nothing to do", f"{name} is not up")
    was_up = is_up(path)
    if was_up:
        _stop(path, 0.0 if options.kill else timeout, options.kill)
    _clear(path)
    return _say(options, name, "stopped" if was_up else "cleared", f"{name} is down")


def _stop(path: Path, timeout: float, force: bool) -> None:
    """Ask the keeper and wait for it to go. One that has just begun, or is about to go, has no socket for a moment."""
    from launcher.errors import Diagnostic, Refused
    from launcher.vms.channel import Channel, Closed
    from launcher.vms.folder import SOCKET, is_up, wait_until_down

    last = monotonic() + PATIENCE
    while is_up(path):
        try:
            channel = Channel.connect(path / SOCKET)
        except OSError:
            if monotonic() > last:
                help_ = ("`vmlaunch ps` shows its pid",)
                raise Refused(Diagnostic("E519", f"the keeper of {path.name} does not answer", help=help_)) from None
            sleep(MOMENT)
            continue
        with suppress(Closed):
            channel.send({"do": "stop", "by": "down", "timeout": timeout, "force": force})
        wait_until_down(path)
        channel.close()


def _clear(path: Path) -> None:
    """What a dead keeper left: its journal is worked off, then the folder goes."""
    from launcher.executor.restore import restore
    from launcher.kernel.real import RealKernel
    from launcher.vms.folder import StateFolder

    folder = StateFolder.claim(path)
    restore(folder, RealKernel())
    folder.close()


def _say(options: argparse.Namespace, name: str, outcome: str, text: str) -> int:
    print(json.dumps({"name": name, "outcome": outcome}) if options.json else text)
    return 0
