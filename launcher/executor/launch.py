"""A Plan in, a running VM out: claims the name, forks the keeper, hands back the channel to it."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.errors import Diagnostic, LauncherError, NotPermitted, Refused
from launcher.executor.keeper import Keeper
from launcher.executor.perform import PERFORM
from launcher.executor.process import close_all_but, detach, end_process
from launcher.kernel.api import Kernel
from launcher.plan.plan import Plan
from launcher.plan.steps import KeepState, RunVcpus
from launcher.vms.channel import Channel
from launcher.vms.folder import JOURNAL, NameTaken, StateFolder
from launcher.vms.journal import pending


class AlreadyUp(LauncherError):
    """A VM of this name is up; `folder` holds its plan."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(Diagnostic("E506", f"{name} is up already", help=(f"stop it with `vmlaunch down {name}`",)))
        self.folder = folder


@dataclass(frozen=True, slots=True)
class Launched:
    """`channel` carries {"outcome"}, {"running": report}, console bytes, {"report": report}, {"bug": traceback}."""

    pid: int  # of the keeper, a child of this process
    channel: Channel

    def send(self, message: dict[str, Any]) -> None:
        self.channel.send(message)

    def wait(self) -> int:
        """The keeper's exit status, once it has gone; negative when a signal ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def launch(plan: Plan, kernel: Kernel) -> Launched:
    """Returns when the keeper lives. AlreadyUp, Refused or NotPermitted when it cannot; nothing was changed then."""
    _check_performable(plan)
    folder = _claim(plan)
    mine, theirs = Channel.pair()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    pid = os.fork()
    if pid == 0:
        detach()
        close_all_but({theirs.fileno(), folder.lock})
        end_process(theirs, lambda: _keep(plan, kernel, folder, theirs, blocked))
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    theirs.close()
    folder.close()
    return Launched(pid, mine)


def _keep(plan: Plan, kernel: Kernel, folder: StateFolder, owner: Channel, mask: set[signal.Signals]) -> int:
    """Signals wait until the keeper has its own handlers."""
    keeper = Keeper(plan, kernel, folder, owner)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return keeper.run()


def _check_performable(plan: Plan) -> None:
    for step in plan.steps:
        if not isinstance(step, (KeepState, RunVcpus)) and type(step) not in PERFORM:
            message = f"this version plans devices but cannot run them yet: {step.describe()}"
            raise Refused(Diagnostic("E511", message, help=("remove `devices` to run the VM without them",)))


def _claim(plan: Plan) -> StateFolder:
    path = Path(next(one.folder for one in plan.steps if isinstance(one, KeepState)))
    try:
        folder = StateFolder.claim(path)
    except NameTaken:
        raise AlreadyUp(plan.name, path) from None
    except PermissionError as error:
        raise NotPermitted(Diagnostic("E508", f"failed to make {path}: {error.strerror}")) from None
    except OSError as error:
        raise Refused(Diagnostic("E508", f"failed to make {path}: {error.strerror}")) from None
    left = [entry for entry in pending(path / JOURNAL) if entry.op != KeepState.op]
    if left:
        folder.close()
        message = f"{plan.name} ended without putting the host back"
        raise Refused(Diagnostic("E513", message, help=(f"run `vmlaunch down {plan.name}` first",)))
    return folder
