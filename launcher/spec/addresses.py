"""A scalar of a spec in, an address or a device's identity out; a Problem is raised otherwise. Pure."""

from __future__ import annotations

from launcher.patterns import re
from launcher.record import replace
from launcher.spec.kinds import WORDS, meant_by
from launcher.spec.problems import Problem, did_you_mean
from launcher.spec.scalars import text, wrong_kind
from launcher.spec.sizes import PHYSICAL
from launcher.values import NO_MAC, Mdev, PciAddress, parse_size

_DEVICE_ID = r"[0-9a-f]{4}:[0-9a-f]{4}"
_CLASS = r"(?:[0-9a-f]{2}){1,3}"
_PLACES = "passed devices are at 00:10.0 to 00:1f.7; 00:00.0 to 00:0f.7 belong to the machine itself"
_OF_PARENTS = "`ls /sys/class/mdev_bus/*/mdev_supported_types` lists them"
_OF_MDEV = "`ls /sys/bus/mdev/devices` lists them: 32 hex digits as 8-4-4-4-12"
_LAST_DECIMAL, _LAST_FUNCTION = 19, 7  # of the device numbers that have no letter, and of the functions
_HEX = r"0x[0-9a-fA-F]{1,16}"
MAC = r"[0-9a-f]{2}(:[0-9a-f]{2}){5}"
MDEV_NAME = r"[A-Za-z0-9_][A-Za-z0-9_:.+-]{0,254}"
_OTHER_MAC = r"[0-9a-f]{2}(-?[0-9a-f]{2}){5}|([0-9a-f]{4}\.){2}[0-9a-f]{4}"  # of Windows, of Cisco's
_OF_MANY = 1  # the bit of a MAC's first byte that makes it a group's (IEEE 802, 8.2)


def host_address(given: object) -> PciAddress:
    if isinstance(given, int | float) and not isinstance(given, bool):
        raise _base_60(given).error()
    if not isinstance(given, str):
        raise _of_another_kind(given).error()
    try:
        return PciAddress.parse(given)
    except ValueError:
        raise _no_address(given).error() from None


def _no_address(given: str) -> Problem:
    from launcher.spec.addresses_of_others import WRITTEN, impossible, meant

    if why := impossible(given):
        return Problem("E111", f"not a PCI address: {given}: {why}", help=(WRITTEN,))
    found = meant(given)
    return Problem("E111", f"not a PCI address: {given}", help=found.help, fix=found.fix)


def _of_another_kind(given: object) -> Problem:
    from launcher.spec.addresses_of_others import WRITTEN, in_mapping, written

    problem = wrong_kind("a PCI address such as 0000:c1:00.0", given)
    if told := written(given):
        return replace(problem, help=told)
    if isinstance(given, list | tuple):
        shown = next((f", as in `first: {address}`" for one in given if (address := in_mapping(one))), "")
        one_each = f"one device has one address: give each an alias of its own{shown}"
        return replace(problem, help=(one_each, "or write `companions: attach` for the other functions of a card"))
    return replace(problem, help=(WRITTEN,))


def _base_60(given: float) -> Problem:
    """A YAML 1.1 tool reads 0000:01:00.0 as ((0 * 60) + 1) * 60 + 0.0 and writes 60 or 60.0."""
    message = f"{given} is a number, and a PCI address belongs here"
    why = "a YAML 1.1 tool reads an unquoted 0000:01:00.0 as the base 60 number 60; quote addresses in its input"
    if not 0 <= given < 3600:
        return Problem("E112", message, help=(why,))
    bus, device = divmod(int(given), 60)
    function = round((given - int(given)) * 10)
    if device > _LAST_DECIMAL or function > _LAST_FUNCTION:
        return Problem("E112", message, help=(why,))
    fix = f'"0000:{bus:02}:{device:02}.{function}"'
    return Problem("E112", message, help=(why, f"if that happened here, the address was {fix}"), fix=fix)


def mdev(given: object) -> Mdev:
    """A folder of /sys/bus/mdev/devices is one, too."""
    if not isinstance(given, str):
        raise replace(wrong_kind("the UUID of a mediated device", given), help=(_OF_MDEV,)).error()
    try:
        return Mdev.parse(given)
    except ValueError:
        fix = _bare(given)
        help_ = (f"write `{fix}`", _OF_MDEV) if fix else (_OF_MDEV,)
        raise Problem("E136", f"not the UUID of a mediated device: {given}", help=help_, fix=fix).error() from None


def mdev_name(given: object) -> str:
    """Of a parent or a type, as sysfs calls it."""
    if not isinstance(given, str):
        raise replace(wrong_kind("the name of a device or a type", given), help=(_OF_PARENTS,)).error()
    if re.fullmatch(MDEV_NAME, given) is None:
        last = given.rstrip("/").rpartition("/")[2]
        fix = last if re.fullmatch(MDEV_NAME, last) else None
        help_ = (f"write `{fix}`", _OF_PARENTS) if fix else (_OF_PARENTS,)
        raise Problem("E137", f"not a name in sysfs: {given}", help=help_, fix=fix).error()
    try:
        return str(PciAddress.parse(given))
    except ValueError:
        return given


def _bare(given: str) -> str | None:
    """The last part of a path, what is in braces, 32 digits in a row."""
    digits = given.rstrip("/").rpartition("/")[2].strip(" {}").replace("-", "").lower()
    if re.fullmatch(r"[0-9a-f]{32}", digits) is None:
        return None
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def guest_address(given: object) -> PciAddress:
    address = _guest_address(given)
    if (address.domain, address.bus) == (0, 0) and address.device >= 0x10:
        return address
    raise _no_place(given).error()


def _guest_address(given: object) -> PciAddress:
    if not isinstance(given, str | int | float):
        raise _no_guest_kind(given).error()
    if type(given) is int:
        raise _number(given).error()
    if not isinstance(given, str):
        return host_address(given)
    try:
        return PciAddress.parse(given)
    except ValueError:
        raise _no_guest_address(given).error() from None


def _no_guest_address(given: str) -> Problem:
    from launcher.spec.addresses_of_others import impossible, in_guest

    if impossible(given):
        return _no_place(given)
    fix = in_guest(given)
    help_ = (f"write `{fix}`", _PLACES) if fix else (_PLACES,)
    return Problem("E111", f"not a PCI address: {given}", help=help_, fix=fix)


def _number(given: int) -> Problem:
    """An unquoted 0x10, or what a YAML 1.1 tool has made of 00:10.0."""
    readings = dict.fromkeys((f"00:{given:02x}.0", f"00:{given:02}.0")) if 0x10 <= given <= 0x1F else {}
    help_ = (*(f"if device number {one[3:5]} is meant, write `{one}`" for one in readings if one[3] == "1"), _PLACES)
    return Problem("E112", f"{given} is a number, and a place such as 00:10.0 belongs here", help=help_)


def _no_guest_kind(given: object) -> Problem:
    from launcher.spec.addresses_of_others import place_in_mapping

    place = place_in_mapping(given)
    return replace(wrong_kind("a place such as 00:10.0", given), help=(f"write `{place}`" if place else _PLACES,))


def _no_place(given: object) -> Problem:
    return Problem("E114", f"{given} is not a place for a passed device in the guest", help=(_PLACES,))


def guest_text(address: PciAddress) -> str:
    return address.guest


def memory_address(given: object) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        address = given
    elif isinstance(given, str) and re.fullmatch(_HEX, given):
        address = int(given, 16)
    else:
        raise _no_memory_address(given).error()
    if not 0 <= address < PHYSICAL:
        message = f"{address:#x} is not within the 4096 TiB an x86 machine can address"
        help_ = (f"write an address below {PHYSICAL:#x}, or leave `at` out: the planner finds a place",)
        raise Problem("E109", message, help=help_).error()
    return address


def _no_memory_address(given: object) -> Problem:
    """Hex with capitals or underscores, and a size that says how far from 0 it is."""
    written = str(given).strip().lower().replace("_", "")
    address = int(written, 16) if re.fullmatch(_HEX, written) else _distance(str(given))
    message = f"not a guest memory address: {given}"
    if address is None or address >= PHYSICAL:
        return Problem("E109", message, help=("write it in hex, as in 0x1000000000",))
    return Problem("E109", message, help=(f"write `{address:#x}`",), fix=f"{address:#x}")


def _distance(given: str) -> int | None:
    try:
        return parse_size(given)
    except ValueError:
        return None


def device_id(given: object) -> str:
    if isinstance(given, list | tuple):
        help_ = ("one device has one id: write a device for each, or `class` for what they are",)
        raise replace(wrong_kind("text", given), help=help_).error()
    found = text(given).lower()
    if re.fullmatch(_DEVICE_ID, found):
        return found
    raise _no_id(given).error()


def _no_id(given: object) -> Problem:
    from launcher.spec.addresses_of_others import identity

    if re.fullmatch("[0-9a-fA-F]{4}", str(given)):
        example = f"`{given}` is a vendor alone: add the device, as in {given}:2684; `lspci -nn` shows both"
        return Problem("E115", f"not a vendor:device id: {given}", help=(example,))
    fix = identity(given)
    rule = "write vendor:device, four hex digits each, as `lspci -nn` shows it: 10de:2684"
    help_ = (f"write `{fix}`",) if fix else (rule, "for all devices of a kind, write `class`, as in `class: gpu`")
    return Problem("E115", f"not a vendor:device id: {given}", help=help_, fix=fix)


def device_class(given: object) -> str:
    if isinstance(given, list | tuple):
        raise replace(wrong_kind("text", given), help=("one device has one class: write a device for each",)).error()
    found = text(given)
    if found in WORDS:
        return found
    if re.fullmatch(_CLASS, found.lower()):
        return found.lower()
    meant = meant_by(found)
    near = (f"write `{meant}`",) if meant else did_you_mean(found, WORDS)
    help_ = (*near, f'classes are {", ".join(WORDS)}, or hex digits such as "0302"')
    raise Problem("E116", f"not a device class: {given}", help=help_, fix=meant).error()


def mac(given: object) -> str:
    """Of one card, as it can be given to one: no group's, and not zero."""
    found = text(given).lower()
    if not re.fullmatch(MAC, found):
        near = ":".join(re.findall("[0-9a-f]{2}", found)) if re.fullmatch(_OTHER_MAC, found) else None
        meant = (f"write `{near}`",) if near else ()
        help_ = (*meant, "a MAC address is six bytes in hex with colons, as in 52:54:00:12:34:56")
        raise Problem("E131", f"not a MAC address: {given}", help=help_, fix=near).error()
    if found == NO_MAC:
        help_ = ("leave `mac` out, and the guest's driver makes one up",)
        raise Problem("E131", f"{given} is no address, but the sign that there is none", help=help_).error()
    if int(found[:2], 16) & _OF_MANY:
        near = f"{int(found[:2], 16) & ~_OF_MANY:02x}{found[2:]}"
        help_ = (f"the lowest bit of the first byte is 0 in a card's own: {near}",)
        raise Problem("E131", f"{given} is the address of a group (multicast), not of a card", help=help_).error()
    return found
