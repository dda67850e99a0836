"""A scalar of a spec in, an address or a device's identity out; a Problem is raised otherwise. Pure."""

from __future__ import annotations

import re

from launcher.spec.kinds import WORDS, meant_by
from launcher.spec.problems import Problem, did_you_mean
from launcher.spec.scalars import text, wrong_kind
from launcher.spec.sizes import PHYSICAL
from launcher.values import PciAddress

_DEVICE_ID = r"[0-9a-f]{4}:[0-9a-f]{4}"
_CLASS = r"(?:[0-9a-f]{2}){1,3}"
_HEX = r"0x[0-9a-fA-F]{1,16}"


def host_address(given: object) -> PciAddress:
    if isinstance(given, int | float) and not isinstance(given, bool):
        raise _base_60(given).error()
    if not isinstance(given, str):
        raise wrong_kind("a PCI address such as 0000:c1:00.0", given).error()
    try:
        return PciAddress.parse(given)
    except ValueError:
        help_ = ("addresses are written as lspci -D does: domain:bus:device.function, in hex, as in 0000:c1:00.0",)
        raise Problem("E111", f"not a PCI address: {given}", help=help_).error() from None


def _base_60(given: float) -> Problem:
    """A YAML 1.1 tool reads 0000:01:00.0 as ((0 * 60) + 1) * 60 + 0.0 and writes 60 or 60.0."""
    message = f"{given} is a number, and a PCI address belongs here"
    why = "a YAML 1.1 tool reads an unquoted 0000:01:00.0 as the base 60 number 60; quote addresses in its input"
    if not 0 <= given < 3600:
        return Problem("E112", message, help=(why,))
    bus, device = divmod(int(given), 60)
    fix = f'"0000:{bus:02}:{device:02}.{round((given - int(given)) * 10) % 8}"'
    return Problem("E112", message, help=(why, f"if that happened here, the address was {fix}"), fix=fix)


def guest_address(given: object) -> PciAddress:
    address = host_address(given)
    if (address.domain, address.bus) == (0, 0) and address.device >= 0x10:
        return address
    help_ = ("passed devices are at 00:10.0 to 00:1f.7; 00:00.0 to 00:0f.7 belong to the machine itself",)
    raise Problem("E114", f"{given} is not a place for a passed device in the guest", help=help_).error()


def guest_text(address: PciAddress) -> str:
    return address.guest


def memory_address(given: object) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        address = given
    elif isinstance(given, str) and re.fullmatch(_HEX, given):
        address = int(given, 16)
    else:
        help_ = ("write it in hex, as in 0x1000000000",)
        raise Problem("E109", f"not a guest memory address: {given}", help=help_).error()
    if not 0 <= address < PHYSICAL:
        raise Problem("E109", "the address is not within the 4096 TiB an x86 machine can address").error()
    return address


def device_id(given: object) -> str:
    found = text(given).lower()
    if re.fullmatch(_DEVICE_ID, found):
        return found
    help_ = ("write vendor:device, four hex digits each, as `lspci -nn` shows it: 10de:2684",)
    raise Problem("E115", f"not a vendor:device id: {given}", help=help_).error()


def device_class(given: object) -> str:
    found = text(given)
    if found in WORDS:
        return found
    if re.fullmatch(_CLASS, found.lower()):
        return found.lower()
    meant = meant_by(found)
    near = (f"write `{meant}`",) if meant else did_you_mean(found, WORDS)
    help_ = (*near, f'classes are {", ".join(WORDS)}, or hex digits such as "0302"')
    raise Problem("E116", f"not a device class: {given}", help=help_, fix=meant).error()
