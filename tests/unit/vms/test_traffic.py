"""What went through an interface, as this machine's kernel counts it; the loopback stands for a tap."""

from __future__ import annotations

import socket

from launcher.report.traffic import rows_of
from launcher.vms.traffic import Traffic, cut_off, traffic

PLAN = {
    "steps": [
        {"op": "keep-state", "args": {"folder": "/run/vmlaunch/vm"}},
        {"op": "open-tap", "args": {"alias": "lan", "tap": "lo"}},
        {"op": "make-tap", "args": {"alias": "gone", "tap": "nosuchtap", "bridge": "br0", "mtu": 1500}},
    ]
}


def test_bytes_and_packets_of_taps_that_are_there_are_counted() -> None:
    before = traffic(PLAN)["lan"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.sendto(bytes(1000), one.getsockname())
    after = traffic(PLAN)
    assert list(after) == ["lan"]
    assert after["lan"].received >= before.received + 1000
    assert after["lan"].received_packets > before.received_packets
    assert after["lan"].sent >= before.sent + 1000


def test_a_nic_whose_tap_has_gone_or_has_left_its_bridge_is_cut_off() -> None:
    left = {"op": "make-tap", "args": {"alias": "left", "tap": "lo", "bridge": "br0", "mtu": 1500}}
    told = cut_off({"steps": [*PLAN["steps"], left]})
    assert told == {"gone": "there is no nosuchtap here any more", "left": "lo is no port of br0 any more"}
    assert list(rows_of({}, told)) == [("cut off", f"{alias}  {why}") for alias, why in told.items()]


def test_a_machine_without_taps_has_no_row() -> None:
    plan: dict[str, list[object]] = {"steps": []}
    assert list(rows_of(traffic(plan), cut_off(plan))) == []


def test_the_row_says_whose_side_it_is_on() -> None:
    counted = {"lan": Traffic("vml-1", 2048, 3, 1024, 1, 0)}
    assert list(rows_of(counted, {})) == [
        ("traffic", "lan  vml-1: 2 KiB in 3 packets to the guest, 1 KiB in 1 packet from it, 0 dropped")
    ]
