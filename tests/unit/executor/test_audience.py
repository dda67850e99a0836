"""Who listens to a keeper goes: with leave or without it, and before or after the keeper had something to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from launcher.executor.audience import Audience
from launcher.kernel.machine import Console
from launcher.vms.channel import Channel


class Scene:
    """An audience whose owner is at the other end of `owner`; how often it was orphaned."""

    def __init__(self, folder: Path) -> None:
        self.owner, theirs = Channel.pair()
        self.orphaned = 0
        self.console = Console()
        self.audience = Audience(self.console, theirs, lambda *_: None, self._orphan)
        self.audience.open(folder / "control.sock")

    def _orphan(self) -> None:
        self.orphaned += 1

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
    scene.audience.tell_all({"outcome": {}})
    scene.audience.pump()
    assert scene.orphaned == 0


def test_an_owner_that_went_without_a_word_takes_the_vm_along(scene: Scene) -> None:
    scene.owner.close()
    scene.audience.tell_all({"outcome": {}})
    scene.audience.pump()
    assert scene.orphaned == 1
