"""Plan in, a picture of its IOMMU groups and its memory map as SVG text out. Pure."""

from __future__ import annotations

from itertools import groupby
from math import log2
from xml.sax.saxutils import escape

from launcher.record import field, mutable
from launcher.report.frame import visible
from launcher.report.lines import wrapped
from launcher.report.plan_text import closing, heading, memory_row, placing_groups, shared_banks
from launcher.report.served_rows import HEADS, served_rows
from launcher.typed import TYPE_CHECKING
from launcher.values import MIB, show_size

if TYPE_CHECKING:
    from launcher.plan.plan import MemoryLine, Plan, PlannedDevice
    from launcher.report.served_rows import ServedRow
    from launcher.values import PciAddress

WIDTH, MARGIN = 1000, 24
LINE = 18  # from one line of text to the next
_GROUP, _BOX, _GUEST = MARGIN, 180, 800  # left edges of the three columns of the tree
_DEVICE = 46  # height of a device, with the space below it
_BAR, _BAR_WIDTH = 250, 84  # the column that stands for guest memory
_GLYPH = 7.3  # columns of a monospace font of 12 px are this wide or narrower
_STYLE = (
    "text{font:12px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1f2328}"
    ".title{font-size:18px;font-weight:bold}.head{font-size:14px;font-weight:bold}.strong{font-weight:bold}"
    ".dim{fill:#59636e}.box{fill:#f6f8fa;stroke:#8c959f}.group{fill:#ddf4ff;stroke:#0969da}"
    ".guest{fill:#dafbe1;stroke:#1a7f37}.edge{stroke:#8c959f;fill:none}.ram{fill:#aceebb;stroke:#1a7f37}"
    ".mmio{fill:#b6e3ff;stroke:#0969da}.reserved{fill:#ffcecb;stroke:#cf222e}.gap{fill:#fff;stroke:#8c959f;"
    "stroke-dasharray:3 3}"
)


@mutable
class _Sheet:
    """Elements so far, and where the next one goes."""

    y: int = MARGIN
    parts: list[str] = field(default_factory=list)

    def text(self, x: int, y: float, words: str, kind: str = "", room: int = WIDTH) -> None:
        """One line. What does not fit into `room` is cut, and whole in the tooltip."""
        whole, most = visible(words), int(room / _GLYPH)
        shown = whole if len(whole) <= most else f"{whole[: most - 1]}…"
        tip = "" if shown == whole else f"<title>{escape(whole)}</title>"
        kind_ = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x}" y="{y:g}"{kind_}>{escape(shown)}{tip}</text>')

    def box(self, x: int, y: int, width: int, height: int, kind: str) -> None:
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" class="{kind}"/>')

    def edge(self, path: str) -> None:
        self.parts.append(f'<path d="{path}" class="edge"/>')


def plan_svg(plan: Plan) -> str:
    """The same plan is the same bytes. Its texts can be selected; it runs and loads nothing."""
    sheet = _Sheet()
    name, host = heading(plan)
    sheet.text(MARGIN, sheet.y + 14, name, "title", WIDTH * 2 // 3)
    sheet.text(MARGIN, sheet.y + 36, host, "dim", WIDTH - 2 * MARGIN)
    sheet.y += 64
    if plan.devices:
        _draw_devices(sheet, plan)
    if rows := served_rows(plan):
        _draw_served(sheet, rows)
    _draw_memory(sheet, plan)
    for sentence in closing(plan, strict=False):
        sheet.text(MARGIN, sheet.y, sentence, "strong", WIDTH - 2 * MARGIN)
        sheet.y += LINE
    height = sheet.y + MARGIN - LINE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" xml:space="preserve">',
            f"<title>{escape(visible(name))}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            *sheet.parts,
            "</svg>\n",
        ]
    )


# ---- devices ----


def _draw_devices(sheet: _Sheet, plan: Plan) -> None:
    columns = ((_GROUP, "IOMMU group"), (_BOX, f"on {plan.host.name}"), (_GUEST, "in the guest"))
    for x, words in columns:
        sheet.text(x, sheet.y, words, "head", _GUEST - _BOX - 20)
    sheet.y += 14
    for number, devices in groupby(sorted(plan.devices, key=_by_group), lambda one: one.group):
        _draw_group(sheet, "none" if number is None else f"group {number}", list(devices))
    sheet.y += 24


def _by_group(one: PlannedDevice) -> tuple[bool, int]:
    """Within a group the order of the file stays."""
    return (one.group is None, one.group or 0)


def _draw_group(sheet: _Sheet, name: str, devices: list[PlannedDevice]) -> None:
    top, middle = sheet.y, sheet.y + len(devices) * _DEVICE // 2 - 4
    sheet.box(_GROUP, middle - 13, 110, 26, "group")
    sheet.text(_GROUP + 10, middle + 4, name, "strong", 100)
    for n, one in enumerate(devices):
        at = top + n * _DEVICE
        sheet.edge(f"M{_GROUP + 110} {middle}H{_BOX - 22}V{at + 19}H{_BOX}")
        _draw_device(sheet, one, at)
    sheet.y = top + len(devices) * _DEVICE + 6


def _draw_device(sheet: _Sheet, one: PlannedDevice, at: int) -> None:
    role = "" if one.role == "device" else f", {one.role}"
    what = f"{one.host}  {one.id} {one.name or ''}".rstrip()
    facts = [one.driver or "no driver", *([] if one.node is None else [f"node {one.node}"])]
    facts += [f"reset: {one.reset}"] if one.reset else []
    sheet.box(_BOX, at, _GUEST - _BOX - 60, 38, "box")
    sheet.text(_BOX + 10, at + 15, f"{one.alias}{role}", "strong", 270)
    sheet.text(_BOX + 290, at + 15, ", ".join(facts), "dim", _GUEST - _BOX - 350)
    sheet.text(_BOX + 10, at + 31, what, "", _GUEST - _BOX - 80)
    _draw_guest(sheet, one.guest, at)


# ---- disks, NICs, shares, vsock ----


def _draw_served(sheet: _Sheet, rows: tuple[ServedRow, ...]) -> None:
    """In the columns of devices, whose IOMMU groups they have none of."""
    for kind, some in groupby(rows, lambda row: row.kind):
        sheet.text(_GROUP, sheet.y, HEADS[kind][0], "head", _BOX - _GROUP - 20)
        sheet.y += 14
        for row in some:
            _draw_row(sheet, row, sheet.y)
            sheet.y += _DEVICE
        sheet.y += 16
    sheet.y += 8


def _draw_row(sheet: _Sheet, row: ServedRow, at: int) -> None:
    sheet.box(_BOX, at, _GUEST - _BOX - 60, 38, "box")
    sheet.text(_BOX + 10, at + 15, row.alias, "strong", 270)
    sheet.text(_BOX + 290, at + 15, row.engine or "nobody serves it", "dim", _GUEST - _BOX - 350)
    sheet.text(_BOX + 10, at + 31, row.what, "", _GUEST - _BOX - 80)
    _draw_guest(sheet, row.guest, at)


def _draw_guest(sheet: _Sheet, guest: PciAddress | None, at: int) -> None:
    if guest is not None:
        sheet.edge(f"M{_GUEST - 60} {at + 19}H{_GUEST}m-7 -4l7 4l-7 4")
        sheet.box(_GUEST, at + 6, 96, 26, "guest")
        sheet.text(_GUEST + 14, at + 23, guest.guest, "strong", 90)


# ---- memory ----


def _draw_memory(sheet: _Sheet, plan: Plan) -> None:
    """Address 0 is on top. Heights grow with the logarithm of the size, or small parts could not be read."""
    sheet.text(MARGIN, sheet.y, "Guest memory", "head")
    sheet.y += 14
    groups, shared, end = placing_groups(plan), shared_banks(plan), 0
    for line in plan.memory:
        if line.start > end:
            _draw_gap(sheet, line.start - end)
        _draw_line(sheet, line, groups, shared)
        end = line.start + line.size
    sheet.y += 32


def _draw_gap(sheet: _Sheet, size: int) -> None:
    sheet.box(_BAR, sheet.y, _BAR_WIDTH, 14, "gap")
    sheet.text(_BAR + _BAR_WIDTH + 16, sheet.y + 11, f"{show_size(size)} unused", "dim", 400)
    sheet.y += 14


def _draw_line(sheet: _Sheet, line: MemoryLine, groups: set[int], shared: dict[int, str]) -> None:
    span, kind, what = memory_row(line, groups, shared)
    left = _BAR + _BAR_WIDTH + 16
    sentences = wrapped("", what, int((WIDTH - MARGIN - left - 90) / _GLYPH), whole=False)
    height = max(20 + 2 * round(max(log2(line.size / MIB), 0)), 6 + LINE * len(sentences))
    middle = sheet.y + height // 2 + 4
    sheet.box(_BAR, sheet.y, _BAR_WIDTH, height, line.kind)
    sheet.text(MARGIN, middle, str(span), "", _BAR - MARGIN)
    sheet.text(_BAR + 10, middle, kind.replace("----", "reserved"), "", _BAR_WIDTH)
    sheet.text(left, middle, f"{show_size(line.size):>9}", "strong", 100)
    first = middle - (len(sentences) - 1) * LINE // 2
    for n, words in enumerate(sentences):
        sheet.text(left + 90, first + n * LINE, words)
    sheet.y += height
