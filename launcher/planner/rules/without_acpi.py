"""Rules about guests that are told to leave the ACPI tables alone: nothing else describes the machine to them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.needs import vectors_of, with_interrupts
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

# Linux, Documentation/admin-guide/kernel-parameters.txt: words that switch off all of ACPI, or what routes interrupts.
_ALL, _ROUTING = ("acpi=off",), ("pci=noacpi", "acpi=noirq")


def _without_acpi(it: Situation) -> Iterator[Diagnostic]:
    """The machine has neither an MP table nor interrupt lines as firmware leaves them."""
    words = _words(it.spec.boot.cmdline)
    said = [one for one in (*_ALL, *_ROUTING) if one in words]
    if not said:
        return
    evidence = tuple(_costs(it, whole=said[0] in _ALL))
    help_ = (f"take `{said[0]}` out of the command line",)
    fact = f"with `{said[0]}` nothing describes this machine to Linux"
    yield Diagnostic("W440", fact, in_spec("boot.cmdline"), evidence, help_)


def _words(cmdline: str) -> set[str]:
    """`pci=nomsi,noacpi` is two words. What follows `--` is for init."""
    words = cmdline.split()
    kernels = words[: words.index("--")] if "--" in words else words
    pairs = [word.partition("=") for word in kernels]
    return {f"{key}={one}" for key, _, values in pairs for one in values.split(",")}


def _costs(it: Situation, *, whole: bool) -> Iterator[str]:
    if whole and it.spec.cpus.count > 1:
        yield f"it finds one of {it.spec.cpus.count} vCPUs"
    deaf = [one.alias for one, config in with_interrupts(it) if not vectors_of(config)]
    if deaf:
        yield f"no interrupt of {', '.join(dict.fromkeys(deaf))} arrives, which has INTx only"
    yield "it cannot power off: `up` goes on" if whole else "ttyS0 gets no interrupt: what is not the kernel is mute"


RULES: tuple[Rule, ...] = (Rule("policy", _without_acpi),)
