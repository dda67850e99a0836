"""(Placement, width) -> the hosts for a VM, best first, and why others cannot run it, for people. Pure."""

from __future__ import annotations

from launcher.report.frame import visible
from launcher.report.lines import ENDLESS, count, wrapped
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.plan.placement import Assigned, HostAnswer, Placement, Reason, SpecPlacement, Told

_HEAD = ("Best first", "warnings", "changes", "distance", "spare", "devices")
_NAMES = 6  # of hosts, beside the reason why they cannot
_INDENT = "  "
_NAME = 64  # signs of a host's name, as many as a kernel takes; a facts file may have more, or none


def placement_text(placement: Placement, most: int, width: int = ENDLESS) -> str:
    """Of each spec the best `most` hosts."""
    parts = [_spec(one, most, width) for one in placement.specs]
    if placement.assignment is not None:
        parts.append(_assignment(placement.assignment, width))
    return "\n\n".join("\n".join(visible(line) for line in part) for part in parts)


def _spec(one: SpecPlacement, most: int, width: int) -> list[str]:
    lines = [f"{one.name}: {_verdict(one)}"]
    fitting = [host for host in one.hosts if host.fits]
    if fitting:
        lines += ["", *_table([_HEAD, *(_row(host) for host in fitting[:most])], width)]
    if any(host.can_run == "unknown" for host in fitting[:most]):
        lines.append(f"{_INDENT}?: a fact that may be in the way could not be read")
    if len(fitting) > most:
        lines.append(f"{_INDENT}... and {len(fitting) - most} more; --all lists them")
    if one.reasons:
        lines += ["", "Cannot run it", *(line for reason in one.reasons for line in _reason(reason, width))]
    return lines


def _verdict(one: SpecPlacement) -> str:
    whole = count(len(one.hosts), "host")
    if one.fitting == len(one.hosts):
        return f"{whole} can run it" if one.fitting else "no host could be read"
    return f"{one.fitting or 'none'} of {whole} can run it"


def _row(one: HostAnswer) -> tuple[str, ...]:
    unsure = "?" if one.can_run == "unknown" else ""
    numbers = (one.warnings, one.host_changes, one.distance, one.spare)
    return (f"{_INDENT}{_host(one.host)}{unsure}", *map(str, numbers), _devices(one.devices))


def _host(name: str) -> str:
    return (name if len(name) <= _NAME else f"{name[: _NAME - 1]}…") or "(no name)"


def _table(rows: Sequence[tuple[str, ...]], width: int) -> Iterator[str]:
    """Numbers to the right. What has no room in the last column goes on below it."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *numbers, last in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(numbers, widths[1:-1], strict=True))]
        yield from wrapped("  ".join(cells) + "  ", last, width)


def _reason(one: Reason, width: int) -> Iterator[str]:
    hosts = f"{_INDENT}{count(len(one.hosts), 'host')}: "
    first, *more = dict.fromkeys(
        _told(told) for told in one.diagnostics
    )  # each once: two banks of one node say it alike
    yield from wrapped(hosts, first, width)
    for told in more:
        yield from wrapped(" " * len(hosts), told, width)
    named = ", ".join(map(_host, one.hosts[:_NAMES])) + (
        f" and {len(one.hosts) - _NAMES} more" if len(one.hosts) > _NAMES else ""
    )
    how = "" if one.alike else f"in the words of {_host(one.hosts[0])}; "
    yield from wrapped(" " * len(hosts), f"({how}{named})", width)


def _told(one: Told) -> str:
    return f"{one.message} ({one.code})"


def _assignment(assigned: Sequence[Assigned], width: int) -> list[str]:
    without = sum(one.host is None for one in assigned)
    fate = f"no host was found for {without} of {len(assigned)} VMs" if without else "each VM has a host"
    rows = [
        (f"{_INDENT}{one.name}", "-" if one.host is None else _host(one.host), _devices(one.devices))
        for one in assigned
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [wrapped(f"{name:{widths[0]}}  {host:{widths[1]}}  ", devices, width) for name, host, devices in rows]
    return [f"Together: {fate}", *(line for listed in lines for line in listed)]


def _devices(found: Mapping[str, object]) -> str:
    return ", ".join(f"{alias} {address}" for alias, address in found.items())
