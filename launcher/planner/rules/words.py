"""A function, a choice, rows of evidence in; the words and commands that several rules have for them out. Pure."""

from __future__ import annotations

from launcher.host.facts import Config
from launcher.planner.functions import is_bridge
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from launcher.host.facts import HostFacts, IommuGroup, PciFunction
    from launcher.planner.decided import Choice, Taken


def show(one: PciFunction) -> str:
    return f"{one.id} {one.name}" if one.name else one.id


def named(one: Taken) -> str:
    """The subject of a sentence: its address, and whether the spec means it or it came with what that means."""
    return f"{one.function.address}" + ("" if one.role == "device" else ", its companion,")


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


def series(names: Iterable[str], word: str = "and") -> str:
    """a, b and c."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


def sysfs(one: PciFunction) -> str:
    return f"/sys/bus/pci/devices/{one.address}"


def named_in_spec(one: PciFunction, host: HostFacts) -> str:
    """What a spec writes to mean it: a virtual function by its number, as its address is the host's to choose."""
    pf = next((pf for pf in host.pci if pf.address == one.physical_function), None)
    if pf is None or one.address not in pf.virtual_functions:
        return f"pci: {one.address}"
    return f"pci: {pf.address}, vf: {pf.virtual_functions.index(one.address)}"


def binding(functions: Sequence[PciFunction]) -> str:
    """driver_override is for one address only, and needs no id that others share. A bridge stays without a driver."""
    held = [one for one in functions if one.driver]
    bound = [one for one in functions if not is_bridge(one)]
    device = "/sys/bus/pci/devices/$d"
    parts = (
        _for_each(held, f"echo $d > {device}/driver/unbind"),
        _for_each(bound, f"echo vfio-pci > {device}/driver_override; echo $d > /sys/bus/pci/drivers_probe"),
    )
    return "; ".join(part for part in parts if part)


def _for_each(functions: list[PciFunction], command: str) -> str:
    addresses = [str(one.address) for one in functions]
    if len(addresses) < 2:
        return "".join(command.replace("$d", one) for one in addresses)
    return f"for d in {' '.join(addresses)}; do {command}; done"


def giving_back(one: PciFunction) -> str:
    """Without the override the driver that knows the device takes it."""
    steps = (f"echo > {sysfs(one)}/driver_override", f"echo {one.address} > {sysfs(one)}/driver/unbind")
    return "; ".join((*steps, f"echo {one.address} > /sys/bus/pci/drivers_probe"))


def moving(one: PciFunction, group: IommuGroup, host: HostFacts) -> tuple[str, ...]:
    """How a card gets out of the company of others. Parts of the board cannot be moved, and ports of a root port's
    family that share a group do so in every slot below them."""
    above = next((port for port in host.pci if port.address == one.parent), None)
    if one.address.bus == 0 or (isinstance(one.config, Config) and one.config.port is None):
        return ()
    shares = above is not None and above.address in group.devices and above.address.bus == 0
    slot = "below another root port" if shares else "of the CPU's own"
    return (f"put the card into a slot {slot}, or switch on ACS in the firmware: then it is in a group of its own",)


def adding(choice: Choice, key: str, value: str) -> str:
    """What to write into the spec; the short form, which has no room for a key, is written out."""
    device = choice.device
    if device.said != {"pci"}:
        return f"{'write' if key in device.said else 'add'} `{key}: {value}`"
    return f"write `{choice.alias}: {{pci: {device.pci}, {key}: {value}}}`"
