"""A function's folder in, its power state, link and counted errors out. Asks no device that sleeps."""

from __future__ import annotations

from launcher.host.facts import PcieLink, Power
from launcher.host.lists import entries, number, str_of
from launcher.patterns import re
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_AWAKE = ("active", "unsupported")  # words of runtime_status; unsupported: no runtime power management
_UNKNOWN = 255  # lanes: an integrated device, which has a link in name alone
_ERRORS = {"correctable": "TOTAL_ERR_COR", "nonfatal": "TOTAL_ERR_NONFATAL", "fatal": "TOTAL_ERR_FATAL"}


class Folder(NamedTuple):
    """A function's folder, listed once: what is not in `names` need not be looked for."""

    tree: Tree
    path: str
    names: frozenset[str]

    def text(self, name: str) -> str | Missing:
        path = f"{self.path}/{name}"
        there = name.partition("/")[0] in self.names
        return self.tree.read_text(path) if there else Missing("absent", path)

    def number(self, name: str, base: int = 10) -> int | None:
        return number(self.text(name), base)

    def link(self, name: str) -> str | Missing:
        path = f"{self.path}/{name}"
        return self.tree.read_link(path) if name in self.names else Missing("absent", path)

    def inside(self, name: str) -> tuple[str, ...]:
        return entries(self.tree.list_folder(f"{self.path}/{name}")) if name in self.names else ()


def read_power(folder: Folder) -> Power | None:
    state = folder.text("power_state")
    if isinstance(state, Missing):
        return None
    # Kernels without power management have no folder `power`.
    runtime = folder.text("power/runtime_status")
    control = folder.text("power/control")
    return Power(
        state=state,
        runtime="unsupported" if isinstance(runtime, Missing) else runtime,
        control="on" if isinstance(control, Missing) else control,
        d3cold_allowed=folder.text("d3cold_allowed") != "0",
    )


def is_awake(power: Power | None) -> bool:
    """Whether reading its registers changes nothing: the kernel would resume it, and the ports above it, first."""
    return power is None or (power.runtime in _AWAKE and power.state != "D3cold")


def read_link(folder: Folder, awake: bool) -> PcieLink | Missing | None:
    """None: no PCI Express link of its own, as conventional and integrated devices and virtual functions."""
    if "current_link_width" not in folder.names or "physfn" in folder.names:
        return None
    if not awake:
        return Missing("asleep", f"{folder.path}/current_link_width")
    width, most = folder.number("current_link_width"), folder.number("max_link_width")
    if not most or width is None or _UNKNOWN in (width, most):
        return None
    speed, most_speed = (str_of(folder.text(f"{which}_link_speed")) for which in ("current", "max"))
    return PcieLink(width, most, speed, most_speed)


def read_errors(folder: Folder) -> dict[str, int]:
    """The kernel's own counters, which ask no device."""
    found = {kind: _total(folder, kind) for kind in _ERRORS}
    return {kind: count for kind, count in found.items() if count is not None}


def _total(folder: Folder, kind: str) -> int | None:
    name = f"aer_dev_{kind}"
    if name not in folder.names:
        return None
    match = re.search(rf"^{_ERRORS[kind]} (\d+)", str_of(folder.text(name)), re.MULTILINE)
    return int(match[1]) if match else None
