"""A name, a spec or a saved plan in; its VM stopped, the host put back, its folder gone."""

from __future__ import annotations

import json
import os
from contextlib import closing
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from launcher.errors import HostNotRestored, Refused
from launcher.report.frame import visible

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


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
    if path is None or not os.path.lexists(path):
        return _say(options, name, "nothing to do", f"{name} is not up")
    was_up = is_up(path)
    if was_up:
        _stop(path, 0.0 if options.kill else timeout, options.kill)
    _clear(path)
    return _say(options, name, "stopped" if was_up else "cleared", f"{name} is down")


def _stop(path: Path, timeout: float, force: bool) -> None:
    """Ask the keeper and wait for it to go. One that does not answer, or go, is killed by `--kill`.

    It answers a question that comes behind the order: so it has taken the order, and sees to it.
    """
    from launcher.cli.reaching import FAREWELL, PATIENCE, ask, wait_for_end
    from launcher.vms.holders import is_stuck
    from launcher.vms.orders import AskReport, Stop

    if force and is_stuck(path):
        _kill(path)
    order = Stop("down", force, timeout)
    try:
        while answer := ask(path, order, AskReport(), farewell=PATIENCE if force else FAREWELL):
            limit = 3 * PATIENCE if force else timeout + FAREWELL
            wait_for_end(path, limit, partial(_whom, path, monotonic() + timeout))
            answer.channel.close()
    except Refused:
        if not force:
            raise
        _kill(path)


def _whom(path: Path, until: float) -> str:
    from launcher.cli.reaching import held_by

    if (left := until - monotonic()) > 0:
        return f"the guest of {path.name} to power off, which it has {left:.0f} s for"
    return f"{path.name} to go: {held_by(path)}"


def _kill(path: Path) -> None:
    """Keeper and runner. What they held the kernel takes back; what they changed is in the journal."""
    from launcher.cli.reaching import FAREWELL, wait_for_end
    from launcher.vms.holders import kill_holders

    kill_holders(path)
    wait_for_end(path, FAREWELL)


def _clear(path: Path) -> None:
    """What a dead keeper left: its journal is worked off, then the folder goes; unless a VM is up there by now."""
    from launcher.executor.keeper.claim import claim_folder
    from launcher.executor.keeper.restore import restore
    from launcher.kernel.real import RealKernel
    from launcher.refusals import REFUSALS
    from launcher.vms.folder import NameTaken

    try:
        with closing(claim_folder(path)) as folder:
            restore(folder, RealKernel())
    except NameTaken:
        return
    except REFUSALS as error:
        raise _uncleared(path, error) from None


def _uncleared(path: Path, error: Exception) -> Exception:
    from launcher.executor.keeper.changing import left_of
    from launcher.refusals import in_words, refusal_of
    from launcher.vms.folder import JOURNAL

    refused = refusal_of(error)
    if refused is None:
        return error
    return (HostNotRestored if left_of(path / JOURNAL) else Refused)(in_words(f"clear {path}", refused))


def _say(options: argparse.Namespace, name: str, outcome: str, text: str) -> int:
    print(json.dumps({"name": name, "outcome": outcome}) if options.json else visible(text))
    return 0
