"""Who listens to a keeper goes: with leave or without it, and before or after the keeper had something to say."""

from __future__ import annotations

import resource
import select
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from launcher.cli.logs import last_lines
from launcher.executor.keeper.audience import MOST, VISITORS, Audience
from launcher.kernel.console import Console
from launcher.plan.outcome import StepOutcome
from launcher.vms.channel import Channel, Closed
from launcher.vms.orders import Stop
from tests.unit.kernel.test_console import say


class Scene:
    """An audience whose owner is at the other end of `owner`; how often it was orphaned."""

    def __init__(self, folder: Path) -> None:
        self.owner, theirs = Channel.pair()
        self.orphaned = 0
        self.console = Console()
        self.path = folder / "control.sock"
        self.obeyed: list[dict[str, Any]] = []
        self.here: list[Channel] = []
        self.audience = Audience(self.console, theirs, lambda _, order: self.obeyed.append(order), self._orphan)
        self.audience.open(self.path)

    def _orphan(self) -> None:
        self.orphaned += 1

    def turn(self) -> None:
        """One of the keeper's loop."""
        poll = select.poll()
        for fd, events in self.audience.interests().items():
            poll.register(fd, events)
        self.audience.attend(dict(poll.poll(0)))
        self.audience.pump()

    def close(self) -> None:
        self.audience.close()
        self.console.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with closing(Scene(tmp_path)) as made:
        yield made


def test_an_owner_that_left_and_has_gone_when_it_is_told_something_leaves_the_vm_running(scene: Scene) -> None:
    scene.owner.send({"do": "leave"})
    scene.owner.close()
    scene.audience.tell_all(StepOutcome(1, "done"))
    scene.audience.pump()
    assert scene.orphaned == 0


def test_an_owner_that_went_without_a_word_takes_the_vm_along(scene: Scene) -> None:
    scene.owner.close()
    scene.audience.tell_all(StepOutcome(1, "done"))
    scene.audience.pump()
    assert scene.orphaned == 1


def come(scene: Scene, *words: dict[str, object]) -> Channel:
    """Connects and says so much; the keeper looks at its door."""
    one = Channel.connect(scene.path)
    for message in words:
        one.send(message)
    scene.turn()
    return one


def is_here(scene: Scene, one: Channel) -> bool:
    scene.turn()
    try:
        while one.receive(wait=False):
            pass
    except Closed:
        return False
    return True


WATCH = {"do": "watch", "name": "test"}


def test_the_visitor_that_has_been_silent_longest_goes_when_one_more_comes(scene: Scene) -> None:
    first, second = come(scene), come(scene)
    reader = come(scene, WATCH)
    for _ in range(VISITORS - 2):
        scene.here.append(come(scene))
    first.send({"do": "report"})
    scene.turn()
    scene.here.append(come(scene))
    assert not is_here(scene, second)
    assert is_here(scene, first)
    assert is_here(scene, reader)


def test_an_order_is_heard_whatever_crowd_there_is(scene: Scene) -> None:
    for n in range(3 * VISITORS + MOST):
        scene.here.append(come(scene, *([WATCH] if n % 2 else [])))
    scene.here.append(come(scene, {"do": "stop"}))
    assert scene.obeyed == [Stop()]
    assert scene.orphaned == 0


def test_one_reader_more_is_told_how_many_there_may_be(scene: Scene) -> None:
    for _ in range(MOST - 1):  # and the owner
        scene.here.append(come(scene, WATCH))
    late = come(scene, WATCH)
    packet = late.receive(wait=False)
    assert packet is not None
    assert packet.message == {"full": MOST}
    assert all(is_here(scene, one) for one in scene.here)
    scene.here.pop().close()
    scene.turn()
    assert is_here(scene, come(scene, WATCH))


def test_without_a_descriptor_for_one_more_a_reader_makes_room(scene: Scene) -> None:
    reader = come(scene, WATCH)
    order = Channel.connect(scene.path)
    order.send({"do": "stop"})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (order.fileno() + 1, before[1]))
    try:
        scene.turn()  # the reader goes
        scene.turn()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert scene.obeyed == [Stop()]
    assert not is_here(scene, reader)


SAID = [b"", b"one", b"one\n", b"one\ntwo\nthree\n", b"one\ntwo\nth", b"\n\n\n", b"x" * 5000 + b"\ny\n"]


@pytest.mark.parametrize("said", SAID, ids=range(len(SAID)))
def test_a_reader_begins_so_many_lines_before_the_end(scene: Scene, said: bytes) -> None:
    say(scene.console, said)
    for lines in (0, 1, 2, 3, 100, -1):
        position = scene.audience._lines(lines)
        assert scene.console.read(position, 10_000)[0] == last_lines(said, max(lines, 0))


def test_a_reader_begins_where_the_ring_does_when_it_has_fewer_lines(scene: Scene) -> None:
    for _ in range(40):
        say(scene.console, b"z" * 32_000 + b"\n")
    data, _, lost = scene.console.read(scene.audience._lines(1000), 1 << 21)
    assert (lost, len(data) > 1_000_000) == (0, True)


def test_who_asks_for_the_last_lines_is_a_reader(scene: Scene) -> None:
    say(scene.console, b"one\ntwo\n")
    one = come(scene, {"do": "watch-lines", "name": "logs", "lines": 1})
    scene.turn()
    first = one.receive(wait=False)
    assert first is not None
    assert first.message == {"watching": True}
    second = one.receive(wait=False)
    assert second is not None
    assert second.data == b"two\n"
