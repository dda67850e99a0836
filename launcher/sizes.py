"""Bytes in, words out; and how many bytes are in a unit. Pure, and imports nothing: `ps` asks it."""

from __future__ import annotations

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
UNITS = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB}


def show_size(size: int) -> str:
    """Bytes as people say them: 3 GiB, 1.5 GiB, 1003 MiB, 17 bytes; exact, or with two decimals where that is long."""
    for unit, factor in reversed(UNITS.items()):
        if size >= factor and (size * 4 % factor == 0 or size >= 10_000 * factor // KIB):
            return f"{size / factor:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return "1 byte" if size == 1 else f"{size} bytes"
