"""(Plan, its diagnostics as text) -> the plan for people, in 100 columns. Pure."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from launcher.plan.steps import RunVcpus, Step
from launcher.values import MIB, Span, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.plan.plan import MemoryLine, Plan, PlannedDevice, Summary

WIDTH = 100
_ON_DOWN = 83  # the column of what `down` does
_BOLD, _PLAIN = "\033[1m", "\033[0m"
_MARK = re.compile(r"([ 0-9]{4} )([~+=!])(?= )")
_TINTS = {"~": "\033[33m", "+": "\033[32m", "=": "\033[2m", "!": "\033[31m"}
_VERDICTS = {"yes": "Can run", "no": "Cannot run", "unknown": "May be able to run"}


def plan_text(plan: Plan, diagnostics: str, *, colour: bool = False) -> str:
    """`diagnostics` is what report.diagnostics made of them, with frames."""
    tables = [[_header(plan)], _devices(plan.devices), list(_memory(plan)), list(_steps(plan))]
    if colour:
        tables = [[_tinted(line) for line in table] for table in tables]
    parts = ["\n".join(table) for table in tables] + [diagnostics, closing(plan)]
    return "\n\n".join(part for part in parts if part)


def _header(plan: Plan) -> str:
    ram = sum(line.size for line in plan.memory if line.kind == "ram")
    vcpus = sum(step.count for step in plan.steps if isinstance(step, RunVcpus))
    left = f"{plan.name}  {', '.join([_count(vcpus, 'vCPU'), show_size(ram), *_device_counts(plan)])}"
    host = plan.host
    right = " · ".join(one for one in (host.name, f"Linux {host.kernel}", host.iommu, host.backend) if one)
    gap = WIDTH - len(left) - len(right)
    return f"{left}{' ' * gap}{right}" if gap > 1 else f"{left}\n  {right}"


def _device_counts(plan: Plan) -> Iterator[str]:
    roles = [one.role for one in plan.devices]
    if roles:
        yield _count(roles.count("device"), "device") + _and(roles.count("companion"), "companion", "companions")
    if "detached" in roles:
        yield f"{roles.count('detached')} detached"


def _and(number: int, one: str, many: str) -> str:
    return f" and {number} {one if number == 1 else many}" if number else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# ---- devices ----


def _devices(devices: tuple[PlannedDevice, ...]) -> list[str]:
    if not devices:
        return []
    rows = [_device_row(one) for one in devices]
    first = max(len("Devices"), *(len(row[0]) for row in rows))
    head = f"{'Devices':{first}}  {'host':12}  {'is':{_name_width(first)}}  group  node  reset  guest"
    return [head, *(_device_line(row, first) for row in rows)]


def _name_width(first: int) -> int:
    return WIDTH - first - 2 - 12 - 2 - len("  group  node  reset  guest  ")


def _device_row(one: PlannedDevice) -> tuple[str, ...]:
    label = f"  {one.alias}" if one.role == "device" else f"    {one.role}"
    name = f"{one.id} {one.name}" if one.name else one.id
    numbers = ("-" if number is None else str(number) for number in (one.group, one.node))
    guest = "-" if one.guest is None else one.guest.guest
    return (label, str(one.host), name, *numbers, one.reset or "-", guest)


def _device_line(row: tuple[str, ...], first: int) -> str:
    label, host, name, group, node, reset, guest = row
    width = _name_width(first)
    short = name if len(name) <= width else f"{name[: width - 1]}…"
    return f"{label:{first}}  {host:12}  {short:{width}}  {group:>5}  {node:>4}  {reset:5}  {guest}"


# ---- memory ----


def _memory(plan: Plan) -> Iterator[str]:
    """The machine's own small parts of the hole are one line: nobody can change them."""
    yield "Guest memory"
    groups = {one.group for one in plan.devices if one.group is not None}
    for small, lines in groupby(plan.memory, _is_small_part):
        for span, kind, what in [_folded(list(lines))] if small else [_row(line, groups) for line in lines]:
            yield from _wrapped(f"  {span}  {show_size(span.size):>9}  {kind:4}  ", what, WIDTH)


def _is_small_part(line: MemoryLine) -> bool:
    return line.kind == "mmio" and line.size <= MIB


def _folded(lines: list[MemoryLine]) -> tuple[Span, str, str]:
    whole = Span.between(lines[0].start, lines[-1].start + lines[-1].size - 1)
    return whole, "MMIO", ", ".join(line.why or "" for line in lines)


def _row(line: MemoryLine, groups: set[int]) -> tuple[Span, str, str]:
    span = Span(line.start, line.size)
    if line.kind == "ram":
        node = "" if line.node is None else f", node {line.node}"
        return span, "RAM", f"bank {line.bank}, {_pages(line.pages)}{node}"
    if line.kind == "mmio":
        return span, "MMIO", line.why or ""
    whose = "all groups" if groups <= set(line.groups) else f"groups {' '.join(map(str, line.groups))}"
    kind = "" if line.why == "reserved" else f" ({line.why})"
    return span, "----", f"reserved by the IOMMU for {whose}{kind}; left empty"


def _pages(pages: str | None) -> str:
    return "transparent huge pages" if pages == "thp" else f"{pages} pages"


# ---- steps ----


def _steps(plan: Plan) -> Iterator[str]:
    yield f"{'Steps':{_ON_DOWN}}on down"
    for number, step in enumerate(plan.steps, 1):
        yield from _step_lines(number, step)
    for one in plan.diagnostics:
        if one.severity == "error":
            yield from _wrapped(f"     ! {one.code}  ", one.message, WIDTH)


def _step_lines(number: int, step: Step) -> Iterator[str]:
    first, *rest = _wrapped(f"{number:4} {step.mark} ", step.describe(), _ON_DOWN - 2)
    yield f"{first:{_ON_DOWN}}{step.on_down}".rstrip()
    yield from rest


def _wrapped(start: str, text: str, width: int) -> list[str]:
    """Like textwrap, but it keeps the blanks inside: steps align their words."""
    lines, room = [], width - len(start)
    while len(text) > room:
        cut = text.rfind(" ", 1, room + 1)
        cut = room if cut < 0 else cut
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [(start if n == 0 else " " * len(start)) + line for n, line in enumerate([*lines, text])]


# ---- the last line ----


def closing(plan: Plan) -> str:
    summary = plan.summary
    counts = f"{_count(summary.blockers, 'blocker')}, {_count(summary.warnings, 'warning')}"
    said = [counts] if summary.can_run == "no" else [*_effects(summary), counts]
    return f"{_VERDICTS[summary.can_run]}: {'; '.join(said)}."


def _effects(summary: Summary) -> Iterator[str]:
    if summary.host_changes:
        changes = "driver changes and comes" if summary.host_changes == 1 else "drivers change and come"
        yield f"{summary.host_changes} host {changes} back on down"
    if summary.locked_bytes:
        yield f"{show_size(summary.locked_bytes)} locked"


def _tinted(line: str) -> str:
    """Headings bold, marks in their colour."""
    if line.startswith(("Devices", "Guest memory", "Steps")):
        return f"{_BOLD}{line}{_PLAIN}"
    mark = _MARK.match(line)
    if mark is None:
        return line
    return f"{mark[1]}{_TINTS[mark[2]]}{mark[2]}{_PLAIN}{line[mark.end() :]}"
