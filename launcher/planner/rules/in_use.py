"""Rules about what the host does with a device that the plan takes from it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.functions import behind_vmd
from launcher.planner.places import in_spec
from launcher.planner.rules.ending import ending, stopping
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import adding, show
from launcher.planner.uses import WAITS_FOR_PROCESSES, is_hard, runs_from, uses_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.host.facts import Use
    from launcher.planner.decided import Situation, Taken

# Parts of the board that lose nothing a file system would, and that the host still misses.
_OF_THE_BOARD = {"0601": "ISA bridge", "0c05": "SMBus controller"}


def _leaving(it: Situation) -> Iterator[Taken]:
    return (one for one in it.passing.taken if one.leaves_the_host)


def _never_taken(it: Situation) -> Iterator[Diagnostic]:
    """Data is lost if it goes; `allow` does not reach that far."""
    for one in _leaving(it):
        hard = [use for use in _uses(one, it) if is_hard(use)]
        if hard:
            fact = f"{_subject(one)} holds data that the host uses, so it is not taken: {hard[0].what}"
            other = "take another device" if one.role == "device" else "take a device of another group"
            help_ = (other,) if runs_from(hard) else (*ending(hard), f"or {other}")
            yield Diagnostic("E230", fact, _where(one), _evidence(hard), help_)


def _uses(one: Taken, it: Situation) -> tuple[Use, ...]:
    """What is behind a VMD controller goes with it."""
    if one.function.driver != "vmd":
        return one.function.uses
    group = next((group for group in it.passing.groups if group.number == one.function.group), None)
    behind = (member for member in it.members(group) if behind_vmd(member)) if group else ()
    return (*one.function.uses, *(use for member in behind for use in member.uses))


def _taken_with_consent(it: Situation) -> Iterator[Diagnostic]:
    """What the host does with it without data at stake. Where there is data, that has been said, and is enough."""
    for one in _leaving(it):
        device = it.spec.devices[one.alias]
        waits = one.function.driver in WAITS_FOR_PROCESSES
        soft = [use for use in uses_of(one.function) if not (waits and use.kind == "process")]
        if soft and "in-use" not in device.allow and not any(map(is_hard, soft)):
            choice = next(choice for choice in it.passing.choices if choice.alias == one.alias)
            allow = adding(choice, "allow", f"[{', '.join((*device.allow, 'in-use'))}]")
            fact = f"{_subject(one)} is in use by the host: {soft[0].what}"
            help_ = (*ending(soft), f"to take it all the same, {allow}")
            yield Diagnostic("E231", fact, _where(one), _evidence(soft), help_)


def _waits_for_processes(it: Situation) -> Iterator[Diagnostic]:
    """Once begun this unbind cannot be stopped, and killing the processes then does not help."""
    for one in _leaving(it):
        function = one.function
        if function.driver not in WAITS_FOR_PROCESSES:
            continue
        processes = [use for use in function.uses if use.kind == "process"]
        if processes:
            count = f"{len(processes)} {'process' if len(processes) == 1 else 'processes'}"
            fact = f"{_subject(one)} is open in {count}, and {function.driver} waits until nobody has it open"
            why = "the unbind would hang and could not be stopped; `allow` does not lift this"
            fix = stopping(processes)
            evidence = (*(use.what for use in processes), why)
            help_ = (f"stop them first: `{fix}`" if fix else "stop them first",)
            yield Diagnostic("E232", fact, _where(one), evidence, help_, fix or None)
        elif not it.host.process.sees_all:
            fact = f"{_subject(one)}: who has it open could not be read (denied: /proc/*/fd)"
            help_ = (f"plan as root: {function.driver} hangs when it is taken from a process",)
            yield Diagnostic("W216", fact, _where(one), help=help_)


def _part_of_the_board(it: Situation) -> Iterator[Diagnostic]:
    for one in _leaving(it):
        kind = _OF_THE_BOARD.get(one.function.class_code[:4])
        if kind and one.role != "device" and one.function.driver:
            fact = f"{one.alias}: the host is without its {kind} {one.function.address} while the VM runs"
            evidence = (f"{show(one.function)}, on {one.function.driver}: in the group of {one.alias}",)
            help_ = ("expect sensors, watchdog and GPIO behind it to fail, or take a device of another group",)
            yield Diagnostic("W230", fact, in_spec(f"devices.{one.alias}.companions"), evidence, help_)


def _subject(one: Taken) -> str:
    """`gpu: 0000:c1:00.0`, or its companion."""
    return f"{one.alias}: {one.function.address}" + ("" if one.role == "device" else ", its companion,")


def _where(one: Taken) -> Where:
    return in_spec(f"devices.{one.alias}.{'pci' if one.role == 'device' else 'companions'}")


def _evidence(uses: list[Use]) -> tuple[str, ...]:
    """The message names the first; more than one are listed."""
    return tuple(use.what for use in uses) if len(uses) > 1 else ()


RULES: tuple[Rule, ...] = (
    Rule("policy", _never_taken),
    Rule("policy", _taken_with_consent),
    Rule("kernel", _waits_for_processes),
    Rule("policy", _part_of_the_board),
)
