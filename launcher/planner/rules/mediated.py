"""Rules about mediated devices: that each is there or can be made, is one that VFIO gives a PCI guest, and may lock
memory. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.mediated import API, is_another, is_made, is_ready
from launcher.planner.places import in_spec
from launcher.planner.rules.access import who
from launcher.planner.rules.binding import may_change
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import listed, named, series
from launcher.spec.problems import did_you_mean
from launcher.typed import TYPE_CHECKING
from launcher.values import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.host.facts import MediatedDevice, MediatedType
    from launcher.planner.decided import Mediated, Situation

_TYPES = ("`vmlaunch devices` lists what can be made, and how many of it",)
_MAKING = "echo {uuid} > /sys/class/mdev_bus/PARENT/mdev_supported_types/TYPE/create"


def _absent(it: Situation) -> Iterator[Diagnostic]:
    """One that is made by hand is gone after a boot."""
    for one in it.passing.mediated:
        if one.device is None and one.of_type is not None:
            yield _none_of_type(one, one.of_type, it)
        elif one.device is None and one.wanted is None:
            fact = f"{one.alias}: this host has no mediated device {one.address}"
            rows = listed([_shown(other) for other in it.host.mediated])
            help_ = (
                f"make it, as root: `{_MAKING.format(uuid=one.address)}`",
                "at each boot: `mdevctl define --auto`, or the host's own tool for its vGPUs",
                "for each start: `mdev: {parent: PARENT, type: TYPE}`",
            )
            yield Diagnostic("E260", fact, _where(one), ("it has:", *rows) if rows else (), help_)


def _none_of_type(one: Mediated, kind: str, it: Situation) -> Diagnostic:
    there = [other for other in it.host.mediated if other.type == kind]
    given = [other for other in there if it.terms.allows_part(other.address, other.parent)]
    if given:
        fact = f"{one.alias}: each {kind} that this host has{_may(it)} is taken, or no driver has it"
    elif there:
        fact = f"{one.alias}: no {kind} is given"
    else:
        fact = f"{one.alias}: this host has no mediated device of type {kind}"
    rows = listed([_shown(other) for other in there or it.host.mediated])
    help_ = (
        "have one that nobody has given to this VM, too" if there and not given else "end the VM that has one",
        *(() if there else did_you_mean(kind, [other.type for other in it.host.mediated])),
        "to have one made on up, write `parent` beside `type`",
    )
    return Diagnostic("E260", fact, _where(one), ("it has:", *rows) if rows else (), help_ if there else help_[1:])


def _may(it: Situation) -> str:
    return "" if it.terms.only is None else ", of those that are given,"


def _shown(one: MediatedDevice) -> tuple[str, ...]:
    return (str(one.address), one.type, one.name or "", f"of {one.parent}")


def _not_for_pci(it: Situation) -> Iterator[Diagnostic]:
    for one in it.passing.mediated:
        found = one.device
        if found is None or is_ready(one) or is_another(one):
            continue
        if found.api not in (API, None):
            fact = f"{one.alias}: {one.address} is a {found.api} device to VFIO, and guests have PCI functions only"
            yield Diagnostic("E261", fact, _where(one), help=("name one whose device_api is vfio-pci",))
        else:
            fact = f"{one.alias}: no driver of the host has {one.address}, so VFIO does not know it"
            help_ = ("see `dmesg | grep mdev`; removing it and making it again may bring its driver back",)
            yield Diagnostic("E261", fact, _where(one), (f"it is {found.type} of {found.parent}",), help_)


def _parents(it: Situation) -> Iterator[Diagnostic]:
    """It goes with its driver, and with SR-IOV some of NVIDIA's have none."""
    for one in it.passing.mediated:
        if one.wanted is None or one.parent is not None or one.device is not None:
            continue
        fact = f"{one.alias}: nothing called {one.wanted[0]} makes mediated devices on this host"
        names = [parent.name for parent in it.host.mediated_parents]
        evidence = (f"it has {series(names)}",) if names else ("/sys/class/mdev_bus has nothing",)
        driver = f"`vmlaunch devices` says which driver has it: that of {one.wanted[0]} has to be one that makes them"
        yield Diagnostic("E262", fact, _where(one), evidence, (*did_you_mean(one.wanted[0], names), driver))


def _types(it: Situation) -> Iterator[Diagnostic]:
    for one in it.passing.mediated:
        if one.wanted is None or one.parent is None or one.device is not None:
            continue
        if one.kind is None:
            fact = f"{one.alias}: {one.parent.name} makes no {one.wanted[1]}"
            rows = listed([_kind(kind) for kind in one.parent.types])
            near = did_you_mean(one.wanted[1], [kind.name for kind in one.parent.types])
            yield Diagnostic("E263", fact, _where(one), ("it makes:", *rows) if rows else (), near or _TYPES)
        elif one.kind.api not in (API, None):
            fact = (
                f"{one.alias}: {one.kind.name} is a {one.kind.api} device to VFIO, and guests have PCI functions only"
            )
            yield Diagnostic("E261", fact, _where(one), help=("name a type whose device_api is vfio-pci",))


def _left(it: Situation) -> Iterator[Diagnostic]:
    """Of one type; what its parent has is often shared by all its types, which only the driver knows."""
    made = [one for one in it.passing.mediated if is_made(one)]
    for wanted in dict.fromkeys(one.wanted for one in made):
        mine = [one for one in made if one.wanted == wanted]
        kind = mine[0].kind
        if kind is not None and kind.available is not None and kind.available < len(mine):
            names, parent = series(one.alias for one in mine), wanted[0] if wanted else ""
            fact = f"{names}: {parent} has {kind.available} left of {kind.name}"
            there = [_shown(one) for one in it.host.mediated if one.parent == parent]
            evidence = ("it has made:", *listed(there)) if there else ()
            help_ = (
                "end who has one, or remove what nobody has: `echo 1 > /sys/bus/mdev/devices/UUID/remove`",
                *_TYPES,
            )
            yield Diagnostic("E264", fact, _where(mine[0]), evidence, help_)


def _others(it: Situation) -> Iterator[Diagnostic]:
    for one in it.passing.mediated:
        if is_another(one) and one.device and one.wanted:
            fact = f"{one.alias}: {one.address} is there already, as {one.device.type} of {one.device.parent}"
            help_ = (
                f"remove it: `echo 1 > /sys/bus/mdev/devices/{one.address}/remove`",
                "or write another `uuid`",
            )
            yield Diagnostic("E265", fact, _where(one), (f"wanted: {one.wanted[1]} of {one.wanted[0]}",), help_)


def _parents_taken(it: Situation) -> Iterator[Diagnostic]:
    """What its driver has made of a device goes with it (mdev_unregister_parent), and comes back with no `down`."""
    for one in it.passing.taken:
        name = str(one.function.address)
        there = [each for each in it.host.mediated if each.parent == name]
        mine = [each for each in it.passing.mediated if each.device is None and (each.wanted or ("",))[0] == name]
        if not one.leaves_the_host or not (there or mine):
            continue
        driver = one.function.driver or "its driver"
        fact = f"{one.alias}: {named(one)} is taken from {driver}, and what that has made of it goes with it"
        rows = [
            *(_shown(each) for each in there),
            *((each.alias, "which is to be made of it", "", "") for each in mine),
        ]
        own = series(each.alias for each in it.passing.mediated if each in mine or each.device in there)
        other = f"have the device or {own}, not both" if own else "or take another device"
        remove = "remove them when nobody has them: `echo 1 > /sys/bus/mdev/devices/UUID/remove`"
        help_ = (*(() if own else (remove,)), other)
        yield Diagnostic("E266", fact, in_spec(f"devices.{one.alias}"), listed(rows), help_)


def _may_make(it: Situation) -> Iterator[Diagnostic]:
    made = [one for one in it.passing.mediated if is_made(one)]
    if made and not may_change(it.host.process):
        whose, names = who(it.host.process), series(one.alias for one in made)
        fact = f"{names}: only root may make mediated devices, and {whose} would run `up`"
        lines = [
            _MAKING.format(uuid=one.address).replace("PARENT", one.wanted[0]).replace("TYPE", one.wanted[1])
            for one in made
            if one.wanted
        ]
        help_ = ("run it as root: `sudo vmlaunch up SPEC`", f"or make them as root first: `{'; '.join(lines)}`")
        yield Diagnostic("E228", fact, _where(made[0]), help=help_)


def _kind(one: MediatedType) -> tuple[str, ...]:
    left = "" if one.available is None else f"{one.available} left"
    return (one.name, one.label or "", left)


def _may_lock(it: Situation) -> Iterator[Diagnostic]:
    """What a driver asks VFIO to pin counts as all that is pinned does; the guest sees what comes of a refusal."""
    process, size = it.host.process, sum(bank.size for bank in it.spec.memory)
    able = "cap_ipc_lock" in process.capabilities and not process.own_user_namespace
    if it.locked or not it.passing.mediated or able or process.memlock is None or size <= process.memlock:
        return
    names, limit = series(one.alias for one in it.passing.mediated), show_size(process.memlock)
    fact = f"{names}: drivers lock what they use of {show_size(size)}, and this process may lock {limit}"
    command = "sudo prlimit --pid $$ --memlock=unlimited"
    help_ = (f"raise it for this shell: `{command}`", "for a systemd service: `LimitMEMLOCK=infinity`")
    yield Diagnostic("W269", fact, in_spec("memory"), help=help_, fix=command)


def _where(one: Mediated) -> Where:
    return in_spec(f"devices.{one.alias}.mdev")


RULES: tuple[Rule, ...] = (
    Rule("kernel", _absent),
    Rule("kernel", _not_for_pci),
    Rule("kernel", _parents),
    Rule("kernel", _types),
    Rule("kernel", _left),
    Rule("kernel", _others),
    Rule("kernel", _parents_taken),
    Rule("kernel", _may_make),
    Rule("policy", _may_lock),
)
