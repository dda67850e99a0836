"""Rules about how a device comes back to its first state: resets, and power that is off. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.host.facts import Config
from launcher.planner.functions import is_bridge
from launcher.planner.groups import harmless
from launcher.planner.losing import shown_words
from launcher.planner.places import in_spec
from launcher.planner.quirks import quirks
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import adding, listed, named, series, shown, sysfs
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.errors import Where
    from launcher.host.facts import PciFunction
    from launcher.planner.decided import Choice, Situation, Taken

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


def _unwilling(it: Situation) -> Iterator[Taken]:
    """What the guest gets, also as a companion, without a word of the spec's that it may come back unreset."""
    return (one for one in it.passing.taken if one.passed and "no-reset" not in it.choice_of(one).device.allow)


def _no_reset(it: Situation) -> Iterator[Diagnostic]:
    for one in _unwilling(it):
        function, reset = one.function, it.resets[one.function.address]
        if reset.method or isinstance(function.reset, Missing):
            continue
        what = f"the resets of {named(one)} are switched off" if function.reset_off else f"{named(one)} cannot be reset"
        fact = f"{one.alias}: {what}, so the next user finds it as the guest leaves it"
        fix = f"echo default > {sysfs(function)}/reset_method" if function.reset_off else None
        help_ = (
            *((f"switch them on again: `{fix}`",) if fix else _ways_to_a_bus_reset(reset.foreign)),
            *_ways_around(one, it),
        )
        yield Diagnostic("E216", fact, _where(one), _beside(reset.foreign), help_, fix)


def _ways_around(one: Taken, it: Situation) -> tuple[str, ...]:
    """A companion can be kept from the guest, which then leaves nothing in it."""
    choice = it.choice_of(one)
    apart = f"{adding(choice, 'companions', 'detach')} to give it to nobody"
    return (*((apart,) if one.role == "companion" else ()), f"to accept that, {_accepting(choice)}")


def _where(one: Taken) -> Where:
    return in_spec(f"devices.{one.alias}{'' if one.role == 'device' else '.companions'}")


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
    return ", ".join(shown) + f" and {more} more" if more else series(shown)


def _reset_of_the_bus(it: Situation) -> Iterator[Diagnostic]:
    """A member of its own group that blocks the group is said there."""
    for one in _unwilling(it):
        reset = it.resets[one.function.address]
        blocks = any(
            other.group == one.function.group and not harmless(other, it.host.kernel) for other in reset.foreign
        )
        if not reset.method or not reset.foreign or blocks:
            continue
        others = f"{_names(reset.foreign)} on it {'is' if len(reset.foreign) == 1 else 'are'}"
        fact = f"{one.alias}: {named(one)} can only be reset with its bus, and {others} not this VM's"
        help_ = (
            *_ways_to_a_bus_reset(reset.foreign),
            f"as it is, the kernel does not reset it; to accept that, {_accepting(it.choice_of(one))}",
        )
        yield Diagnostic("W253", fact, _where(one), _beside(reset.foreign), help_)


def _weak(it: Situation) -> Iterator[Diagnostic]:
    """Where more is known of the device, W265 says it."""
    for one in _unwilling(it):
        function = one.function
        config = function.config if isinstance(function.config, Config) else None
        if it.resets[function.address].method != "pm" or config is None or config.soft_reset:
            continue
        fact = f"{one.alias}: {named(one)} is reset by switching its power state, which it says resets nothing"
        help_ = (
            "try whether it starts again after a reboot of the guest: what was written to it may still be there",
            f"to accept that, {_accepting(it.choice_of(one))}",
        )
        if not any("pm" in quirk.resets for quirk in quirks("W265", function, it.host)):
            yield Diagnostic("W252", fact, _where(one), ("reset_method: pm",), help_)


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
