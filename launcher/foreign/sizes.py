"""A size as libvirt or QEMU writes it in, bytes out. Pure."""

from __future__ import annotations

import re

from launcher.values import GIB, KIB, MIB, TIB

_BINARY = {"k": KIB, "m": MIB, "g": GIB, "t": TIB, "p": 1024 * TIB, "e": 1024 * 1024 * TIB}
_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15, "e": 10**18}
_NUMBER = r"\s*([0-9]{1,20})\s*"
PAGE = 4 * KIB


def of_libvirt(number: str, unit: str = "KiB") -> int | None:
    """`K` and `KiB` are 1024, `KB` is 1000 (virScaleInteger)."""
    if not re.fullmatch(_NUMBER, number):
        return None
    word = unit.strip().lower() or "kib"
    if word in ("b", "byte", "bytes"):
        return int(number)
    if re.fullmatch("[kmgtpe](ib)?", word):
        return int(number) * _BINARY[word[0]]
    return int(number) * _DECIMAL[word[0]] if re.fullmatch("[kmgtpe]b", word) else None


def of_qemu(text: str, bare: int = MIB) -> int | None:
    """`4G`, `4g`, `1.5G`; a bare number counts in `bare`."""
    found = re.fullmatch(r"\s*([0-9]{1,20}(?:\.[0-9]{1,6})?)\s*([bBkKmMgGtT]?)[iI]?[bB]?\s*", text)
    if found is None:
        return None
    unit = bare if not found[2] else _BINARY.get(found[2].lower(), 1)
    whole, _, part = found[1].partition(".")
    return int(whole) * unit + (int(part) * unit // 10 ** len(part) if part else 0)


def of_digits(text: str) -> int:
    """0 where it is no number, or one that no count of anything has."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def rounded(size: int, page: int = PAGE) -> int:
    return -(-size // page) * page


def pages_of(size: int | None) -> str:
    """The word of a spec for huge pages of this size; nothing if there is none."""
    return {4 * KIB: "4KiB", 2 * MIB: "2MiB", GIB: "1GiB"}.get(size or 0, "")
