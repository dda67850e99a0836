"""A name, a spec or a saved plan in; its VM stopped, the host put back, its folder gone."""

from __future__ import annotations

import json
import select
from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.errors import Refused
from launcher.report.frame import visible

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from launcher.vms.channel import Channel


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|SPEC|PLAN", help="the VM's name, its YAML file or its saved plan")
    parser.add_argument(
        "-t", "--timeout", metavar="30s", default="30s", help="how long the guest may take to power off"
    )
    parser.add_argument("--kill", action="store_true", help="do not ask the guest, nor a keeper that does not answer")
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
    """Ask the keeper and wait for it to go. One that does not answer is not waited for, and killed by `--kill`."""
    from launcher.cli.reaching import FAREWELL, PATIENCE, reach
    from launcher.vms.folder import wait_until_down
    from launcher.vms.holders import is_stuck

    if force and is_stuck(path):
        _kill(path)
    try:
        while channel := reach(path, PATIENCE if force else FAREWELL):
            _ask(channel, path, {"do": "stop", "by": "down", "timeout": timeout, "force": force})
            wait_until_down(path)
            channel.close()
    except Refused:
        if not force:
            raise
        _kill(path)


def _ask(channel: Channel, path: Path, order: dict[str, object]) -> None:
    """It answers a question that comes behind the order: so it has taken the order, and sees to it."""
    from launcher.cli.reaching import PATIENCE, silent
    from launcher.vms.channel import Closed

    with suppress(Closed):  # it has gone, or is about to
        channel.send(order)
        channel.send({"do": "report"})
        if not select.select([channel], [], [], PATIENCE)[0]:
            raise silent(path)


def _kill(path: Path) -> None:
    """Keeper and runner. What they held the kernel takes back; what they changed is in the journal."""
    from launcher.vms.folder import wait_until_down
    from launcher.vms.holders import kill_holders

    kill_holders(path)
    wait_until_down(path)


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
    print(json.dumps({"name": name, "outcome": outcome}) if options.json else visible(text))
    return 0
