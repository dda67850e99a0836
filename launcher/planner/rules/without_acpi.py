"""Rules about guests that are told to leave the ACPI tables alone: what no other table makes up for. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.boot import cmdline_of
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

OFF = "acpi=off"  # Linux, Documentation/admin-guide/kernel-parameters.txt


def _no_way_to_power_off(it: Situation) -> Iterator[Diagnostic]:
    """The MP table and the interrupt lines have all else; only ACPI knows how to power off."""
    if OFF not in _words(cmdline_of(it.spec, it.files)):
        return
    fact = f"with `{OFF}` Linux cannot power this machine off: it halts, and the VM stays up"
    help_ = (f"take `{OFF}` out of the command line", "or end the guest by `reboot`, and the VM with `up --no-reboot`")
    yield Diagnostic("W440", fact, in_spec("boot.cmdline"), help=help_)


def _words(cmdline: str) -> set[str]:
    """What follows `--` is for init."""
    words = cmdline.split()
    return set(words[: words.index("--")] if "--" in words else words)


RULES: tuple[Rule, ...] = (Rule("policy", _no_way_to_power_off),)
