"""The plan of a VM that is up in; what has gone through its taps out, as the kernel counts it (sysfs-class-net)."""

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


def _counted(plan: Mapping[str, Any]) -> Iterator[tuple[str, Traffic]]:
    for step in plan.get("steps", ()):
        if step["op"] in TAPS:
            alias, tap = step["args"]["alias"], step["args"]["tap"]
            with suppress(OSError, ValueError):
                yield alias, _of(tap)


def _of(tap: str) -> Traffic:
    """What the tap sends, the guest receives."""

    def count(name: str) -> int:
        return int((NETWORK / tap / "statistics" / name).read_text())

    dropped = count("rx_dropped") + count("tx_dropped")
    return Traffic(tap, count("tx_bytes"), count("tx_packets"), count("rx_bytes"), count("rx_packets"), dropped)
