"""A function, a choice, rows of evidence in; the words and commands that several rules have for them out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.host.facts import PciFunction
    from launcher.planner.decided import Choice


def show(one: PciFunction) -> str:
    return f"{one.id} {one.name}" if one.name else one.id


def shown(one: PciFunction) -> tuple[str, str, str]:
    """The first columns of evidence: address, what it is, its driver."""
    return (str(one.address), show(one), one.driver or "no driver")


def aligned(rows: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """A line for each row; columns that are empty in all of them are left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return tuple("  ".join(cells).rstrip() for cells in zip(*padded, strict=True))


def listed(rows: Sequence[tuple[str, ...]], most: int = 8) -> tuple[str, ...]:
    """As `aligned`, and how many more there are than a reader wants to see."""
    more = (f"... and {len(rows) - most} more",) if len(rows) > most else ()
    return (*aligned(rows[:most]), *more)


def sysfs(one: PciFunction) -> str:
    return f"/sys/bus/pci/devices/{one.address}"


def giving_back(one: PciFunction) -> str:
    """Without the override the driver that knows the device takes it."""
    steps = (f"echo > {sysfs(one)}/driver_override", f"echo {one.address} > {sysfs(one)}/driver/unbind")
    return "; ".join((*steps, f"echo {one.address} > /sys/bus/pci/drivers_probe"))


def adding(choice: Choice, key: str, value: str) -> str:
    """What to write into the spec; the short form, which has no room for a key, is written out."""
    device = choice.device
    if device.model_fields_set != {"pci"}:
        return f"{'write' if key in device.model_fields_set else 'add'} `{key}: {value}`"
    return f"write `{choice.alias}: {{pci: {device.pci}, {key}: {value}}}`"
