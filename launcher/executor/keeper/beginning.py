"""A channel to the `up` that forked this process in; its plan claimed and kept, and the exit code of the VM, out.

All that a keeper imports is imported here, while others still plan.
"""

from __future__ import annotations

import gc
from contextlib import suppress

from launcher.executor.keeper.claim import claim
from launcher.executor.keeper.giving_up import rehearse
from launcher.executor.keeper.keeper import Keeper
from launcher.executor.paper import take_plan
from launcher.kernel import kvm  # noqa: F401 - the runner's, which would import it itself
from launcher.kernel.handed import Handed
from launcher.kernel.real import RealKernel
from launcher.plan.codec import learn_plans
from launcher.plan.plan import Plan
from launcher.signals import signal
from launcher.typed import Any
from launcher.vms.awaited import AwaitedText
from launcher.vms.channel import MOST, MOST_REPORT, Channel, Closed
from launcher.vms.folder import StateFolder
from launcher.vms.notices import Notice, notice_to_json
from launcher.vms.orders import Begin, read_begin


def begin_keeping(owner: Channel, paper: int, mask: Any, given: Handed) -> int:
    """Wait for the order to begin; claim, tell, keep. `paper` has the plan; `mask` is of signals, from `run` on.

    0 when nobody wants it any more, 1 when the claim is refused, which `owner` is told.
    """
    rehearse()
    learn_plans()
    try:
        begin = order_of(owner)
    except Closed:
        return 0
    plan = take_plan(paper)
    folder, answer = claim(plan)
    if folder is None:
        _tell(owner, answer)
        return 1
    gc.freeze()  # what there is stays: to look at it would take longer than to plan, and copy pages that others share
    gc.enable()
    keeper = _keeper(plan, begin, given, folder, owner, answer)
    if keeper is None:
        return 0
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return keeper.run()


def order_of(owner: Channel) -> Begin:
    """The text of `--wait` may be long. Closed: nobody wants it any more."""
    owner.longest = MOST_REPORT
    packet = owner.receive()
    owner.longest = MOST
    return read_begin((packet and packet.message) or {})


def _tell(owner: Channel, answer: Notice) -> None:
    with suppress(Closed):
        owner.send(notice_to_json(answer))


def _keeper(
    plan: Plan, begin: Begin, given: Handed, folder: StateFolder, owner: Channel, answer: Notice
) -> Keeper | None:
    """Made, and `owner` told so. None: nobody is left to run it for; without a keeper the folder goes."""
    try:
        awaited = AwaitedText(*begin.wait) if begin.wait else None
        keeper = Keeper(plan, RealKernel(given), folder, owner, reboot=begin.reboot, awaited=awaited)
        owner.send(notice_to_json(answer))
    except BaseException as error:
        with suppress(OSError):
            folder.remove()
        if isinstance(error, Closed):
            return None
        raise
    return keeper
