"""A name, a spec or a saved plan in; its VM stopped, the host put back, its folder gone."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


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
    """Ask the keeper and wait for it to go."""
    from launcher.cli.reaching import reach
    from launcher.vms.channel import Closed
    from launcher.vms.folder import wait_until_down

    while channel := reach(path):
        with suppress(Closed):
            channel.send({"do": "stop", "by": "down", "timeout": timeout, "force": force})
        wait_until_down(path)
        channel.close()


def _clear(path: Path) -> None:
    """What a dead keeper left: its journal is worked off, then the folder goes; unless a VM is up there by now."""
    from launcher.executor.restore import restore
    from launcher.kernel.real import RealKernel
    from launcher.vms.folder import NameTaken, StateFolder

    with suppress(NameTaken):
        folder = StateFolder.claim(path)
        restore(folder, RealKernel())
        folder.close()


def _say(options: argparse.Namespace, name: str, outcome: str, text: str) -> int:
    print(json.dumps({"name": name, "outcome": outcome}) if options.json else text)
    return 0
