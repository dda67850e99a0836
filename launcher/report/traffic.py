"""What has gone through the taps of a VM, and which lead nowhere, in; a row of its report for each out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from launcher.typed import TYPE_CHECKING
from launcher.values import show_size

if TYPE_CHECKING:
    from launcher.report.holdings import Row
    from launcher.vms.traffic import Traffic


def rows_of(counted: Mapping[str, Traffic], cut_off: Mapping[str, str]) -> Iterator[Row]:
    for alias, one in counted.items():
        to, of = _way(one.received, one.received_packets), _way(one.sent, one.sent_packets)
        yield "traffic", f"{alias}  {one.tap}: {to} to the guest, {of} from it, {one.dropped:,} dropped"
    for alias, why in cut_off.items():
        yield "cut off", f"{alias}  {why}"


def _way(size: int, packets: int) -> str:
    return f"{show_size(size)} in {packets:,} {'packet' if packets == 1 else 'packets'}"
