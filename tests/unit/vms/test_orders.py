"""Orders are read as they were sent; what is no order, or too long, is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from launcher.codec import encode
from launcher.vms import orders


@pytest.mark.parametrize(
    ("plain", "order"),
    [
        ({"do": "leave"}, orders.Leave()),
        ({"do": "watch", "name": "logs", "all": True}, orders.Watch("logs", True)),
        ({"do": "watch-lines", "name": "logs", "lines": 5}, orders.WatchLines("logs", 5)),
        ({"do": "type", "on": True}, orders.Type(True)),
        ({"do": "signal", "number": 15}, orders.Signal(15)),
        ({"do": "stop", "by": "down", "force": False, "timeout": "soon"}, orders.Stop("down", False, "soon")),
        ({"do": "report"}, orders.AskReport()),
    ],
)
def test_orders_are_read(plain: dict[str, Any], order: orders.Order) -> None:
    assert orders.read_order(plain) == order
    assert orders.order(order) == plain


@pytest.mark.parametrize(
    "plain",
    [{}, {"do": "dance"}, {"do": ["stop"]}, {"do": "stop", "by": 7}, {"do": "stop", "by": "x" * 65},
     {"do": "type", "on": 1}, {"do": "stop", "by": "\x1b[2J"}, {"do": "signal"}, {"do": "leave", "more": 1}],
)  # fmt: skip
def test_what_is_no_order_is_none(plain: dict[str, Any]) -> None:
    assert orders.read_order(plain) is None


@pytest.mark.parametrize(
    "begin", [orders.Begin(), orders.Begin(False, ("login:", 60.0)), orders.Begin(wait=("\udce9", 1))]
)
def test_a_keeper_begins_as_its_up_says(begin: orders.Begin) -> None:
    assert orders.read_begin(json.loads(json.dumps(orders.order(begin)))) == begin


def test_no_client_lets_a_keeper_begin() -> None:
    assert orders.read_order(orders.order(orders.Begin())) is None


@pytest.mark.parametrize("do", ["power", "stop", "tell"])
def test_a_runner_is_told_what_to_do(do: orders.RunnerDo) -> None:
    plain = encode(orders.RunnerOrder(do))
    assert plain == {"do": do}
    assert orders.read_runner_order(plain) == do


@pytest.mark.parametrize("plain", [{}, {"do": "kill"}, {"do": ["stop"]}, {"do": "stop", "by": "x"}])
def test_what_is_no_order_to_a_runner_is_none(plain: dict[str, Any]) -> None:
    assert orders.read_runner_order(plain) is None
