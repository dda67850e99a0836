"""A size of a spec in, bytes out; for what is none, a Problem that says what it can mean. Pure.

A fix is given where the text has one meaning. A bare number has several: QEMU and Proxmox count in MiB, libvirt's XML
in KiB, Kubernetes in bytes, and people in GiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from launcher.patterns import re
from launcher.spec.problems import Problem
from launcher.spec.scalars import wrong_kind
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, KIB, MIB, TIB, UNITS, parse_size

if TYPE_CHECKING:
    from decimal import Decimal

PAGE = 4 * KIB
PHYSICAL = 4096 * TIB  # 52 address bits, all that x86 page tables can hold (Intel SDM 3A, 4.1.4)

_RULE = "sizes are whole numbers with KiB, MiB, GiB or TiB, without a space"
_OURS = r"[0-9]{1,20}[KMGT]iB"
_NUMBER_AND_UNIT = r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)(\s*)([a-zA-Z]*)\s*"
# The units whose initial others write: k, KB, kib, kilobytes.
_UNIT = r"(?i:([kmgt])(|b|i|ib|bytes?|(?:ilo|ega|iga|era)bytes?|(?:i|e)bibytes?))"

# Who means what by a number without a unit, from the largest unit to the smallest.
_IN_MIB = ("MiB, as QEMU, Proxmox and libvirt's virt-install mean a bare number", MIB)
_IN_GIB = ("GiB", GIB)
_IN_KIB = ("KiB, as libvirt's XML means a bare number", KIB)
_IN_BYTES = ("bytes, as Kubernetes means a bare number", 1)


def size(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise wrong_kind("a size such as 64GiB", given).error()
    try:
        bytes_ = parse_size(str(given))
    except ValueError:
        raise _no_size(given).error() from None
    if bytes_ == 0:
        raise Problem("E108", f"{given} is no memory at all", help=("sizes are 4KiB or more",)).error()
    if bytes_ % PAGE:
        raise Problem(
            "E108", f"{given} is not a whole number of 4 KiB pages", help=("take a multiple of 4KiB",)
        ).error()
    if bytes_ > PHYSICAL:
        help_ = ("4096TiB is the most",)
        raise Problem("E108", f"{given} is more than the 4096 TiB an x86 machine can address", help=help_).error()
    return bytes_


def size_text(bytes_: int) -> str:
    """The largest unit that says it exactly: 64GiB, 1536MiB."""
    unit, factor = next((unit, factor) for unit, factor in reversed(UNITS.items()) if bytes_ % factor == 0)
    return f"{bytes_ // factor}{unit}"


def _no_size(given: object) -> Problem:
    from decimal import Decimal

    match = re.fullmatch(_NUMBER_AND_UNIT, str(given))
    if match is None:
        return _of_an_option(str(given)) or Problem("E107", f"not a size: {given}", help=(_RULE,))
    number, unit = Decimal(match[1]), unit_of(match[3])
    if not match[3]:
        return Problem("E107", f"a size without a unit: {given}", help=(*readings(number), _RULE))
    if unit is None:
        return Problem("E107", f"not a size: {given}", help=(_RULE,))
    return _rewritten(match, number * unit)


def _of_an_option(given: str) -> Problem | None:
    """QEMU's and cloud-hypervisor's `size=4G`, and what they have behind a comma, which is not of the size."""
    match = re.fullmatch(r"(?:size=)?([^,=]+)(,[a-zA-Z].*)?", given.strip())
    if match is None or match[1] == given:
        return None
    inner = _no_size(match[1])
    size_ = inner.fix or (match[1] if re.fullmatch(_OURS, match[1]) else None)
    helps = (f"write `{size_}`",) if size_ else inner.help
    more = ("the memory is all there from the start, and its pages are `pages` of a bank",) if match[2] else ()
    return Problem("E107", f"not a size: {given}", help=(*helps, *more), fix=None if match[2] else size_)


def _rewritten(match: re.Match[str], bytes_: Decimal) -> Problem:
    """The number and the unit that are meant; what is no whole number of pages has no exact form."""
    message = f"{_fault(match)}: {match[0]}"
    if bytes_ > PHYSICAL:
        return Problem("E107", message, help=("an x86 machine can address 4096TiB",))
    if bytes_ % PAGE or not bytes_:
        nearest = int(bytes_ / MIB)
        near = (f"the nearest below is `{nearest}MiB`",) if nearest else ()
        return Problem("E107", message, help=(*near, _RULE))
    whole = match[1].isdecimal()
    fix = f"{int(match[1])}{_unit_name(match[3])}" if whole else size_text(int(bytes_))
    return Problem("E107", message, help=(f"write `{fix}`", _RULE), fix=fix)


def _fault(match: re.Match[str]) -> str:
    if match[3] not in UNITS:
        return f"`{match[3]}` is not a unit here"
    return "a size with a space in it" if match[1].isdecimal() else "a size that is not a whole number"


def unit_of(word: str) -> int | None:
    """Bytes in what somebody else calls a unit: M, MB, mib."""
    return UNITS[_unit_name(word)] if re.fullmatch(_UNIT, word) else None


def _unit_name(word: str) -> str:
    return f"{word[0].upper()}iB"


def readings(number: Decimal) -> Iterator[str]:
    """What a number without a unit can mean; nobody counts 2^20 and more in MiB, and nobody less in bytes."""
    whole = number == int(number)
    ways = (_IN_BYTES, _IN_KIB) if number >= MIB else (_IN_MIB, _IN_GIB) if whole else (_IN_GIB,)
    yield from _read(number, ways)


def _read(number: Decimal, ways: Iterable[tuple[str, int]]) -> Iterator[str]:
    for who, unit in ways:
        bytes_ = number * unit
        if bytes_ and bytes_ % PAGE == 0 and bytes_ <= PHYSICAL:
            yield f"if it is meant in {who}, write `{_as_counted(number, unit) or size_text(int(bytes_))}`"


def _as_counted(number: Decimal, unit: int) -> str | None:
    """65536MiB for 65536: the reader is to find his own number again."""
    name = next((name for name, factor in UNITS.items() if factor == unit), None)
    return f"{int(number)}{name}" if name and unit >= MIB and number == int(number) else None
