"""A function of this host in; what is known of such devices that their standards do not say, out. Pure."""

from __future__ import annotations

from launcher.codes.quirks import APU, quirks_of
from launcher.planner.functions import bridges_above, is_kind
from launcher.typed import TYPE_CHECKING
from launcher.values import PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.codes.quirks import Quirk
    from launcher.host.facts import HostFacts, PciFunction

_INTEGRATED = PciAddress(0, 0, 2, 0)  # where Intel's graphics is, and where its drivers look for it
_X4 = 4
_SLOWEST = "2.5 GT/s"
# How names of pci.ids tell a port of a tunnel, where the table does not know it.
_TUNNEL_NAMES = ("Thunderbolt", "USB4")


def quirks(code: str, one: PciFunction, host: HostFacts) -> Iterator[Quirk]:
    """The entries of the table that it is one of, whatever it is reset by."""
    return (quirk for quirk in quirks_of(code) if _is_on(quirk, host) and _is_one(quirk, one, host))


def _is_on(quirk: Quirk, host: HostFacts) -> bool:
    made = not quirk.firmware or host.firmware.vendor in quirk.firmware
    return made and quirk.portable in (None, host.firmware.portable)


def _is_one(quirk: Quirk, one: PciFunction, host: HostFacts) -> bool:
    if not one.class_code.startswith(quirk.classes or ""):
        return False
    return not quirk.ids or _among(one.id, quirk.ids) or (quirk.ids == APU and is_apu(one, host))


def _among(identity: str, patterns: tuple[str, ...]) -> bool:
    vendor, _, device = identity.partition(":")
    for pattern in patterns:
        of, _, devices = pattern.partition(":")
        first, _, last = devices.partition("-")
        if vendor == of and first <= device <= (last or first or "ffff"):
            return True
    return False


def is_apu(one: PciFunction, host: HostFacts) -> bool:
    """AMD's graphics in the processor. One too new for the table has functions of the processor in its slot, as the
    security processor and USB: those of a card are the graphics maker's."""
    if not (one.id.startswith("1002:") and is_kind(one, "display")):
        return False
    slot = (other for other in host.pci if other.address.slot == one.address.slot)
    return _among(one.id, APU) or any(other.id.startswith("1022:") for other in slot)


def is_intels(one: PciFunction) -> bool:
    """Intel's graphics in the processor: VGA if it shows the firmware's picture, another display otherwise."""
    return one.id.startswith("8086:") and is_kind(one, "display") and one.address == _INTEGRATED


def is_built_in(one: PciFunction, host: HostFacts) -> bool:
    """A part of the processor, which no slot has."""
    return is_intels(one) or is_apu(one, host)


def above(one: PciFunction, host: HostFacts) -> tuple[PciFunction, ...]:
    """The bridges between it and the root of its bus, the nearest first."""
    return tuple(bridges_above(one, {bridge.address: bridge for bridge in host.pci}))


def is_tunnelled(one: PciFunction, host: HostFacts) -> bool:
    """Its PCI Express comes through Thunderbolt or USB4."""
    return one.removable or any(_is_tunnel(bridge, host) for bridge in above(one, host))


def _is_tunnel(bridge: PciFunction, host: HostFacts) -> bool:
    return any(quirks("W264", bridge, host)) or any(word in (bridge.name or "") for word in _TUNNEL_NAMES)


def reads_as_tunnel(width: int, speed: str) -> bool:
    """What a link in a tunnel reads however fast it is."""
    return width == _X4 and speed.startswith(_SLOWEST)
