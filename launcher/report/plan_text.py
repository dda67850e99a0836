"""(Plan, its diagnostics as text, width) -> the plan for people. Pure."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby

from launcher.plan.step import Step
from launcher.plan.steps import BindDriver, MakeMdev, RunVcpus, SetVirtualFunction, TakeMemory
from launcher.plan.virtio import MakeTap
from launcher.report.frame import visible
from launcher.report.lines import WIDE, count, wrapped
from launcher.report.served_rows import HEADS, NOUNS, served_rows
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import MIB, Span, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.plan.plan import MemoryLine, Plan, PlannedDevice
    from launcher.report.served_rows import ServedRow

_ON_DOWN = 17  # columns for what `down` does
_ROOMY = 76  # columns from which on there is room for all of a table
_BOLD, _PLAIN = "\033[1m", "\033[0m"
_MARK = r"([ 0-9]{4} )([~+=!])(?= )"
_TINTS = {"~": "\033[33m", "+": "\033[32m", "=": "\033[2m", "!": "\033[31m"}
_HEADINGS = ("Devices", *(head for head, _ in HEADS.values()), "Guest memory", "Steps")
_VERDICTS = {"yes": "Can run", "no": "Cannot run", "unknown": "May be able to run"}


def plan_text(plan: Plan, diagnostics: str, *, strict: bool = False, colour: bool = False, width: int = WIDE) -> str:
    """`diagnostics` is what report.diagnostics made of them, with frames; `strict`: warnings block."""
    tables = (
        _header(plan, min(width, WIDE)),
        _devices(plan, width),
        _only(plan, min(width, WIDE)),
        _served(served_rows(plan), width),
        _memory(plan, width),
        _steps(plan, min(width, _widest(plan))),
    )
    shown = [[visible(line) for line in table] for table in tables]
    if colour:
        shown = [[_tinted(line) for line in table] for table in shown]
    last = [line for sentence in closing(plan, strict) for line in wrapped("", sentence, width)]
    parts = ["\n".join(table) for table in shown] + [diagnostics, "\n".join(last)]
    return "\n\n".join(part for part in parts if part)


def heading(plan: Plan) -> tuple[str, str]:
    """What it is, and which host it is for."""
    ram = sum(line.size for line in plan.memory if line.kind == "ram")
    vcpus = sum(step.count for step in plan.steps if isinstance(step, RunVcpus))
    parts = ", ".join([count(vcpus, "vCPU"), show_size(ram), *_device_counts(plan), *_served_counts(plan)])
    host = plan.host
    whose = " · ".join(one for one in (host.name, f"Linux {host.kernel}", host.iommu, host.backend) if one)
    return f"{plan.name}  {parts}", whose


def _header(plan: Plan, width: int) -> list[str]:
    left, right = heading(plan)
    gap = width - len(left) - len(right)
    return [f"{left}{' ' * gap}{right}"] if gap > 1 else [*wrapped("", left, width), *wrapped("  ", right, width)]


def _device_counts(plan: Plan) -> Iterator[str]:
    roles = [one.role for one in plan.devices]
    if roles:
        yield count(roles.count("device"), "device") + _and(roles.count("companion"), "companion", "companions")
    if "detached" in roles:
        yield f"{roles.count('detached')} detached"


def _served_counts(plan: Plan) -> Iterator[str]:
    kinds = Counter(row.kind for row in served_rows(plan))
    yield from (count(number, NOUNS[kind]) if kind in NOUNS else kind for kind, number in kinds.items())


def _and(number: int, one: str, many: str) -> str:
    return f" and {number} {one if number == 1 else many}" if number else ""


# ---- devices ----


def _only(plan: Plan, width: int) -> list[str]:
    """What it was told to keep to."""
    if plan.only is None:
        return []
    return wrapped("", f"Nothing is touched but {', '.join(map(str, plan.only)) or 'nothing'}.", width)


_DEVICE_HEAD = ("Devices", "host", "is", "group", "node", "reset", "guest")


# What the table says of a device that the spec names and the plan has not: each of these codes means that.
_WITHOUT_FUNCTION = {
    "E201": "not found",
    "E204": "not found",
    "E205": "several match",
    "E206": "none is free",
    "E207": "not there yet",
    "E210": "given twice",
    "E212": "a bridge",
    "E235": "cannot be made",
    "E247": "not given",
    "E260": "not found",
}


def _devices(plan: Plan, width: int) -> list[str]:
    absent = tuple(_lacking(plan))
    labels = (_DEVICE_HEAD[0], *(_device_row(one)[0] for one in plan.devices), *(f"  {row[0]}" for row in absent))
    label = max(map(len, labels))
    lacking = [line for alias, *what in absent for line in wrapped(f"{f'  {alias}':{label}}  ", "  ".join(what), width)]
    if not plan.devices:
        return ["Devices", *lacking] if lacking else []
    return [*_device_table(plan.devices, width), *lacking]


def _lacking(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Alias, what the spec says it is, and what became of that."""
    found = {one.alias for one in plan.devices}
    said = {one.message.partition(": ")[0]: one.code for one in plan.diagnostics if one.code in _WITHOUT_FUNCTION}
    for alias, device in (plan.spec.resolved.get("devices") or {}).items():
        if alias not in found:
            yield alias, _wish(device), _WITHOUT_FUNCTION.get(said.get(alias, ""), "not found")


def _wish(device: dict[str, Any]) -> str:
    if mdev := device.get("mdev"):
        return _wished_mdev(mdev)
    if device.get("pci"):
        return f"{device['pci']}" + (f" vf {device['vf']}" if device.get("vf") is not None else "")
    return ", ".join(f"{key} {value}" for key, value in (device.get("match") or {}).items() if value is not None)


def _wished_mdev(mdev: Any) -> str:
    if not isinstance(mdev, dict):
        return str(mdev)
    return f"{mdev['type']} of {mdev.get('parent')}" if mdev.get("type") else str(mdev.get("uuid"))


def _device_table(devices: tuple[PlannedDevice, ...], width: int) -> list[str]:
    """What a device is gets the room that the rest leaves; node and reset are not there where there is little."""
    rows = [_DEVICE_HEAD, *(_device_row(one) for one in devices)]
    if width < _ROOMY:
        rows = [(*row[:4], row[6]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[2] = max(width - sum(widths) + widths[2] - 2 * (len(widths) - 1), len("0000:0000"))
    return [_device_line(row, widths) for row in rows]


def _device_row(one: PlannedDevice) -> tuple[str, ...]:
    label = f"  {one.alias}" if one.role == "device" else f"    {one.role}"
    name = f"{one.id} {one.name}" if one.name else one.id
    group, node = ("-" if number is None else str(number) for number in (one.group, one.node))
    guest = "-" if one.guest is None else one.guest.guest
    return (label, str(one.host), name, f"{group:>5}", f"{node:>4}", _reset(one), guest)


def _reset(one: PlannedDevice) -> str:
    """`bus +1`: one more function is reset with it."""
    return f"{one.reset or '-'} +{len(one.resets)}" if one.resets else one.reset or "-"


def _device_line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [cell if len(cell) <= width else f"{cell[: width - 1]}…" for cell, width in zip(row, widths, strict=True)]
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


# ---- disks, NICs, shares, vsock ----


def _served(rows: tuple[ServedRow, ...], width: int) -> list[str]:
    """One table, with a head for each kind. What has no room beside its engine is whole, and the engine below it."""
    table: list[tuple[str, ...]] = []
    for kind, some in groupby(rows, lambda row: row.kind):
        first = ("engine", "guest") if not table else ("", "")
        table += [(*HEADS[kind], *first), *((f"  {row.alias}", row.what, row.engine or "-", row.place) for row in some)]
    if not table:
        return []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    if (spare := width - sum(widths) - 2 * (len(widths) - 1)) < 0:
        return [line for row in table for line in _below_each_other(row, widths, width)]
    widths[1] += spare
    return [_device_line(row, widths) for row in table]


def _below_each_other(row: tuple[str, ...], widths: list[int], width: int) -> Iterator[str]:
    """A path sticks out rather than that it is cut: somebody may copy it."""
    label, what, engine, place = row
    start = label.ljust(widths[0]) + "  "
    first, *more = wrapped(start, what, max(width - widths[3] - 2, widths[0] + 10))
    yield f"{first.ljust(width - widths[3] - 2)}  {place}".rstrip()
    yield from more
    if place and engine not in ("", "-", "engine"):
        yield from wrapped(" " * len(start), f"by {engine}", width)


# ---- memory ----


def _memory(plan: Plan, width: int) -> Iterator[str]:
    """The machine's own small parts of the hole are one line: nobody can change them."""
    yield "Guest memory"
    groups, shared = placing_groups(plan), shared_banks(plan)
    for small, some in groupby(plan.memory, _is_small_part):
        lines = list(some)
        rows = [_folded(lines)] if small else [memory_row(line, groups, shared) for line in lines]
        for span, kind, what in rows:
            yield from wrapped(f"  {span}  {show_size(span.size):>9}  {kind:4}  ", what, width)


def _is_small_part(line: MemoryLine) -> bool:
    return line.kind == "mmio" and line.size <= MIB


def _folded(lines: list[MemoryLine]) -> tuple[Span, str, str]:
    whole = Span.between(min(line.start for line in lines), max(line.start + line.size - 1 for line in lines))
    return whole, "MMIO", ", ".join(line.why or "" for line in lines)


def placing_groups(plan: Plan) -> set[int]:
    """The groups whose reserved regions shape its memory."""
    return {one.group for one in plan.devices if one.group is not None}


def shared_banks(plan: Plan) -> dict[int, str]:
    """Those that engines map, too, and in which pages they are."""
    return {step.bank: step.pages for step in plan.steps if isinstance(step, TakeMemory) and step.shared}


def memory_row(line: MemoryLine, groups: set[int], shared: dict[int, str]) -> tuple[Span, str, str]:
    span = Span(line.start, line.size)
    if line.kind == "ram":
        node = "" if line.node is None else f", node {line.node}"
        engines = ", shared with engines" if line.bank in shared else ""
        pages = shared[line.bank] if line.bank in shared else _pages(line.pages)
        return span, "RAM", f"bank {line.bank}, {pages}{node}{engines}"
    if line.kind == "mmio":
        return span, "MMIO", line.why or ""
    numbers = f"{'group' if len(line.groups) == 1 else 'groups'} {' '.join(map(str, line.groups))}"
    if line.why == "direct":
        return span, "----", f"kept by the firmware for {numbers}"
    whose = "every group of this VM" if groups <= set(line.groups) else numbers
    kind = "" if line.why == "reserved" else f" ({line.why})"
    return span, "----", f"reserved by the IOMMU for {whose}{kind}"


def _pages(pages: str | None) -> str:
    return "transparent huge pages" if pages == "thp" else f"{pages} pages"


# ---- steps ----


def _widest(plan: Plan) -> int:
    """What all steps fit into: on a wider terminal what `down` does would stand far off."""
    longest = max((len(step.describe()) for step in plan.steps), default=0)
    return max(longest + len("   1 + ") + 2 + _ON_DOWN, WIDE)


def _steps(plan: Plan, width: int) -> Iterator[str]:
    yield f"{'Steps':{width - _ON_DOWN}}on down" if width >= _ROOMY else "Steps"
    for number, step in enumerate(plan.steps, 1):
        yield from _step_lines(number, step, width)
    if codes := dict.fromkeys(one.code for one in plan.diagnostics if one.severity == "error"):
        loaded = any(step.op in ("load-kernel", "load-firmware") for step in plan.steps)
        without = "" if loaded else "; no step loads a kernel or firmware yet"
        yield from wrapped("     ! stopped by ", ", ".join(codes) + without, width)


def _step_lines(number: int, step: Step, width: int) -> Iterator[str]:
    """What `down` does is in a column of its own, or where there is no room in a line of its own."""
    roomy = width >= _ROOMY and len(step.on_down) <= _ON_DOWN
    first, *rest = wrapped(f"{number:4} {step.mark} ", step.describe(), width - (_ON_DOWN + 2 if roomy else 0))
    yield f"{first:{width - _ON_DOWN}}{step.on_down}".rstrip() if roomy else first
    yield from rest
    if step.on_down and not roomy:
        yield from wrapped("       on down: ", step.on_down, width)


# ---- the last line ----


def closing(plan: Plan, strict: bool) -> list[str]:
    """The verdict comes last."""
    summary = plan.summary
    blockers, warnings = count(summary.blockers, "blocker"), count(summary.warnings, "warning")
    if strict and summary.warnings and summary.can_run != "no":
        return [f"Cannot run: {warnings}, and --strict makes them block."]
    said = [f"{blockers}, {warnings}"] if summary.can_run == "no" else [*_effects(plan), f"{blockers}, {warnings}"]
    return [f"{_VERDICTS[summary.can_run]}: {'; '.join(said)}."]


def _effects(plan: Plan) -> Iterator[str]:
    drivers = sum(isinstance(step, BindDriver) for step in plan.steps)
    told = sum(isinstance(step, SetVirtualFunction) for step in plan.steps)
    if drivers:
        changes = "driver changes and comes" if drivers == 1 else "drivers change and come"
        yield f"{drivers} host {changes} back on down"
    taps = sum(isinstance(step, MakeTap) for step in plan.steps)
    if taps:
        yield f"{count(taps, 'tap')} {'is' if taps == 1 else 'are'} made, and gone on down"
    made = sum(isinstance(step, MakeMdev) for step in plan.steps)
    if made:
        yield f"{count(made, 'mediated device')} {'is' if made == 1 else 'are'} made, and removed on down"
    if told:
        yield f"{count(told, 'virtual function')} {'is' if told == 1 else 'are'} set, and put back on down"
    if plan.summary.locked_bytes:
        yield f"{show_size(plan.summary.locked_bytes)} locked"


def _tinted(line: str) -> str:
    """Headings bold, marks in their colour."""
    if line.startswith(_HEADINGS):
        return f"{_BOLD}{line}{_PLAIN}"
    mark = re.match(_MARK, line)
    if mark is None:
        return line
    return f"{mark[1]}{_TINTS[mark[2]]}{mark[2]}{_PLAIN}{line[mark.end() :]}"
