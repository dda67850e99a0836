"""HostFacts in; the same without what says whose it is out: names, serials, MACs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.host.facts import PARAMETERS, Config
from launcher.record import replace
from launcher.values import NO_MAC

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, Interface, PciFunction, Use, VirtualFunction

_WORD = "redacted"
_SOME_MAC = "02:00:00:00:00:00"


def redacted(host: HostFacts) -> HostFacts:
    cmdline = host.linux.cmdline
    linux = replace(host.linux, cmdline=_parameters(cmdline) if isinstance(cmdline, str) else cmdline)
    return replace(host, name=_WORD, pci=tuple(map(_function, host.pci)), linux=linux)


def _parameters(cmdline: str) -> str:
    """Those that a plan depends on. The others may hold names, paths and passwords; behind `--` are those of init."""
    words = cmdline.partition(" -- ")[0].split()
    return " ".join(one for one in words if one.replace("-", "_").startswith(PARAMETERS))


def _function(one: PciFunction) -> PciFunction:
    return replace(
        one,
        serial=one.serial and _WORD,
        interfaces=tuple(_interface(each, one.interfaces) for each in one.interfaces),
        uses=tuple(_use(each, one.interfaces) for each in one.uses),
        config=_config(one.config) if isinstance(one.config, Config) else one.config,
    )


def _interface(one: Interface, all_of_them: tuple[Interface, ...]) -> Interface:
    functions = one.functions and tuple(map(_virtual, one.functions))
    return replace(one, name=_without(one.name, all_of_them), mac=one.mac and _WORD, functions=functions)


def _virtual(one: VirtualFunction) -> VirtualFunction:
    """That it has none is a fact; the address is another one."""
    has_one = one.settings.mac not in (None, NO_MAC)
    return replace(one, settings=replace(one.settings, mac=_SOME_MAC)) if has_one else one


def _use(use: Use, interfaces: tuple[Interface, ...]) -> Use:
    return replace(use, what=_without(use.what, interfaces), name=_without(use.name, interfaces))


def _without(text: str, interfaces: tuple[Interface, ...]) -> str:
    """MACs are also in names (enx525400123456)."""
    for mac in filter(None, (one.mac for one in interfaces)):
        for form in (mac, mac.replace(":", "")):
            text = text.replace(form, _WORD)
    return text


def _config(config: Config) -> Config:
    """Raw bytes hold the serial number as well; what they say is decoded beside them."""
    return replace(config, serial_number=config.serial_number and _WORD, raw=None)
