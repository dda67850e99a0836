"""The plan of a VM that is up in; what has gone through its taps, as the kernel counts it, and which of them lead
nowhere any more, out (sysfs-class-net)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from launcher.plan.virtio import MakeTap, OpenTap
from launcher.row import NamedTuple
from launcher.typed import Any

NETWORK = Path("/sys/class/net")
TAPS = (MakeTap.op, OpenTap.op)


class Traffic(NamedTuple):
    """Bytes and packets as the guest has them; dropped on either way."""

    tap: str
    received: int
    received_packets: int
    sent: int
    sent_packets: int
    dropped: int


def traffic(plan: Mapping[str, Any]) -> dict[str, Traffic]:
    """By the NIC's alias. `plan` as JSON; one that is not there any more is left out."""
    return dict(_counted(plan))


def cut_off(plan: Mapping[str, Any]) -> dict[str, str]:
    """By the NIC's alias: somebody has removed its tap, or taken it from its bridge. The guest sees a link all the
    same."""
    return {alias: why for alias, tap, bridge in _taps(plan) if (why := _why_cut_off(tap, bridge))}


def _why_cut_off(tap: str, bridge: str | None) -> str:
    if not (NETWORK / tap).exists():
        return f"there is no {tap} here any more"
    master = NETWORK / tap / "master"
    if bridge is not None and (not master.exists() or master.resolve().name != bridge):
        return f"{tap} is no port of {bridge} any more"
    return ""


def _taps(plan: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """(alias, tap, the bridge that it was made for)."""
    for step in plan.get("steps", ()):
        if step["op"] in TAPS:
            given = step["args"]
            yield given["alias"], given["tap"], given.get("bridge")


def _counted(plan: Mapping[str, Any]) -> Iterator[tuple[str, Traffic]]:
    for alias, tap, _ in _taps(plan):
        with suppress(OSError, ValueError):
            yield alias, _of(tap)


def _of(tap: str) -> Traffic:
    """What the tap sends, the guest receives."""

    def count(name: str) -> int:
        return int((NETWORK / tap / "statistics" / name).read_text())

    dropped = count("rx_dropped") + count("tx_dropped")
    return Traffic(tap, count("tx_bytes"), count("tx_packets"), count("rx_bytes"), count("rx_packets"), dropped)
