"""A function that a plan takes in; what the host loses with it, and whether the spec agrees to that, out. Pure."""

from __future__ import annotations

from launcher.patterns import re
from launcher.planner.uses import is_hard, uses_of
from launcher.planner.waiting import waiting
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.host.facts import PciFunction, Use
    from launcher.spec.parts import Device

_PLAIN = r"[A-Za-z0-9_./:+@-]+"

# What else hangs on a part of the machine that nobody seems to use, by PCI class (PCI Code and ID Assignment 1.15).
_PARTS = {
    "0101": "an IDE controller, with its disks",
    "0104": "a RAID controller, with its disks",
    "0106": "a SATA controller, with its disks",
    "0107": "a SAS controller, with its disks",
    "0108": "an NVMe drive",
    "02": "a network card",
    "03": "a display card",
    "0c03": "a USB controller, with all that is plugged into it",
}
PSP = "the security processor (PSP): SEV guests of kvm_amd and the firmware's TPM hang on it"


def is_psp(one: PciFunction) -> bool:
    """AMD's security and cryptographic coprocessor; other encryption controllers have other drivers."""
    return one.class_code.startswith("1080") and one.driver == "ccp"


def soft_uses(one: PciFunction) -> list[Use]:
    """Those that consent is about. Processes that the driver waits for are no matter of consent."""
    waits = waiting(one) is not None
    return [use for use in uses_of(one) if not is_hard(use) and not (waits and use.kind == "process")]


def accepted(use: Use, one: PciFunction, device: Device) -> bool:
    """`in-use` is for all, `in-use=eth0` for one; what has no name goes by the address of its function."""
    names = {_named(use, one), f"in-use={one.address}"}
    return "in-use" in device.allow or not names.isdisjoint(device.allow)


def named_uses(one: PciFunction) -> tuple[str, ...]:
    return names_of(soft_uses(one), one)


def names_of(uses: Iterable[Use], one: PciFunction) -> tuple[str, ...]:
    """The words of `allow` that accept these."""
    return tuple(_named(use, one) for use in uses)


def _named(use: Use, one: PciFunction) -> str:
    return f"in-use={use.name or one.address}"


def shown_words(words: Iterable[str]) -> str:
    """As YAML has them."""
    plain = dict.fromkeys(words)
    return f"[{', '.join(one if re.fullmatch(_PLAIN, one.replace('=', '')) else _quoted(one) for one in plain)}]"


def _quoted(word: str) -> str:
    return "'{}'".format(word.replace("'", "''"))


def losses(one: PciFunction, slots: Iterable[str]) -> tuple[str, ...]:
    """Each thing that the host loses with it. Of the other functions of the devices' own `slots` only uses count."""
    if is_psp(one):
        return (PSP,)
    used = tuple(use.what for use in uses_of(one))
    part = next((words for class_, words in _PARTS.items() if one.class_code.startswith(class_)), None)
    return used or ((part,) if part and one.driver and one.address.slot not in slots else ())
