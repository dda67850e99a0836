"""Rules about what an alias of the spec means on this host: no function, or an unexpected one. Pure."""

from __future__ import annotations

from collections import Counter

from launcher.errors import Diagnostic
from launcher.planner.choose import lowest_free, matching, wanted_by
from launcher.planner.decided import Obstacle
from launcher.planner.functions import is_kind, leads_to_a_bus, on_vfio, only_by_its_own_driver
from launcher.planner.places import in_spec
from launcher.planner.rules.absent import expected_elsewhere, functions_behind, no_function
from launcher.planner.rules.given import giving, wanted_and_given
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.virtual_functions import no_virtual_function, way_to_virtual_functions
from launcher.planner.rules.words import binding, listed, named_in_spec, series, show, shown
from launcher.record import replace
from launcher.spec.kinds import kind_of
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from launcher.host.facts import HostFacts, PciFunction
    from launcher.planner.decided import Choice, Situation
    from launcher.spec.parts import Match
    from launcher.values import PciAddress


def _obstacles(it: Situation) -> Iterator[Diagnostic]:
    for choice in it.passing.choices:
        if choice.obstacle:
            key, words = _WORDS[choice.obstacle.kind]
            said = words(choice, choice.obstacle, it)
            where = in_spec(f"devices.{choice.alias}{key}")
            yield replace(said, message=f"{choice.alias}: {said.message}", where=where)


def _absent(choice: Choice, _: Obstacle, it: Situation) -> Diagnostic:
    assert choice.device.pci is not None  # nothing else can be absent
    return no_function(choice.device.pci, choice.device.expect, it.host)


def _no_virtual(choice: Choice, found: Obstacle, it: Situation) -> Diagnostic:
    assert choice.device.vf is not None  # as above
    return no_virtual_function(found.functions[0], choice.device.vf, it.host)


def _bridge(_: Choice, found: Obstacle, it: Situation) -> Diagnostic:
    """With the endpoints behind it, through all buses."""
    bridge = found.functions[0]
    fact = f"{bridge.address} is a bridge, which cannot be passed"
    if not leads_to_a_bus(bridge):
        help_ = (f"choose another device: this one belongs to the board ({show(bridge)})",)
        return Diagnostic("E212", fact, help=help_)
    behind = functions_behind(bridge, it.host)
    way = f"name a device behind it, as `pci: {behind[0].address}`" if behind else "name the device behind it"
    return Diagnostic("E212", fact, evidence=listed([shown(one) for one in behind]), help=(way,))


def _unexpected(choice: Choice, found: Obstacle, it: Situation) -> Diagnostic:
    function, wanted = found.functions[0], choice.device.expect
    fact = f"{function.address} is {show(function)}, and {wanted} is expected there"
    evidence, way = expected_elsewhere(wanted, it.host)
    correct = f"or correct `expect`, if {function.id} is the right device"
    return Diagnostic("E202", fact, evidence=evidence, help=(way or f"this host has no {wanted}", correct))


def _no_match(choice: Choice, _: Obstacle, it: Situation) -> Diagnostic:
    match = choice.device.match
    assert match is not None  # nothing else is searched for
    rows, ways = list[tuple[str, ...]](), list[str]()
    if match.pf is not None:
        ways += _of_physical(match.pf, it.host)
    for key in ("node", "slot", "serial", "id"):
        if near := _all_but(key, match, it.host):
            rows += [(str(one.address), show(one), f"its {key} is {_value(one, key)}") for one in near]
            unknown = all(getattr(one, key) is None for one in near)
            ways.append(f"leave `{key}` out: this host does not say it" if unknown else f"correct `{key}`")
    kind = kind_of(match.class_ or "")
    if kind and kind.word == "gpu" and not rows:
        pictures = (one for one in it.host.pci if is_kind(one, "display"))
        rows = [(str(one.address), show(one), "a `display`, which computes nothing") for one in pictures]
    help_ = (*((kind.none,) if kind and kind.none else ways), "see `vmlaunch devices` for what this host has")
    gone = [(str(one), "has gone while this host was looked at") for one in it.host.gone]
    evidence = (*listed(rows), *listed(gone))
    return Diagnostic("E204", f"nothing on this host matches {_match(choice)}", evidence=evidence, help=help_)


def _of_physical(address: PciAddress, host: HostFacts) -> list[str]:
    """Why it has no virtual function that matches, or none at all."""
    pf = next((one for one in host.pci if one.address == address), None)
    if pf is None:
        return [f"correct `pf`: this host has no PCI device {address}"]
    return [] if pf.virtual_functions else [way_to_virtual_functions(pf, host)]


def _all_but(key: str, match: Match, host: HostFacts) -> Sequence[PciFunction]:
    """Those that would match without this key, if there are others: it may be wrong, or what the host does not say."""
    if getattr(match, key) is None or len(match.said) < 2:
        return ()
    return matching(replace(match, **{key: None}), host.pci)


def _value(one: PciFunction, key: str) -> object:
    found = getattr(one, key)
    return "not known" if found is None else found


def _many_match(choice: Choice, found: Obstacle, it: Situation) -> Diagnostic:
    evidence = listed([_told_apart(one) for one in found.functions])
    keys = tuple(key for key in ("id", "slot", "serial", "node") if _tells_apart(key, found.functions))
    instead = f"name one of them, as `{{{named_in_spec(found.functions[0], it.host)}}}`"
    ways = [f"add a key that only one of them has: {series((f'`{key}`' for key in keys), 'or')}" if keys else instead]
    if not isinstance(lowest_free(found.functions, it.host, _of_others(choice, it)), Obstacle):
        ways.append("or `pick: free` to take the first that nothing uses")
    fact = f"{len(found.functions)} devices match {_match(choice)}"
    return Diagnostic("E205", fact, evidence=evidence, help=tuple(ways))


def _tells_apart(key: str, functions: Sequence[PciFunction]) -> bool:
    """One of them at least has it to itself."""
    return 1 in Counter(value for one in functions if (value := getattr(one, key)) is not None).values()


def _told_apart(one: PciFunction) -> tuple[str, ...]:
    """What differs between devices of one kind, by the keys of `match`."""
    keys = (("slot", one.slot), ("serial", one.serial), ("node", one.node))
    differing = ("" if value is None else f"{key} {value}" for key, value in keys)
    return (str(one.address), show(one), *differing, one.driver or "no driver")


def _in_use(choice: Choice, found: Obstacle, it: Situation) -> Diagnostic:
    rows = [(str(one.address), show(one), taker) for one, taker in zip(found.functions, found.takers, strict=True)]
    none = "the device that matches" if len(rows) == 1 else f"none of the {len(rows)} devices that match"
    fact = f"{none} {_match(choice)} is {'not ' if len(rows) == 1 else ''}free"
    others = _of_others(choice, it)
    idle = next((one for one in found.functions if _is_idle(one) and one.address not in others), None)
    return Diagnostic("E206", fact, evidence=listed(rows), help=_ways_to_free(idle, it.host))


def _ways_to_free(idle: PciFunction | None, host: HostFacts) -> tuple[str, ...]:
    if idle is None:
        return ("free one: end what has it, or stop the VM that has it",)
    name = f"or name one, as `{named_in_spec(idle, host)}`: `bind: auto` takes it from {idle.driver}"
    return (f"bind one to vfio-pci as root: `{binding([idle])}`", name)


def _of_others(choice: Choice, it: Situation) -> set[PciAddress]:
    """What the other aliases mean."""
    return {one.address for other, one in it.chosen() if other.alias != choice.alias}


def _is_idle(one: PciFunction) -> bool:
    """A driver of the host's has it, and nobody misses it."""
    return one.driver is not None and not one.uses and not on_vfio(one) and not only_by_its_own_driver(one)


def _twice(choice: Choice, found: Obstacle, _: Situation) -> Diagnostic:
    fact = f"{found.functions[0].address} is given twice: {found.takers[0]} means it too"
    return Diagnostic("E210", fact, help=(f"take out {choice.alias} or {found.takers[0]}",))


def _not_given(choice: Choice, found: Obstacle, it: Situation) -> Diagnostic:
    wanted = found.functions
    if choice.device.pci:
        fact = f"{wanted[0].address} is not given"
    elif len(wanted) == 1:
        fact = f"{wanted[0].address}, the one that matches {_match(choice)}, is not given"
    else:
        fact = f"none of the {len(wanted)} devices that match {_match(choice)} is given"
    help_ = (f"ask for what is given, or have this given, too: {giving(it.terms, [wanted[0].address])}",)
    return Diagnostic("E247", fact, evidence=wanted_and_given(wanted, it), help=help_)


def _match(choice: Choice) -> str:
    match = choice.device.match
    assert match is not None  # only these are searched for
    return ", ".join(f"{key} {value}" for key, value in wanted_by(match).items() if value is not None)


# Kind of obstacle -> the key of the device that it speaks of, and what to say.
_WORDS: dict[str, tuple[str, Callable[[Choice, Obstacle, Situation], Diagnostic]]] = {
    "absent": (".pci", _absent),
    "no-virtual": (".vf", _no_virtual),
    "bridge": (".pci", _bridge),
    "unexpected": (".expect", _unexpected),
    "no-match": (".match", _no_match),
    "many-match": (".match", _many_match),
    "in-use": (".match", _in_use),
    "twice": ("", _twice),
    "not-given": ("", _not_given),
}

RULES: tuple[Rule, ...] = (Rule("kernel", _obstacles),)
