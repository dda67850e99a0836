"""The bytes of a file that is to be an option ROM in, its images out (PCI Firmware 3.3, 5.1). Pure; bounded reads.

Hostile files say that they are no ROM, and nothing else.
"""

from __future__ import annotations

import struct

from launcher.record import record
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

SIGNATURE = b"\x55\xaa"
UNIT = 512
_LEGACY = 0  # code type of an image for a PC BIOS, the only one that has a checksum
_LAST = 0x80
_MOST_IMAGES = 16
_MOST_DEVICES = 256
_SEARCHED = 1 << 20  # how far into a dump an image is looked for


@record
class OptionRom:
    """`ids` are the vendor:device of its images, `others` what their device lists name.

    `start` is where the first image begins, None where there is none: the file is no option ROM. `missing`: bytes that
    the images say they have behind the end of the file. `sums`: whether the checksum of the first image is right.
    """

    start: int | None = None
    ids: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    missing: int = 0
    sums: bool = True


class _Image(NamedTuple):
    at: int
    id: str
    others: tuple[str, ...]
    length: int
    code: int
    last: bool


def parse_rom(size: int, read: Read) -> OptionRom:
    start = _first(size, read)
    if start is None:
        return OptionRom()
    images = list(_images(start, size, read))
    end = images[-1].at + images[-1].length
    # An image that is not the last one and has none behind it: there was at least one more unit.
    missing = end - size if end > size else 0 if images[-1].last else UNIT
    ids = tuple(dict.fromkeys(one.id for one in images))
    others = tuple(dict.fromkeys(other for one in images for other in one.others))
    return OptionRom(start, ids, others, missing, _adds_up(images[0], size, read))


def _images(start: int, size: int, read: Read) -> Iterator[_Image]:
    at = start
    for _ in range(_MOST_IMAGES):
        image = _image(at, read)
        if image is None:
            return
        yield image
        at += image.length
        if image.last or at >= size:
            return


def _first(size: int, read: Read) -> int | None:
    """At the start, or behind the header of a dump: NVIDIA's (NVGI) is 0x400 or 0x600 bytes long."""
    if _image(0, read):
        return 0
    text = read(0, min(size, _SEARCHED))
    at = text.find(SIGNATURE, 1)
    while at != -1:
        if _image(at, read):
            return at
        at = text.find(SIGNATURE, at + 1)
    return None


def _image(at: int, read: Read) -> _Image | None:
    header = read(at, 0x1A)
    if len(header) < 0x1A or header[:2] != SIGNATURE:
        return None
    (pointer,) = struct.unpack_from("<H", header, 0x18)
    data = read(at + pointer, 0x18)
    if len(data) < 0x18 or data[:4] != b"PCIR":
        return None
    vendor, device, listed, _, revision = struct.unpack_from("<HHHHB", data, 4)
    (units,) = struct.unpack_from("<H", data, 0x10)
    length = (units or header[2] or 1) * UNIT
    others = _device_list(vendor, at + pointer + listed, read) if listed and revision >= 3 else ()
    return _Image(at, f"{vendor:04x}:{device:04x}", others, length, data[0x14], bool(data[0x15] & _LAST))


def _device_list(vendor: int, at: int, read: Read) -> tuple[str, ...]:
    """Of PCI data structures of revision 3: device ids up to a zero."""
    table = read(at, 2 * _MOST_DEVICES)
    ids = [int.from_bytes(table[place : place + 2], "little") for place in range(0, len(table) - 1, 2)]
    return tuple(f"{vendor:04x}:{one:04x}" for one in ids[: ids.index(0) if 0 in ids else 0])


def _adds_up(image: _Image, size: int, read: Read) -> bool:
    """All bytes of an image for a PC BIOS add up to zero, over the length that its third byte says."""
    length = read(image.at + 2, 1)[0] * UNIT
    if image.code != _LEGACY or not length or image.at + length > size:
        return True
    return sum(read(image.at, length)) % 256 == 0
