"""A rule about what a spec agrees to by name: a use that nothing here has is no use of the device. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import behind_vmd
from launcher.planner.losing import names_of
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.planner.uses import uses_of
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation, Taken

_NAMED = "in-use="


def _accepts_nothing(it: Situation) -> Iterator[Diagnostic]:
    """Of a device that vfio-pci has already the uses are over, and who may not look into others' processes sees few."""
    for choice, _ in it.chosen():
        taken = [one for one in it.passing.taken if one.alias == choice.alias]
        if not it.host.process.sees_all or not all(one.leaves_the_host for one in taken):
            continue
        there = dict.fromkeys(word for one in taken for word in _accepting(one, it))
        for word in choice.device.allow:
            if word.startswith(_NAMED) and word not in there:
                name = word.removeprefix(_NAMED)
                fact = f"{choice.alias}: `{word}` accepts nothing: no use of it on this host is called {name}"
                named = series([f"`{one}`" for one in there if not one.endswith(tuple(_addresses(taken)))])
                here = f"what it is used for goes by {named}" if named else "nothing on this host uses it"
                help_ = (here, "take the word out, or correct the name")
                yield Diagnostic("W244", fact, in_spec(f"devices.{choice.alias}.allow"), help=help_)


def _accepting(one: Taken, it: Situation) -> Iterator[str]:
    """The words that would accept its uses, and that of its function."""
    group = next((group for group in it.passing.groups if group.number == one.function.group), None)
    behind = [member for member in it.members(group) if behind_vmd(member)] if group else []
    for function in (one.function, *behind):
        yield from (f"{_NAMED}{function.address}", *names_of(uses_of(function), function))


def _addresses(taken: list[Taken]) -> Iterator[str]:
    return (str(one.function.address) for one in taken)


RULES: tuple[Rule, ...] = (Rule("policy", _accepts_nothing),)
