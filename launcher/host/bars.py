"""The `resource` file, `resourceN_resize` and /proc/iomem in, Bars out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from launcher.host.facts import Bar
from launcher.host.lists import number, str_of
from launcher.patterns import re
from launcher.row import NamedTuple
from launcher.typed import Literal
from launcher.values import MIB, Hex, Missing, Span

# Flags of a line of `resource` (include/linux/ioport.h).
_IO, _MEM, _PREFETCH, _MEM_64, _UNSET = 0x100, 0x200, 0x2000, 0x100000, 0x20000000
_SHADOW = 0x2  # of the line of the ROM: IORESOURCE_ROM_SHADOW
_BARS, _ROM = 6, 6

# Framebuffers that firmware set up: they hold a part of a BAR that is not theirs.
_FRAMEBUFFERS = frozenset(
    {"BOOTFB", "efifb", "vesafb", "simplefb", "simple-framebuffer", "simpledrm", "efidrm", "vesadrm"}
)
_CLAIM = r" *([0-9a-f]+)-([0-9a-f]+) : (.+)"


class Line(NamedTuple):
    """One line of `resource`."""

    start: int
    last: int
    flags: int

    @property
    def empty(self) -> bool:
        return not (self.start or self.last or self.flags)


class Claim(NamedTuple):
    """A line of /proc/iomem."""

    span: Span
    name: str


def read_lines(text: str) -> tuple[Line, ...]:
    """The BARs and the ROM; behind them come the BARs of virtual functions or the windows of a bridge."""
    return tuple(Line(*(int(word, 16) for word in line.split())) for line in text.splitlines()[: _ROM + 1])


def empty_bars(lines: tuple[Line, ...]) -> frozenset[int]:
    """The second half of a 64-bit BAR, a BAR that is not there, or one that got no address."""
    return frozenset(index for index, line in enumerate(lines[:_BARS]) if line.empty)


def read_bars(lines: tuple[Line, ...], sizes: Mapping[int, str | Missing], claims: tuple[Claim, ...]) -> Iterator[Bar]:
    """`sizes` are the bitmaps of resourceN_resize by index."""
    for index, line in enumerate(lines[:_BARS]):
        if line.flags & (_IO | _MEM) and line.last > line.start:
            start: Hex = 0 if line.flags & _UNSET else line.start
            yield Bar(
                index=index,
                kind=_kind(line.flags),
                prefetchable=bool(line.flags & _PREFETCH),
                start=start,
                size=line.last - line.start + 1,
                sizes=_sizes(sizes.get(index, "")),
                claimed=_claimed(start, line, claims),
            )


def rom(lines: tuple[Line, ...]) -> Literal["bar", "shadow"]:
    """For a function that has the file `rom`, which must not be read."""
    return "shadow" if len(lines) > _ROM and lines[_ROM].flags & _SHADOW else "bar"


def _kind(flags: int) -> Literal["io", "mem32", "mem64"]:
    if flags & _IO:
        return "io"
    return "mem64" if flags & _MEM_64 else "mem32"


def _sizes(text: str | Missing) -> tuple[int, ...]:
    """`0000000000003f00`: bit b stands for 2^b MiB."""
    bitmap = number(text, 16) or 0
    return tuple(MIB << bit for bit in range(bitmap.bit_length()) if bitmap >> bit & 1)


def _claimed(start: int, line: Line, claims: tuple[Claim, ...]) -> tuple[str, ...]:
    if not claims or not start or line.flags & _IO:
        return ()
    span = Span.between(start, line.last)
    return tuple(sorted({claim.name for claim in claims if claim.span.overlaps(span)}))


def framebuffer_claims(iomem: str | Missing) -> tuple[Claim, ...]:
    """Those who may not know the addresses read zeros."""
    return tuple(_framebuffers(str_of(iomem)))


def _framebuffers(iomem: str) -> Iterator[Claim]:
    if not any(name in iomem for name in _FRAMEBUFFERS):
        return
    for match in (re.fullmatch(_CLAIM, line) for line in iomem.splitlines()):
        if match and match[3] in _FRAMEBUFFERS and (last := int(match[2], 16)):
            yield Claim(Span.between(int(match[1], 16), last), match[3])
