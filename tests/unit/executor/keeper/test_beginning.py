"""What a keeper is told that is to begin."""

from __future__ import annotations

import pytest

from launcher.executor.keeper.beginning import order_of
from launcher.kernel.threads import Running
from launcher.vms.channel import MOST, Channel, Closed
from launcher.vms.orders import Begin, order


@pytest.mark.parametrize("text", ["login:", "x" * MOST, "ä" * (MOST // 2)])
def test_whatever_is_waited_for_is_heard_whole(text: str) -> None:
    """The longest word of a command line is as long as a packet, and JSON writes six letters for one."""
    mine, theirs = Channel.pair()
    wanted = Begin(reboot=False, wait=(text, 60.0))
    thread = Running(lambda: mine.send(order(wanted)))
    thread.start()
    assert order_of(theirs) == wanted
    assert theirs.longest == MOST
    thread.join()


def test_a_keeper_that_nobody_wants_is_told_so() -> None:
    mine, theirs = Channel.pair()
    mine.close()
    with pytest.raises(Closed):
        order_of(theirs)
