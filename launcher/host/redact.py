"""HostFacts in; the same without what says whose it is out: names, serials, MACs. Pure."""

from __future__ import annotations

from launcher.host.facts import PARAMETERS, Config
from launcher.record import replace
from launcher.typed import TYPE_CHECKING
from launcher.values import NO_MAC

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, Interface, Link, PciFunction, Serving, Use, VirtualFunction

_WORD = "redacted"
_SOME_MAC = "02:00:00:00:00:00"


def redacted(host: HostFacts) -> HostFacts:
    cmdline = host.linux.cmdline
    linux = replace(host.linux, cmdline=_parameters(cmdline) if isinstance(cmdline, str) else cmdline)
    serving = host.serving and _serving(host.serving)
    return replace(host, name=_WORD, boot_id=None, pci=tuple(map(_function, host.pci)), linux=linux, serving=serving)


def _serving(serving: Serving) -> Serving:
    """Without the VMs that run there, whose names are their owner's."""
    return replace(serving, links=tuple(map(_link, serving.links)), vms=())


def _link(one: Link) -> Link:
    named = (_without_mac(name, one.mac) for name in (one.name, *one.ports))
    name, *ports = named
    return replace(one, name=name, ports=tuple(ports), mac=one.mac and _WORD)


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
    for mac in (one.mac for one in interfaces):
        text = _without_mac(text, mac)
    return text


def _without_mac(text: str, mac: str | None) -> str:
    for form in (mac, mac.replace(":", "")) if mac else ():
        text = text.replace(form, _WORD)
    return text


def _config(config: Config) -> Config:
    """Raw bytes hold the serial number as well; what they say is decoded beside them."""
    return replace(config, serial_number=config.serial_number and _WORD, raw=None)
