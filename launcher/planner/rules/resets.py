"""Rules about how a device comes back to its first state: resets, and power that is off. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.host.facts import Config
from launcher.planner.functions import is_bridge
from launcher.planner.groups import harmless
from launcher.planner.losing import shown_words
from launcher.planner.places import in_spec
from launcher.planner.quirks import quirks
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import adding, listed, shown, sysfs
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.host.facts import PciFunction
    from launcher.planner.decided import Choice, Situation

_MOST_SHOWN = 4


def _dead(it: Situation) -> Iterator[Diagnostic]:
    for one in it.passing.taken:
        function, config = one.function, one.function.config
        if not isinstance(config, Config) or not config.dead:
            continue
        state = "is stuck in D3cold" if _state(function) == "D3cold" else "does not answer"
        fact = f"{one.alias}: {function.address} {state}: its configuration space reads all ones"
        fix = f"echo 1 > {sysfs(function)}/remove; echo 1 > /sys/bus/pci/rescan"
        help_ = (f"let the kernel look for it anew: `{fix}`", "if it stays dead, switch the host off and on")
        yield Diagnostic("E250", fact, in_spec(f"devices.{one.alias}"), help=help_, fix=fix)


def _no_reset(it: Situation) -> Iterator[Diagnostic]:
    for choice, function in it.chosen():
        unknown = isinstance(function.reset, Missing)
        if it.resets[function.address].method or unknown or "no-reset" in choice.device.allow:
            continue
        what = f"the resets of {function.address} are switched off" if function.reset_off else _cannot(function)
        fact = f"{choice.alias}: {what}, so the next user finds it as the guest leaves it"
        fix = f"echo default > {sysfs(function)}/reset_method" if function.reset_off else None
        foreign = it.resets[function.address].foreign
        help_ = (
            *((f"switch them on again: `{fix}`",) if fix else _ways_to_a_bus_reset(foreign)),
            f"to accept that, {_accepting(choice)}",
        )
        where = in_spec(f"devices.{choice.alias}")
        yield Diagnostic("E216", fact, where, _beside(foreign), help_, fix)


def _cannot(function: PciFunction) -> str:
    return f"{function.address} cannot be reset"


def _ways_to_a_bus_reset(foreign: Sequence[PciFunction]) -> tuple[str, ...]:
    """If the whole bus is this VM's, VFIO resets the bus. A bridge can be nobody's."""
    if not foreign or any(is_bridge(one) for one in foreign):
        return ()
    return (f"name {_names(foreign)} under `devices` too: then all of the bus is reset at once",)


def _accepting(choice: Choice) -> str:
    return adding(choice, "allow", shown_words((*choice.device.allow, "no-reset")))


def _beside(foreign: Sequence[PciFunction]) -> tuple[str, ...]:
    label = "also on its bus: "
    lines = listed([shown(one) for one in foreign], _MOST_SHOWN)
    return tuple(f"{label if n == 0 else ' ' * len(label)}{line}" for n, line in enumerate(lines))


def _names(functions: Sequence[PciFunction]) -> str:
    shown = [str(one.address) for one in functions[:_MOST_SHOWN]]
    more = len(functions) - len(shown)
    return ", ".join(shown) + f" and {more} more" if more else " and ".join(shown)


def _reset_of_the_bus(it: Situation) -> Iterator[Diagnostic]:
    """A member of its own group that blocks the group is said there."""
    for choice, function in it.chosen():
        reset = it.resets[function.address]
        blocks = any(one.group == function.group and not harmless(one, it.host.kernel) for one in reset.foreign)
        if not reset.method or not reset.foreign or blocks or "no-reset" in choice.device.allow:
            continue
        others = f"{_names(reset.foreign)} on it {'is' if len(reset.foreign) == 1 else 'are'}"
        fact = f"{choice.alias}: {function.address} can only be reset with its bus, and {others} not this VM's"
        help_ = (
            *_ways_to_a_bus_reset(reset.foreign),
            f"as it is, the kernel does not reset it; to accept that, {_accepting(choice)}",
        )
        yield Diagnostic("W253", fact, in_spec(f"devices.{choice.alias}"), _beside(reset.foreign), help_)


def _weak(it: Situation) -> Iterator[Diagnostic]:
    """Where more is known of the device, W265 says it."""
    for choice, function in it.chosen():
        config = function.config if isinstance(function.config, Config) else None
        if it.resets[function.address].method != "pm" or config is None or config.soft_reset:
            continue
        fact = f"{choice.alias}: {function.address} is reset by switching its power state, which it says resets nothing"
        help_ = (
            "try whether it starts again after a reboot of the guest: what was written to it may still be there",
            f"to accept that, {_accepting(choice)}",
        )
        known = any("pm" in quirk.resets for quirk in quirks("W265", function, it.host))
        if "no-reset" not in choice.device.allow and not known:
            yield Diagnostic("W252", fact, in_spec(f"devices.{choice.alias}"), ("reset_method: pm",), help_)


def _off(it: Situation) -> Iterator[Diagnostic]:
    """D3hot and suspended is how an idle device is. From D3cold some never come back."""
    for one in it.passing.taken:
        function, config = one.function, one.function.config
        if _state(function) != "D3cold" or (isinstance(config, Config) and config.dead):
            continue
        fact = f"{one.alias}: {function.address} is without power (D3cold) and has to come back when it is bound"
        fix = f"echo on > {sysfs(function)}/power/control"
        help_ = (
            f"see now whether it does: `{fix}`",
            f"or keep it from there for good: `echo 0 > {sysfs(function)}/d3cold_allowed`",
        )
        yield Diagnostic("W251", fact, in_spec(f"devices.{one.alias}"), help=help_, fix=fix)


def _state(function: PciFunction) -> str | None:
    return function.power.state if function.power else None


RULES: tuple[Rule, ...] = (
    Rule("kernel", _dead),
    Rule("policy", _no_reset),
    Rule("policy", _reset_of_the_bus),
    Rule("policy", _weak),
    Rule("policy", _off),
)
