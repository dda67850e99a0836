"""Rules about the drivers of devices: overrides, ids given to vfio-pci, devices it does not take. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import DENYLISTED, VFIO_DRIVERS, is_bridge
from launcher.planner.linux import values_of
from launcher.planner.modules import lacking
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import listed, shown, sysfs
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation, Taken

_DENYLIST = "disable_denylist"
_YES = ("Y", "y", "1", "")


def _denied(it: Situation) -> Iterator[Diagnostic]:
    """vfio-pci refuses to bind them, unless an administrator trusts all guests."""
    for one in it.passing.taken:
        if one.function.id in DENYLISTED and one.leaves_the_host and not is_bridge(one.function):
            yield from _refused(one, it)


def _refused(one: Taken, it: Situation) -> Iterator[Diagnostic]:
    """Before the module is loaded only modprobe knows with which options it will be."""
    linux, where = it.host.linux, in_spec(f"devices.{one.alias}.pci")
    given = (linux.parameters.get(f"vfio_pci.{_DENYLIST}"), *values_of(linux, f"vfio_pci.{_DENYLIST}"))
    if any(value in _YES for value in given if value is not None):
        return
    if given[0] is None and linux.modules is not None and "vfio_pci" not in linux.modules:
        if lacking(it.host, it.backend):
            return  # it cannot be loaded, and that has been said
        fact = f"{one.alias}: whether vfio-pci takes {one.function.address} is known once it is loaded"
        evidence = (f"{one.function.id} is on its denylist, which an option of the module lifts",)
        command = "modprobe vfio-pci"
        yield Diagnostic("W216", fact, where, evidence, (f"load it and plan again: `{command}`",), command)
        return
    fact = f"{one.alias}: {one.function.address} is on the denylist of vfio-pci ({one.function.id})"
    option = f"echo 'options vfio-pci {_DENYLIST}=1' > /etc/modprobe.d/vfio-denylist.conf"
    fix = f"{option}; modprobe -r vfio-pci; modprobe vfio-pci"
    evidence = ("its errata let a guest stop or disturb the host",)
    ways = ("take another device", f"or, if you trust every guest of this host: `{fix}`")
    yield Diagnostic("E237", fact, where, evidence, ways)


def _captured(it: Situation) -> Iterator[Diagnostic]:
    """`vfio-pci.ids=` takes every device of a kind from the host, also those that no VM was meant to have."""
    text = ",".join(values_of(it.host.linux, "vfio_pci.ids"))
    ids = {":".join(part.lower().split(":")[:2]) for part in text.split(",")}
    taken = {one.function.address for one in it.passing.taken}
    ours = {function.id: choice.alias for choice, function in reversed(list(it.chosen())) if function.id in ids}
    if not ours:
        return
    for id_, alias in ours.items():
        others = [one for one in it.host.pci if one.id == id_ and one.address not in taken and one.driver == "vfio-pci"]
        if others:
            count = f"{len(others)} other {'device' if len(others) == 1 else 'devices'}"
            fact = f"{alias}: `vfio-pci.ids={id_}` of the kernel's command line also takes {count} from the host"
            help_ = (f"take {id_} out of it, if they are not for other VMs: `bind: auto` needs no ids",)
            yield Diagnostic("W235", fact, in_spec(f"devices.{alias}"), listed([shown(one) for one in others]), help_)


def _overridden(it: Situation) -> Iterator[Diagnostic]:
    """`up` writes an override of its own, `down` puts back what was there: a bad one is bad again then."""
    known = it.host.linux.drivers
    for one in it.passing.taken:
        override = one.function.driver_override
        if override is None or not one.leaves_the_host:
            continue
        where, clear = in_spec(f"devices.{one.alias}.pci"), f"echo > {sysfs(one.function)}/driver_override"
        if known is not None and override not in (*known, *VFIO_DRIVERS):
            fact = f"{one.alias}: driver_override of {one.function.address} is {override}, and no such driver is there"
            help_ = (f"`down` puts it back, and then no driver takes the device; to clear it: `{clear}`",)
            yield Diagnostic("W232", fact, where, help=help_, fix=clear)
        elif one.function.driver is None:
            fact = f"{one.alias}: driver_override of {one.function.address} is still {override}, and no driver has it"
            help_ = (f"`down` leaves it so, and the host's own driver stays away; to clear it: `{clear}`",)
            yield Diagnostic("W233", fact, where, help=help_, fix=clear)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _denied),
    Rule("policy", _captured),
    Rule("kernel", _overridden),
)
