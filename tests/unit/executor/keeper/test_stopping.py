"""How a VM is stopped from outside, with the clock as a number."""

from __future__ import annotations

from signal import SIGINT, SIGTERM

from launcher.executor.keeper.stopping import PATIENCE, Stopping


def test_a_guest_that_listens_to_its_button_is_given_its_time() -> None:
    stopping = Stopping()
    assert stopping.ask("SIGTERM", 128 + SIGTERM, 30, False, now=100) == "power"
    assert stopping.answered(True, now=100.1) is None
    assert stopping.tick(129.9) is None
    assert not stopping.forced
    assert stopping.tick(130) == "stop"
    assert (stopping.forced, stopping.why) == (True, "the guest did not power off in 30 s")
    assert stopping.tick(130 + PATIENCE) == "kill"
    assert stopping.why == "the guest did not power off in 30 s"


def test_a_guest_that_does_not_listen_is_not_waited_for() -> None:
    stopping = Stopping()
    stopping.ask("SIGTERM", 128 + SIGTERM, 30, False, now=0)
    assert stopping.answered(False, now=0.1) == "stop"
    assert stopping.why == "the guest does not listen to its power button"


def test_force_does_not_press_the_button() -> None:
    assert Stopping().ask("SIGINT", 128 + SIGINT, 30, True, now=0) == "stop"


def test_a_second_request_is_impatience() -> None:
    stopping = Stopping()
    stopping.ask("SIGTERM", 128 + SIGTERM, 30, False, now=0)
    assert stopping.ask("SIGINT", 128 + SIGINT, 30, False, now=1) == "stop"
    assert (stopping.by, stopping.why) == ("SIGTERM", "")


def test_a_third_request_changes_nothing() -> None:
    stopping = Stopping()
    stopping.ask("SIGTERM", 128 + SIGTERM, 30, True, now=0)
    assert stopping.ask("SIGTERM", 128 + SIGTERM, 30, False, now=1) is None


def test_a_runner_that_does_not_go_is_killed_and_then_left_alone() -> None:
    stopping = Stopping()
    stopping.ask("SIGTERM", 128 + SIGTERM, 30, True, now=0)
    assert stopping.tick(PATIENCE) == "kill"
    assert stopping.deadline is None
    assert stopping.tick(1e9) is None


def test_an_answer_that_comes_after_the_order_to_stop_changes_nothing() -> None:
    stopping = Stopping()
    stopping.ask("SIGTERM", 128 + SIGTERM, 30, True, now=0)
    assert stopping.answered(False, now=1) is None
