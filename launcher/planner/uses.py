"""A function -> what the host does with it, and how hard that is to give up. Pure."""

from __future__ import annotations

from launcher.host.facts import Use
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.host.facts import PciFunction

# Data is lost if the device goes: no word of the spec takes it.
HARD = ("mounted", "swap", "holder", "member")
_CONSOLE = "it is the display of the firmware and of the host's console"


def is_hard(use: Use) -> bool:
    return use.kind in HARD


def runs_from(uses: Sequence[Use]) -> bool:
    """The root file system is on it: no command ends that."""
    return any(use.kind == "mounted" and use.name == "/" for use in uses)


def uses_of(one: PciFunction) -> tuple[Use, ...]:
    """The display that the firmware started is a use of its own."""
    console = one.boot_vga and all(use.kind != "console" for use in one.uses)
    return (*one.uses, Use("console", _CONSOLE)) if console else one.uses
