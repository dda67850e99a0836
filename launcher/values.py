"""Text and numbers in, values out: PCI addresses, moments, spans of addresses, sizes. Pure."""

from __future__ import annotations

from errno import EACCES, ENODEV, ENOENT, ENOTDIR, ENXIO, EPERM

from launcher import sizes
from launcher.record import record
from launcher.typed import TYPE_CHECKING, Annotated, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# `ps` imports only where they are said.
KIB, MIB, GIB, TIB, UNITS, show_size = sizes.KIB, sizes.MIB, sizes.GIB, sizes.TIB, sizes.UNITS, sizes.show_size
PATIENCE = 20  # seconds that a driver of the host has to let go of a device

# A size in bytes that JSON writes as an integer is a plain int; an address is a Hex.


class HexMark:
    """Marks an int that is an address: hexadecimal text in JSON, an int in memory."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": "^0x[0-9a-f]+$"}


Hex = Annotated[int, HexMark()]

_PCI = r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\.([0-7])"  # for others: `parse` does without `re`
LENGTH, DOMAINS = len("c1:00.0"), (0, 5, 6, 7, 8, 9)  # characters of an address, and of a domain before it
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SMALL = frozenset("0123456789abcdef")
_DIGITS = _SMALL | {*"ABCDEF"}
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF-")


@record(order=True, many=True)
class PciAddress:
    """domain:bus:device.function (PCI Local Bus 3.0, 3.2.2.3; Linux writes wider domains for VMD)."""

    domain: int
    bus: int
    device: int
    function: int

    @classmethod
    def parse(cls, text: str) -> PciAddress:
        """`0000:c1:00.0`, `10000:e1:00.0`, or `c1:00.0` for domain 0000. ValueError otherwise."""
        domain, rest = text[:-LENGTH], text[-LENGTH:]
        digits = domain[:-1] + rest[:2] + rest[3:5] + rest[6:]
        signs = domain[-1:] + rest[2:3] + rest[5:6]
        is_address = signs == ("::." if domain else ":.") and len(domain) in DOMAINS and len(rest) == LENGTH
        if not (is_address and rest[3] in "01" and rest[6] in "01234567" and _DIGITS.issuperset(digits)):
            raise ValueError(f"not a PCI address: {text!r}")
        number = int(digits, 16)
        return cls(number >> 20, number >> 12 & 0xFF, number >> 4 & 0xFF, number & 0xF)

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.device:02x}.{self.function}"

    @property
    def slot(self) -> str:
        """The address without its function: `0000:c1:00`."""
        return str(self)[:-2]

    @property
    def guest(self) -> str:
        """How guest addresses are written, without the domain: `00:10.0`."""
        return f"{self.bus:02x}:{self.device:02x}.{self.function}"

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_PCI}$"}


@record(order=True, many=True)
class Mdev:
    """A mediated device (Documentation/driver-api/vfio-mediated-device.rst), by its name on the bus mdev: the UUID that
    it was created with."""

    uuid: str

    @classmethod
    def parse(cls, text: str) -> Mdev:
        """32 hexadecimal digits in groups of 8-4-4-4-12; the kernel writes them small. ValueError otherwise."""
        if not is_uuid(text):
            raise ValueError(f"not a UUID: {text!r}")
        return cls(text.lower())

    def __str__(self) -> str:
        return self.uuid

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{UUID}$"}


def is_uuid(text: str) -> bool:
    """Without the pattern, which each process of a start would compile for the guest's own."""
    return [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12] and {*text, "-"} <= _HEXADECIMAL


HostDevice = PciAddress | Mdev  # what VFIO gives to a guest


def host_device(text: str) -> HostDevice:
    """By how sysfs names it. ValueError: it is neither."""
    return Mdev.parse(text) if is_uuid(text) else PciAddress.parse(text)


@record(order=True, many=True)
class Moment:
    """A time, in whole seconds since 1970; written as `2026-11-29T20:24:07+00:00`."""

    seconds: int

    @classmethod
    def parse(cls, text: str) -> Moment:
        """RFC 3339, with its zone. ValueError otherwise."""
        from datetime import UTC, datetime

        try:
            read = datetime.fromisoformat(text)
            found = read.astimezone(UTC) if read.tzinfo else None
        except (ValueError, OverflowError):  # the last hours of the year 9999, in the west
            found = None
        if found is None or found.year < 1970:
            raise ValueError(f"not a time with its zone: {text!r}")
        return cls(int(found.timestamp()))

    def __str__(self) -> str:
        from datetime import UTC, datetime

        return datetime.fromtimestamp(self.seconds, UTC).isoformat()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+([+-][0-9]{2}:[0-9]{2}|Z)$"}


@record(order=True, many=True)
class Span:
    """`size` addresses from `start`; never empty, never negative."""

    start: Hex
    size: int

    def __post_init__(self) -> None:
        if self.start < 0 or self.size <= 0:
            raise ValueError(f"not a span: start {self.start:#x}, size {self.size}")

    @classmethod
    def between(cls, start: int, last: int) -> Span:
        """Both ends belong to it, as in `reserved_regions` and `/proc/iomem`."""
        return cls(start, last - start + 1)

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + self.size

    @property
    def last(self) -> int:
        return self.end - 1

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.end

    def covers(self, other: Span) -> bool:
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end

    def minus(self, others: Iterable[Span]) -> tuple[Span, ...]:
        """What is left of it, in order, when the others are taken out."""
        return tuple(_minus(self, sorted(others)))

    def __str__(self) -> str:
        return f"{self.start:012x}-{self.last:012x}"


def _minus(whole: Span, others: list[Span]) -> Iterator[Span]:
    start = whole.start
    for other in others:
        if not whole.overlaps(other):
            continue
        if start < other.start:
            yield Span(start, other.start - start)
        start = max(start, other.end)
    if start < whole.end:
        yield Span(start, whole.end - start)


def parse_size(text: str) -> int:
    """`64GiB` -> bytes. Only KiB, MiB, GiB, TiB, no space, no fraction. ValueError otherwise."""
    number, unit = text[:-3], text[-3:]
    if unit not in UNITS or not (number.isascii() and number.isdecimal()):
        raise ValueError(f"not a size: {text!r}")
    return int(number) * UNITS[unit]


def align_up(address: int, alignment: int) -> int:
    return -(-address // alignment) * alignment


def align_down(address: int, alignment: int) -> int:
    return address // alignment * alignment


@record
class Missing:
    """A fact that is not there, and why: the kernel has no such file, or we may not read it."""

    missing: Literal["absent", "denied", "asleep", "unreadable"]
    path: str


NO_MAC = "00:00:00:00:00:00"  # what a physical function gives a virtual one whose driver is to make one up
LAST_VLAN = 4094  # 4095 is reserved (IEEE 802.1Q, table 9-2)


@record
class Vlan:
    """What tags the frames of a virtual function; `id` 0: nothing does."""

    id: int
    qos: int = 0
    protocol: Literal["802.1Q", "802.1ad"] = "802.1Q"

    def __post_init__(self) -> None:
        if not (0 <= self.id <= LAST_VLAN and 0 <= self.qos <= 7):
            raise ValueError(f"not a VLAN: {self.id}, priority {self.qos}")

    def __str__(self) -> str:
        more = [f"qos {self.qos}"] * bool(self.qos) + [self.protocol] * (self.protocol != "802.1Q")
        return " ".join([str(self.id) if self.id else "none", *more])


@record
class VfSettings:
    """What a physical function is told of a virtual one. None: it is not said, or not known."""

    mac: str | None = None
    vlan: Vlan | None = None
    trust: bool | None = None
    spoofcheck: bool | None = None

    def __post_init__(self) -> None:
        if self.mac is not None and not _is_mac(self.mac):
            raise ValueError(f"not a MAC address: {self.mac!r}")

    def said(self) -> dict[str, Any]:
        """What is said, by the names of the fields."""
        found = {name: getattr(self, name) for name in LABELS}
        return {name: value for name, value in found.items() if value is not None}

    def only(self, names: Iterable[str]) -> VfSettings:
        """The same of these fields, and nothing of the others."""
        return VfSettings(**{name: getattr(self, name) for name in names})

    def __str__(self) -> str:
        return ", ".join(f"{LABELS[name]} {show_setting(value)}" for name, value in self.said().items())


def _is_mac(text: str) -> bool:
    """As the kernel writes them, in small letters."""
    return len(text) == len(NO_MAC) and {*text[2::3]} == {":"} and _SMALL.issuperset(text[::3] + text[1::3])


LABELS = {"mac": "MAC", "vlan": "VLAN", "trust": "trust", "spoofcheck": "spoofcheck"}


def show_setting(value: Any) -> str:
    """One of VfSettings in words: none, 52:54:00:12:34:56, 100, on."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value == NO_MAC else "not known" if value is None else str(value)


_WHY: dict[int | None, Literal["absent", "denied"]] = {
    ENOENT: "absent",
    ENOTDIR: "absent",
    ENODEV: "absent",
    ENXIO: "absent",
    EACCES: "denied",
    EPERM: "denied",
}


def missing(error: OSError, path: str) -> Missing:
    """What the kernel answered to whoever wanted to read it."""
    return Missing(_WHY.get(error.errno, "unreadable"), path)


def guest_uuid(name: str) -> str:
    """Of the VM of this name, wherever it runs."""
    return _named_uuid(f"vmlaunch/{name}")


def own_mdev(name: str, alias: str) -> Mdev:
    """What a mediated device that is made for the VM of this name is called: the same at each start."""
    return Mdev(_named_uuid(f"vmlaunch/{name}/{alias}"))


def _named_uuid(name: str) -> str:
    """As version 8 has it (RFC 9562, 5.8)."""
    from launcher.digests import sha256

    raw = bytearray.fromhex(sha256(name.encode())[:32])
    raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
