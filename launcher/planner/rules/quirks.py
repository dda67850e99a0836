"""Rules about devices of which more is known than they say of themselves: resets they do not survive, ROMs. Pure."""

from __future__ import annotations

from launcher.codes.quirks import APUS_WAY
from launcher.errors import Diagnostic
from launcher.host.facts import Config
from launcher.planner.linux import release
from launcher.planner.places import in_spec
from launcher.planner.quirks import quirks
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import adding, sysfs
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.codes.quirks import Quirk
    from launcher.host.facts import HostFacts, PciFunction
    from launcher.planner.decided import Situation, Taken

# Linux lets user space choose a reset, and asks modules for none, since then (reset_method).
_CHOOSING = (5, 15)
_MODULE = "vendor_reset"
_SOURCE, _LIST = "github.com/gnif/vendor-reset", "src/device-db.h"
_HOST_DRIVERS = ("amdgpu", "radeon")
# Where ACPI has the video BIOS of its maker's graphics.
_BY_ACPI = {"1002": "table VFCT", "10de": "method _ROM"}


def _not_survived(it: Situation) -> Iterator[Diagnostic]:
    for one in it.passing.taken:
        choice = it.choice_of(one)
        method = _method(one.function, it)
        found = next((quirk for quirk in quirks("W265", one.function, it.host) if method in quirk.resets), None)
        if found is None or not one.passed or "no-reset" in choice.device.allow or _is_helped(found, one, it.host):
            continue
        fact = f"{one.alias}: {one.function.address} is known not to come back from the reset it gets: {found.seen}"
        help_, fix = _ways(found, one, it.host)
        accepting = adding(choice, "allow", f"[{', '.join((*choice.device.allow, 'no-reset'))}]")
        help_ = (*help_, f"to accept that, {accepting}")
        evidence = (f"{found.what}; reset by {method}",)
        yield Diagnostic("W265", fact, in_spec(f"devices.{one.alias}"), evidence, help_, fix)


def _method(one: PciFunction, it: Situation) -> str | None:
    """Before 5.15 nobody says which there are: a function level reset comes first."""
    if not isinstance(one.reset, Missing):
        return it.resets[one.address].method
    config = one.config if isinstance(one.config, Config) else Config()
    return "flr" if config.flr or config.af_flr else "bus"


def _is_helped(quirk: Quirk, one: Taken, host: HostFacts) -> bool:
    """Before 5.15 the kernel tries its own resets first, and vendor-reset is one of them once it is loaded."""
    version = release(host.kernel)
    own = isinstance(one.function.reset, Missing) and quirk.own_since is not None and version >= quirk.own_since
    known = quirk.module in ("listed", "listed later")
    return own or (known and version < _CHOOSING and _MODULE in (host.linux.modules or ()))


def _ways(quirk: Quirk, one: Taken, host: HostFacts) -> tuple[tuple[str, ...], str | None]:
    function, methods = one.function, one.function.reset
    if quirk.module == "to be added":
        return _by_adding(function), None
    if quirk.module == "helps some":
        return (f"try {APUS_WAY}", f"or a vendor-reset ({_SOURCE}) with {function.id} in its {_LIST}"), None
    if quirk.module:
        return _by_module(quirk, one, host)
    if quirk.own_since and release(host.kernel) < quirk.own_since:
        return (f"boot a newer kernel: {quirk.help}",), None
    if quirk.own_since:
        fix = f"echo default > {sysfs(function)}/reset_method"
        return (f"let the kernel choose its own reset for it again: `{fix}`",), fix
    if quirk.resets == ("flr",) and isinstance(methods, tuple) and "bus" in methods:
        fix = f"echo bus > {sysfs(function)}/reset_method"
        return (f"reset the bus instead, if it is alone on it: `{fix}`",), fix
    return (f"try {quirk.help}",), None


def _by_adding(function: PciFunction) -> tuple[str, ...]:
    listed = f"the module vendor-reset ({_SOURCE}) does not know {function.id}"
    return (f"restart the host between two VMs: {listed}", f"or try it with {function.id} added to its {_LIST}")


def _by_module(quirk: Quirk, one: Taken, host: HostFacts) -> tuple[tuple[str, ...], str | None]:
    function, linux = one.function, host.linux
    loaded = _MODULE in (linux.modules or ())
    there = isinstance(linux.loadable, tuple) and _MODULE in linux.loadable
    load = () if loaded else ("modprobe vendor-reset",)
    choose = (f"echo device_specific > {sysfs(function)}/reset_method",) if release(host.kernel) >= _CHOOSING else ()
    fix = "; ".join((*load, *choose))
    build = "" if loaded or there else f"build the module vendor-reset ({_SOURCE}), then "
    first = (f"have it reset as its maker does: {build}`{fix}`", *_in_its_list(quirk, function))
    if function.driver not in _HOST_DRIVERS:
        return first, fix
    ids = f"boot the host with `vfio-pci.ids={function.id}`"
    return (*first, f"never let {function.driver} have the card before a VM: {ids}"), fix


def _in_its_list(quirk: Quirk, function: PciFunction) -> tuple[str, ...]:
    """Whoever has an older one gets EINVAL from `reset_method`, or before 5.15 no word at all."""
    if quirk.module != "listed later":
        return ()
    return (f"it has to be a vendor-reset with {function.id} in its {_LIST}: older ones do not know it",)


def _rom_is_elsewhere(it: Situation) -> Iterator[Diagnostic]:
    """A file in `rom` is the answer, and `rom: false` says that the guest's driver needs none."""
    for one in it.passing.taken:
        if not one.passed or one.rom is not True or one.function.rom != "none":
            continue
        found = next(quirks("W266", one.function, it.host), None)
        if found is not None:
            choice = it.choice_of(one)
            fact = f"{one.alias}: {one.function.address} {found.seen}"
            file, none = adding(choice, "rom", "./vbios.rom"), adding(choice, "rom", "false")
            help_ = (
                f"{file}: from an update of the firmware, or from ACPI's {_BY_ACPI[one.function.id[:4]]}",
                f"{none} if the guest's driver needs none",
            )
            yield Diagnostic("W266", fact, in_spec(f"devices.{one.alias}"), (found.what,), help_)


RULES: tuple[Rule, ...] = (Rule("policy", _not_survived), Rule("policy", _rom_is_elsewhere))
