"""Rules about binding: what `bind: never` leaves where it is, and who may change the drivers of devices. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import is_bridge, on_vfio, only_by_its_own_driver
from launcher.planner.places import in_spec
from launcher.planner.rules.access import who
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import binding, sysfs
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from launcher.host.facts import Process
    from launcher.planner.decided import Situation, Taken

_FOR_ROOT = ("E224", "E228")  # what root mends in the same go


def _left_bound(it: Situation) -> Iterator[Diagnostic]:
    for choice, function in it.chosen():
        if choice.device.bind == "never" and not on_vfio(function) and not only_by_its_own_driver(function):
            on = f"{function.address} is on {function.driver or 'no driver'}"
            fact = f"{choice.alias}: {on}, and `bind: never` leaves it there"
            help_ = ("bind it to vfio-pci, or write `bind: auto`",)
            yield Diagnostic("E214", fact, in_spec(f"devices.{choice.alias}.bind"), help=help_)


def _without_a_type(it: Situation) -> Iterator[Diagnostic]:
    """The driver's files are per virtual function, and only there in the releases that have no mediated devices."""
    for one in it.passing.taken:
        function = one.function
        if on_vfio(function) or not only_by_its_own_driver(function):
            continue
        fact = f"{one.alias}: {function.address} is no vGPU yet: NVIDIA's driver gives it to VFIO once it has a type, "
        files = f"{sysfs(function)}/nvidia"
        on = f"{function.address} is on {function.driver or 'no driver'}, and nothing has registered it with VFIO"
        first = f"echo {function.address} > /sys/bus/pci/drivers_probe; " if function.driver != "nvidia" else ""
        ways = (
            f"give it one of those that `cat {files}/creatable_vgpu_types` lists: "
            f"`{first}echo TYPE > {files}/current_vgpu_type`",
            "without that file vGPUs are mediated devices there: make one, and name it by its UUID, as `mdev: UUID`",
        )
        yield Diagnostic("E245", f"{fact}and vfio-pci is refused", in_spec(f"devices.{one.alias}.pci"), (on,), ways)


def check_binding(it: Situation, found: Collection[Diagnostic]) -> Iterator[Diagnostic]:
    """sysfs files that bind belong to root; a group's node is made when the first of its functions is bound.

    `found` is what all other rules say: a command is given for what nothing else blocks, or it would take from the
    host what the host needs.
    """
    moved = [one for one in it.passing.taken if one.leaves_the_host]
    if not moved or may_change(it.host.process):
        return
    whose, names = who(it.host.process), ", ".join(dict.fromkeys(one.alias for one in moved))
    fact = f"{names}: only root may change the drivers of devices, and {whose} would run `up`"
    evidence = tuple(f"{one.function.address} is on {one.function.driver or 'no driver'}" for one in moved)
    ready = _unblocked(moved, it, found)
    by_hand = (f"or bind as root first: `{_commands(ready, it)}`",) if ready else ()
    help_ = ("run it as root: `sudo vmlaunch up SPEC`", *by_hand)
    yield Diagnostic("E228", fact, in_spec(f"devices.{moved[0].alias}"), evidence, help_)


def _unblocked(moved: list[Taken], it: Situation, found: Collection[Diagnostic]) -> list[Taken]:
    """A group is opened as a whole or not at all."""
    errors = [one for one in found if one.severity == "error" and one.code not in _FOR_ROOT]
    if any(one.where and one.where.path == "devices" for one in errors):
        return []
    blocked = {alias for one in errors for alias in _aliases(one)}
    groups = {one.function.group for one in it.passing.taken if one.alias in blocked}
    return [one for one in moved if one.alias not in blocked and one.function.group not in groups]


def _aliases(one: Diagnostic) -> tuple[str, ...]:
    """Those with which its message begins, and the one at its place."""
    place = one.where.path.split(".") if one.where else []
    return (*one.message.partition(": ")[0].split(", "), *(place[1:2] if place[:1] == ["devices"] else ()))


def may_change(process: Process) -> bool:
    return (process.uid == 0 or "cap_dac_override" in process.capabilities) and not process.own_user_namespace


def _commands(moved: list[Taken], it: Situation) -> str:
    """By iommufd a function's own node has no name before it is bound."""
    functions = [one.function for one in moved]
    nodes = dict.fromkeys(f"/dev/vfio/{one.group}" for one in functions if not is_bridge(one))
    if it.backend == "iommufd":
        passed = [one.function.address for one in moved if one.passed]
        nodes = dict.fromkeys(f"/dev/vfio/devices/$(ls /sys/bus/pci/devices/{one}/vfio-dev)" for one in passed)
    owning = f"; chown {it.host.process.uid} {' '.join(nodes)}" if nodes else ""
    return f"{binding(functions)}{owning}"


RULES: tuple[Rule, ...] = (Rule("kernel", _left_bound), Rule("kernel", _without_a_type))
