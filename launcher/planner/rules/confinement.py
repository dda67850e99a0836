"""The rule about what the runner can give up before its guest runs. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Confinement
    from launcher.planner.decided import Situation

# Measure -> what it would cover, and how a kernel has it.
_MEASURES = {
    "Landlock": (
        "open, change and make files as its user may",
        "Linux 5.13, CONFIG_SECURITY_LANDLOCK, `landlock` in lsm=",
    ),
    "seccomp": ("make any call of the kernel", "CONFIG_SECCOMP_FILTER, Linux 4.14"),
}


def _lacking(found: Confinement) -> list[str]:
    there = {"Landlock": found.landlock > 0, "seccomp": found.seccomp}
    return [name for name in _MEASURES if not there[name]]


def _measures(it: Situation) -> Iterator[Diagnostic]:
    """What of it the kernel refuses all the same, the runner says when it is there: E546, or in the report."""
    lacking = _lacking(it.host.confinement) if it.host.confinement else []
    if not lacking:
        return
    required = it.spec.confine == "required"
    then = ", which the spec requires" if required else ""
    fact = f"the guest's process cannot be confined by {' and '.join(lacking)}, which this kernel lacks{then}"
    evidence = tuple(f"without {name} a runner that is taken over may {_MEASURES[name][0]}" for name in lacking)
    ways = (f"run a kernel that has {name} ({_MEASURES[name][1]})" for name in lacking)
    help_ = (*ways, *(("or write `confine: auto`, to run with the measures that there are",) if required else ()))
    yield Diagnostic("E427" if required else "W406", fact, in_spec("confine") if required else None, evidence, help_)


RULES: tuple[Rule, ...] = (Rule("policy", _measures),)
