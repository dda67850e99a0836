"""Rules about graphics: legacy VGA, option ROMs, integrated GPUs, coherency. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import VGA, is_kind, on_vfio
from launcher.planner.modules import vga_is_to_come
from launcher.planner.places import in_spec
from launcher.planner.quirks import is_built_in, is_intels
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import adding, listed, shown
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Linux
    from launcher.planner.decided import Situation

_SETTING = "/etc/modprobe.d/vfio-vga.conf"


def _takes_part(linux: Linux) -> bool:
    """The parameter is only there in a kernel with CONFIG_VFIO_PCI_VGA, and once the module is loaded."""
    usual = "N" if vga_is_to_come(linux) else None
    return linux.parameters.get("vfio_pci.disable_vga", usual) == "N"


def _legacy(it: Situation) -> Iterator[Diagnostic]:
    passed = [(choice, function) for choice, function in it.chosen() if function.class_code.startswith(VGA)]
    if not passed or not _takes_part(it.host.linux):
        return
    taken = {one.function.address for one in it.passing.taken}
    left = [one for one in it.host.pci if one.class_code.startswith(VGA) and not on_vfio(one)]
    left = [one for one in left if one.address not in taken]
    if not left:
        return
    choice, function = passed[0]
    fact = f"{choice.alias}: {function.address} goes on taking part in legacy VGA beside the host's own graphics"
    fix = f"echo options vfio-pci disable_vga=1 > {_SETTING}"
    help_ = (f"the guest is given no legacy VGA, so switch it off: `{fix}`, and load vfio-pci anew",)
    evidence = tuple(f"the host keeps {line}" for line in listed([shown(one) for one in left], 4))
    yield Diagnostic("W254", fact, in_spec(f"devices.{choice.alias}"), evidence, help_, fix)


def _shadow(it: Situation) -> Iterator[Diagnostic]:
    for choice, function in it.chosen():
        if choice.device.rom is True and function.rom == "shadow":
            fact = f"{choice.alias}: the ROM of {function.address} is a copy that the firmware left at 0xc0000 and may "
            fact += "have changed"
            file, none = adding(choice, "rom", "./card.rom"), adding(choice, "rom", "false")
            help_ = (f"{file} to give the guest one that is whole", f"{none} if its driver needs none")
            yield Diagnostic("W255", fact, in_spec(f"devices.{choice.alias}.rom"), help=help_)


def _incoherent(it: Situation) -> Iterator[Diagnostic]:
    units = {unit.name: unit for unit in it.host.iommu.units} if it.host.iommu else {}
    for choice, function in it.chosen():
        unit = units.get(function.iommu or "")
        if is_kind(function, "gpu", "display") and unit is not None and unit.snoops is False:
            fact = f"{choice.alias}: {unit.name} cannot make {function.address} see what is only in the CPUs' caches"
            movable = not is_built_in(function, it.host)
            better = sorted(one.name for one in units.values() if one.snoops and movable)
            help_ = (
                "expect the guest's driver to flush caches, which is slow",
                *((f"a slot below {' or '.join(better)} does better",) if better else ()),
            )
            yield Diagnostic("W261", fact, in_spec(f"devices.{choice.alias}"), help=help_)


def _integrated(it: Situation) -> Iterator[Diagnostic]:
    for choice, function in it.chosen():
        if is_intels(function):
            fact = f"{choice.alias}: {function.address} is part of the processor and uses memory that no guest gets"
            evidence = ("it needs the OpRegion and stolen memory of the host's firmware",)
            help_ = ("it may compute, and shows no picture: pass a card for that",)
            yield Diagnostic("W262", fact, in_spec(f"devices.{choice.alias}"), evidence, help_)


RULES: tuple[Rule, ...] = (
    Rule("policy", _legacy),
    Rule("policy", _shadow),
    Rule("policy", _incoherent),
    Rule("policy", _integrated),
)
