"""Report in, the table that `up` ends with out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from launcher.plan.outcome import DeviceReport, EngineReport, NodeReport, ReaderReport, Report, VirtioReport
from launcher.report.frame import visible
from launcher.report.holdings import Row, confinement
from launcher.report.lines import count, width_of, wrapped
from launcher.report.progress import show_seconds
from launcher.typed import TextIO
from launcher.values import Span, show_size

KINDS = {"blk": "disk", "net": "NIC", "fs": "share", "vsock": "vsock"}
HALTED = "every vCPU executed HLT with interrupts off: nothing but an NMI, a reset or `down` wakes this guest"
WAS_HALTED = "every vCPU had executed HLT with interrupts off when the guest was ended"


MOST_PLACES = 3  # of those that nobody was at


def print_report(
    report: Report, stream: TextIO, *, colour: bool, verbose: bool = False, more: Iterable[Row] = ()
) -> None:
    """What needs no colours does not wait for rich, which takes a fifth of a start to read."""
    width, head = width_of(stream), tuple(_headline(report))
    found = (*_rows(report, width), *(_figures(report) if verbose else ()), *more)
    rows = [(name, visible(text)) for name, text in found]
    if colour:
        from launcher.report.coloured import drawn

        lines = drawn(head, rows, width)
    else:
        lines = _plain("".join(text for text, _ in head), rows, width)
    stream.write("".join(f"{line.rstrip()}\n" for line in lines))  # at once: stderr writes each line by itself


def _plain(headline: str, rows: list[Row], width: int) -> list[str]:
    most = max((len(name) for name, _ in rows), default=0)
    folded = (wrapped(f"  {name:{most}}  ", text, width, whole=False) for name, text in rows)
    return [*wrapped("", headline, width, whole=False), *(line for lines in folded for line in lines)]


def _headline(report: Report) -> Iterator[tuple[str, str]]:
    """Pieces, each with its style."""
    yield visible(report.name), "bold"
    yield f"  {report.phase}", "green" if _well(report) else "red"
    if report.end is not None:
        yield f": {visible(report.end.detail)}", ""
    if report.reboots:
        yield f", after {count(report.reboots, 'reboot')}", ""
    if report.seconds is not None:
        yield f"  ({show_seconds(report.seconds)})", "dim"


def _well(report: Report) -> bool:
    return report.end is None or report.end.exit_code == 0


def _rows(report: Report, width: int) -> Iterator[Row]:
    for vcpu in report.vcpus:
        pinned = "" if vcpu.host_cpu is None else f" on host CPU {vcpu.host_cpu}"
        unknown = "exits unknown" if report.phase == "lost" else report.phase
        exits = unknown if vcpu.exits is None else f"{vcpu.exits:,} exits to user space"
        yield f"vCPU {vcpu.index}", exits + pinned
    if report.halted:
        yield "halted", HALTED if report.end is None else WAS_HALTED
    for ram in report.memory:
        node = "" if ram.node is None else f", node {ram.node}"
        yield "RAM", f"{Span(ram.guest, ram.size)}  {show_size(ram.size)}, {ram.pages}{node}"
    for device in report.devices:
        yield "device", f"{device.alias}  {device.host} -> {device.guest}  {_device(device)}"
    for one in report.virtio:
        yield KINDS[one.kind], f"{one.alias}  {one.guest}  {one.engine}, {_virtio(one)}"
    for engine in report.engines:
        yield "engine", _engine(engine)
    counts = report.counts
    if counts and (counts.unclaimed_reads or counts.unclaimed_writes):
        reads, writes = counts.unclaimed_reads, counts.unclaimed_writes
        most = ", ".join(f"{one.space} {one.address:#x}" for one in counts.unanswered[:MOST_PLACES])
        where = f"; most at {most}" if most else ""
        yield "unclaimed", f"{reads:,} reads gave all ones, {writes:,} writes were dropped{where}"
    yield "host", _host(report)
    if report.runner is not None:
        yield "processes", f"keeper {report.pid}, runner {report.runner}"
    yield "console", _console(report)
    for reader in report.readers:
        yield "reader", _reader(reader)
    if report.end is None:
        yield "to attach", f"vmlaunch console {report.name}"
        yield "to stop", f"vmlaunch down {report.name}"
    if report.end is not None:
        yield from _register_lines(report.end.registers, width)


def _virtio(one: VirtioReport) -> str:
    """What it uses, once a driver has started."""
    queues = f"{one.queues} {'queue' if one.queues == 1 else 'queues'}, "
    left = f", {one.notified:,} notifications left the kernel" if one.notified else ""
    return f"{queues if one.starts else ''}{one.state}{left}"


def _engine(one: EngineReport) -> str:
    """`runs`, or how it ended."""
    who = f"{one.program.rpartition('/')[2]}, process {one.pid}, uid {one.uid}, for {', '.join(one.aliases)}"
    ended = f"{one.state}: it {one.how}" if one.state == "died" else one.state
    return f"{who}: {ended}" + "".join(f"; {line}" for line in one.said)


def _device(one: DeviceReport) -> str:
    """The interrupts of one that nobody has used are no news: an INTx line is armed from the beginning."""
    return one.state if one.used is False else f"{one.interrupts} x{one.vectors}, {one.state}"


def _figures(report: Report) -> Iterator[Row]:
    """What only those who measure want to know."""
    ram = sum(one.size for one in report.memory)
    for one in report.containers:
        groups = f"{'group' if len(one.groups) == 1 else 'groups'} {' '.join(map(str, one.groups))}"
        times = f"{one.ram_bytes / ram:.1f} x RAM" if ram else "no RAM"
        yield "DMA", f"{groups}: {times} in {one.ram_maps} maps, {one.peer_maps} maps of BARs"
    for node in report.nodes:
        if node.handed or node.aliases:
            yield "node", _node(node)
    if report.counts and report.counts.faults:
        yield "faults", f"{report.counts.faults:,} on BARs that did not answer"
    if report.end is not None and report.failed_undos is not None:
        yield "teardown", f"{report.failed_undos} failed calls"
    for engine in report.engines:
        yield "confined", f"{engine.name}: {confinement(engine.measures)}"
    if report.confinement:
        yield "confined", confinement(report.confinement)


def _node(one: NodeReport) -> str:
    whose = f"of {', '.join(one.aliases)}" if one.aliases else ""
    return ", ".join(filter(None, (one.path, whose, "handed in" if one.handed else "")))


def _host(report: Report) -> str:
    if report.left_behind:
        return "not as it was; to put it back: " + "; ".join(report.left_behind)
    if report.phase == "lost":
        return "nothing is left to put back"
    if not report.host_changes:
        return "nothing was changed"
    if report.phase == "ended":
        return f"as it was: {count(len(report.host_changes), 'change')} undone"
    return "; ".join(report.host_changes)


def _console(report: Report) -> str:
    if report.end is None or report.counts is None:
        return report.console
    lost = any(one.code == "W501" and "console log" in one.message for one in report.diagnostics)
    return f"{show_size(report.counts.serial_written)} written; {'not all ' * lost}kept in {report.console}"


def _reader(one: ReaderReport) -> str:
    lost = f", {show_size(one.lost)} lost" if one.lost else ""
    return f"{one.name}, {'reads and writes' if one.writer else 'reads'}, {show_size(one.behind)} behind{lost}"


def _register_lines(registers: dict[str, int], width: int) -> Iterator[Row]:
    """As many to a line as there is room for."""
    items = [f"{name:>9} {value:016x}" for name, value in registers.items()]
    many = (width - len("  registers  ")) // len(f"{items[0]}  ") if items else 1
    for n in range(0, len(items), many):
        yield "registers" if n == 0 else "", "  ".join(items[n : n + many])
