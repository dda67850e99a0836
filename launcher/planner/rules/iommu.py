"""Rules about the machine, its IOMMU and how interrupts are isolated. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.backend import strict_module
from launcher.planner.linux import last_of, settings_of
from launcher.planner.losing import shown_words
from launcher.planner.modules import lacking
from launcher.planner.places import in_spec
from launcher.planner.rules.no_iommu import NO_IOMMU_GROUP
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import adding
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, Linux
    from launcher.planner.decided import Choice, Situation

_ALLOW = "unsafe-interrupts"
_PARAMETER = "allow_unsafe_interrupts"  # of the module that refuses
_YES = ("Y", "y", "1", "on", "true", "")  # a boolean parameter without a value is true


def _no_iommu_group(it: Situation) -> Iterator[Diagnostic]:
    """Where there is no IOMMU at all, that has been said."""
    made_up = {group.number for group in it.passing.groups if group.name == NO_IOMMU_GROUP}
    for choice, function in it.chosen() if it.host.iommu else ():
        if function.group in made_up:
            fact = f"{choice.alias}: {function.address} is behind no IOMMU; its group is one that no-IOMMU mode made up"
            evidence = (f"IOMMU group {function.group} is named {NO_IOMMU_GROUP}",)
            help_ = ("put the card into another slot, or update the firmware, whose tables leave it without an IOMMU",)
            yield Diagnostic("E220", fact, in_spec(f"devices.{choice.alias}"), evidence, help_)


def _interrupts(it: Situation) -> Iterator[Diagnostic]:
    """VFIO_SET_IOMMU, or VFIO_DEVICE_BIND_IOMMUFD, is EPERM unless interrupts are remapped or a parameter lifts that.

    Of type1 and iommufd each has one of its own.
    """
    if not _exposed(it):
        return
    lifted, unwilling, module = _lifted(it), _unwilling(it), strict_module(it.host.linux, it.backend)
    if lifted is None and not unwilling:
        if lacking(it.host, it.backend):
            return  # it cannot be loaded, and that has been said
        fact = f"interrupts are not remapped, and what {module} makes of that is known once it is loaded"
        command = f"modprobe {module}"
        yield Diagnostic("W216", fact, in_spec("devices"), help=(f"load it and plan again: `{command}`",), fix=command)
    elif not lifted:
        fact = "interrupts are not remapped on this host: the kernel refuses to give devices away"
        yield Diagnostic("E225", fact, in_spec("devices"), _why_not_remapped(it.host), _ways_to_remap(it))


def _unsafe(it: Situation) -> Iterator[Diagnostic]:
    """The administrator let the kernel do it; who writes the spec has to know."""
    if not _exposed(it) or not _lifted(it) or not (unwilling := _unwilling(it)):
        return
    names = ", ".join(choice.alias for choice in unwilling)
    fact = f"{names}: interrupts are not remapped, so the guest could raise any interrupt of the host"
    module = strict_module(it.host.linux, it.backend)
    evidence = (f"{_PARAMETER} of the module {module} is Y: the kernel lets it happen",)
    help_ = (*_ways_to_remap(it)[:1], *(f"to accept that, {_allowing(choice)}" for choice in unwilling))
    yield Diagnostic("E226", fact, in_spec(f"devices.{unwilling[0].alias}"), evidence, help_)


def _exposed(it: Situation) -> bool:
    """Whether they are remapped may be not known; then nothing is said."""
    return bool(it.passing.choices and it.host.iommu) and it.host.linux.remapping is False


def _lifted(it: Situation) -> bool | None:
    """None: the module is not loaded, and its options are not known."""
    linux, module = it.host.linux, strict_module(it.host.linux, it.backend)
    if (value := linux.parameters.get(f"{module}.{_PARAMETER}")) is not None:
        return value in _YES
    if given := settings_of(linux, f"{module}.{_PARAMETER}"):
        return given[-1] in _YES
    return False if linux.modules and module in linux.modules else None


def _unwilling(it: Situation) -> list[Choice]:
    return [choice for choice in it.passing.choices if _ALLOW not in choice.device.allow]


def _allowing(choice: Choice) -> str:
    return adding(choice, "allow", shown_words((*choice.device.allow, _ALLOW)))


def _words(linux: Linux) -> tuple[str, ...]:
    """Those of the command line that keep interrupts from being remapped."""
    off = last_of(linux, "intremap", ("on", "off")) == "off"
    bare = settings_of(linux, "nointremap") != ()
    return (*(("intremap=off",) if off else ()), *(("nointremap",) if bare else ()))


def _unable(host: HostFacts) -> list[str]:
    return [unit.name for unit in host.iommu.units if unit.remaps is False] if host.iommu else []


def _why_not_remapped(host: HostFacts) -> tuple[str, ...]:
    words, unable = _words(host.linux), _unable(host)
    if words:
        return (f"{' and '.join(words)} on the kernel's command line",)
    return (f"{', '.join(unable)}: not able to remap interrupts",) if unable else ()


def _ways_to_remap(it: Situation) -> tuple[str, ...]:
    """The first is the safe one. The module's parameter is the administrator's to set, never ours."""
    words = " and ".join(f"`{word}`" for word in _words(it.host.linux))
    if words:
        first = f"boot the host without {words}"
    elif _unable(it.host) and it.host.firmware.virtual:
        first = "give this VM a virtual IOMMU that can: for QEMU `-device intel-iommu,intremap=on`"
    else:
        first = "switch on interrupt remapping (x2APIC) in the firmware; `dmesg | grep -i remap` says what is missing"
    return (first, f"if you trust the guest: `{_lifting(it)}`{_and_allow(_unwilling(it))}")


def _lifting(it: Situation) -> str:
    """The parameter has a file only while the module is loaded."""
    module = strict_module(it.host.linux, it.backend)
    if _lifted(it) is None:
        return f"echo options {module} {_PARAMETER}=1 >> /etc/modprobe.d/vfio.conf"
    return f"echo 1 > /sys/module/{module}/parameters/{_PARAMETER}"


def _and_allow(unwilling: list[Choice]) -> str:
    if len(unwilling) > 1:
        return f", and give each device `allow: [{_ALLOW}]`"
    return f", and {_allowing(unwilling[0])}" if unwilling else ""


def _domain_ids(it: Situation) -> Iterator[Diagnostic]:
    """A container takes one id of each unit its devices are behind."""
    used = {one.function.iommu for one in it.passing.taken}
    for unit in it.host.iommu.units if it.host.iommu else ():
        if unit.name in used and unit.domains is not None and unit.domains >= (unit.most_domains or unit.domains + 1):
            behind = ", ".join(choice.alias for choice, one in it.chosen() if one.iommu == unit.name)
            fact = f"{behind}: the IOMMU unit {unit.name} has all its {unit.most_domains} domain ids taken"
            help_ = (
                "stop other VMs that have devices behind it: `vmlaunch ps`",
                f"or take a device that is not in `ls /sys/class/iommu/{unit.name}/devices`",
            )
            yield Diagnostic("E227", fact, in_spec("devices"), help=help_)


def _sleep(it: Situation) -> Iterator[Diagnostic]:
    """vfio-pci saves nothing when the host sleeps."""
    firmware = it.host.firmware
    if it.passing.groups and firmware.portable and firmware.sleeps:
        fact = "this host may go to sleep while the guest has its devices, and they do not survive that"
        evidence = (f"a portable computer; /sys/power/state: {' '.join(firmware.sleeps)}",)
        awake = ("keep it awake: `systemd-inhibit --what=sleep vmlaunch up SPEC`",)
        yield Diagnostic("W222", fact, in_spec("devices"), evidence, awake)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _no_iommu_group),
    Rule("kernel", _interrupts),
    Rule("policy", _unsafe),
    Rule("kernel", _domain_ids),
    Rule("policy", _sleep),
)
