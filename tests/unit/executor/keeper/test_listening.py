"""The keeper listens while it works: on the fake kernel, whose drivers let go of a device when the test says so."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.vms.channel import Channel
from launcher.vms.folder_state import SOCKET
from launcher.vms.orders import AskReport, Signal, Stop, order
from tests.fakes.host import FakeHost
from tests.unit.executor.passing import guest
from tests.unit.executor.test_killed import BEFORE, Killing, a_host, a_plan, check_that_the_host_comes_back, live, state

STEPS = 4  # drivers are bound by steps 2 to 5


class Scene:
    """A life whose host's second function is held until `let_go`; what its owner heard, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[dict[str, Any]] = []
        self.reading, self.writing = os.pipe2(os.O_CLOEXEC)

    def host(self) -> FakeHost:
        host = a_host(self.folder)
        host.functions[1].held = self.reading
        return host

    def live(self, heard: Any) -> tuple[int, dict[str, Any] | None]:
        def listen(message: dict[str, Any], channel: Channel, keeper: int) -> None:
            self.told.append(message)
            heard(message, channel, keeper)

        return live(a_plan(self.folder), Held(self, host=self.host(), events=guest()), heard=listen)

    def let_go(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def states(self) -> list[tuple[int, str]]:
        outcomes = [one["outcome"] for one in self.told if "outcome" in one]
        return [(one["n"], one["state"]) for one in outcomes if one["state"] != "progress"]

    def close(self) -> None:
        self.let_go()
        os.close(self.reading)


class Held(Killing):
    """The keeper has only the end of the pipe that it waits at."""

    def __init__(self, scene: Scene, **more: Any) -> None:
        super().__init__(**more)
        self._scene = scene

    def call(self, name: str) -> None:
        if os.getpid() == self.keeper:
            self._scene.let_go()
        super().call(name)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def is_waiting(message: dict[str, Any]) -> str:
    return (
        str(message.get("outcome", {}).get("note", "")) if message.get("outcome", {}).get("state") == "progress" else ""
    )


def check_that_it_was_stopped(scene: Scene, status: int, report: dict[str, Any] | None, by: str, code: int) -> None:
    """No step was begun after that in hand, and what was done is undone, last first."""
    assert (status, report and report["end"]["detail"]) == (code, f"stopped by force: {by}")
    assert scene.states() == [
        *((1, "started"), (1, "done"), (2, "started"), (2, "done"), (3, "started"), (3, "failed")),
        *((3, "undone"), (2, "undone")),
    ]
    assert state(a_host(scene.folder)) == BEFORE
    check_that_the_host_comes_back(scene.folder, by)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("way", ["keeper", "owner", "both"])
def test_a_stop_while_a_driver_does_not_let_go_is_heard_and_nothing_more_is_changed(
    scene: Scene, number: signal.Signals, way: str
) -> None:
    def stop(message: dict[str, Any], channel: Channel, keeper: int) -> None:
        if is_waiting(message).startswith("waiting for 8139too to let go of 0000:02:00.0, "):
            if way in ("owner", "both"):
                channel.send(order(Signal(number)))
            if way in ("keeper", "both"):
                os.kill(keeper, number)
        if message.get("stopping"):
            scene.let_go()

    check_that_it_was_stopped(scene, *scene.live(stop), number.name, 128 + number)


def test_down_is_obeyed_and_inspect_is_answered_while_a_driver_does_not_let_go(scene: Scene) -> None:
    reports: list[dict[str, Any]] = []

    def visit(message: dict[str, Any], _: Channel, __: int) -> None:
        if is_waiting(message) and not reports:
            visitor = Channel.connect(scene.folder / "state" / SOCKET)
            visitor.send(order(AskReport()))
            packet = visitor.receive()
            assert packet is not None
            assert packet.message is not None
            reports.append(packet.message["known"])
            visitor.send(order(Stop("down")))
            visitor.close()
        if message.get("stopping"):
            scene.let_go()

    check_that_it_was_stopped(scene, *scene.live(visit), "down", 128 + signal.SIGTERM)
    assert reports[0]["phase"] == "starting"


def test_a_stop_by_somebody_without_a_name_is_one(scene: Scene) -> None:
    def stop(message: dict[str, Any], channel: Channel, _: int) -> None:
        if is_waiting(message):
            channel.send(order(Stop("")))
        if "stopping" in message:
            scene.let_go()

    check_that_it_was_stopped(scene, *scene.live(stop), "", 128 + signal.SIGTERM)


def test_who_waits_says_that_it_was_told_to_stop(scene: Scene) -> None:
    notes: list[str] = []

    def stop(message: dict[str, Any], channel: Channel, _: int) -> None:
        if note := is_waiting(message):
            notes.append(note)
            if len(notes) == 1:
                channel.send(order(Signal(signal.SIGINT)))
            else:
                scene.let_go()

    scene.live(stop)
    assert notes[1].startswith("SIGINT: waiting for 8139too to let go of 0000:02:00.0, ")


def test_an_outcome_is_told_when_it_happens(scene: Scene) -> None:
    """The driver lets go only after the owner has heard of the steps before, and that this one has begun."""

    def watch(message: dict[str, Any], _: Channel, __: int) -> None:
        if message.get("outcome", {}) and scene.states()[-1:] == [(3, "started")]:
            scene.let_go()

    status, report = scene.live(watch)
    assert status == 0
    assert report is not None
    assert report["end"]["how"] == "power-off"
    check_that_the_host_comes_back(scene.folder, "nothing")


def test_a_stop_before_the_first_step_changes_nothing(scene: Scene) -> None:
    def stop(message: dict[str, Any], channel: Channel, _: int) -> None:
        if scene.states() == [(1, "started")]:
            channel.send(order(Signal(signal.SIGINT)))

    scene.let_go()
    status, _ = scene.live(stop)
    assert status in (0, 130)  # it may be heard late, and the guest be done by then
    assert state(a_host(scene.folder)) == BEFORE
