"""A key or a word that other tools have in, what it is called here out, or what there is instead. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache

from launcher.patterns import re
from launcher.row import NamedTuple
from launcher.spec.addresses_of_others import in_guest, in_mapping, meant, of_halves, written
from launcher.spec.entries_of_others import CDS, as_cd, entries, is_entry
from launcher.spec.fields import all_fields, as_yaml, keys_of, stands
from launcher.spec.kinds import meant_by
from launcher.spec.places import NAMED, section_of
from launcher.spec.problems import FieldPath
from launcher.spec.sizes import unit_of
from launcher.spec.without_aliases import with_aliases
from launcher.spec.words import by_word, field_of, plain_word
from launcher.spec.words_of_others import (
    CHOICES,
    IN_BOOT,
    IN_CPUS,
    IN_DEVICE,
    IN_DISK,
    IN_MATCH,
    IN_NIC,
    IN_SHARE,
    IN_VSOCK,
    NONE,
)
from launcher.values import GIB, KIB, MIB


class Meaning(NamedTuple):
    """`field` is the dotted name of the field that is meant, where there is one; `fix` replaces the key."""

    help: tuple[str, ...]
    field: str = ""
    fix: str | None = None


_NONE = {"*": NONE, "boot": IN_BOOT, "cpus": IN_CPUS, "devices": IN_DEVICE, "devices.match": IN_MATCH,
         "disks": IN_DISK, "nics": IN_NIC, "shares": IN_SHARE, "vsock": IN_VSOCK}  # fmt: skip


# They are sorted when the first unknown key is met, and not at every start.
@cache
def _none_of(section: str) -> dict[str, str]:
    return by_word(_NONE.get(section, {}))


@cache
def _choice_of(field: str) -> dict[str, str]:
    return by_word(CHOICES.get(field, {}))


# Whose values others write in another way, so that a new key alone would not do.
_OTHER_VALUES = frozenset({"devices.match.id", "devices.rom", "devices.bind", "devices.companions", "devices.allow",
                           "devices.pick"})  # fmt: skip
_NUMBERED = (
    "numbers of IOMMU groups change: name the device by `pci`, and `companions: attach` gives the rest of its group"
)
# A value of others is shown as it is, where it may stand there.
_SAME_VALUES = ("boot.", "cpus.topology.", "devices.pci", "devices.match.", "devices.network.", "devices.rom")
# What has to stand beside a field that is named without its section.
_BESIDE = {"cpus": "count: 8, ", "memory": "size: 8GiB, "}


_ALL_VCPUS = "nothing is to be written: the guest has all its vCPUs and its memory from the start, take the key out"
_OPTIONS = (
    "options of QEMU have no place here: devices are passed by `devices:`, and `boot.cmdline` is the kernel's command "
    "line, as in `cmdline: console=ttyS0`"
)


def meaning(path: FieldPath, given: object, beside: Mapping[str, object]) -> Meaning | None:
    """What is meant by the unknown key at the end of `path`, whose value is `given`, among the keys `beside` it."""
    *around, key = path
    section = section_of(tuple(around))
    if name := _own(key, section):
        return _of_field(f"{section}.{name}".lstrip("."), section, given, beside)
    for word in _forms(key):
        for where in (section, "*"):
            if (field := field_of(where).get(word)) and (field != "boot" or isinstance(given, Mapping)):
                if field == "disks" and word in CDS:
                    return _of_field(field, section, as_cd(given), beside)
                if _is_most(word, field, key, section, beside):
                    return Meaning((_ALL_VCPUS,), field)
                return _of_field(field, section, given, beside)
            if none := _none_of(where).get(word):
                return _of_devices(none, section, given)
    return None


def _of_devices(none: str, section: str, given: object) -> Meaning:
    """Of a key that means a device there is told what is behind it, in place of the example."""
    told, example, _ = none.partition(", as in `devices: {")
    if section or not example:
        return Meaning((none,))
    if whole := entries("devices", given):
        return Meaning((f"{told}: write `devices: {whole}`",))
    return Meaning((told, *meant(given).help) if isinstance(given, str) and ":" in given else (none,))


def _own(key: str, section: str) -> str | None:
    """`bootorder`, `boot_order` and `Boot-Order` are `boot-order`, where the section has that."""
    word = plain_word(key)
    return next((name for name in keys_of(section) if plain_word(name) == word), None)


def _is_most(word: str, field: str, key: str, section: str, beside: Mapping[str, object]) -> bool:
    """cloud-hypervisor's max_vcpus, beside how many there are."""
    others = (one for one in beside if one != key)
    return word.startswith("max") and any(
        field
        in (f"{section}.{one}".lstrip("."), field_of(section).get(plain_word(one)), field_of("*").get(plain_word(one)))
        for one in others
    )


def _forms(key: str) -> Iterator[str]:
    """The word, without a number at its end (hostpci0), and in the singular."""
    word = plain_word(key)
    yield word
    yield word.rstrip("0123456789")
    yield word.rstrip("0123456789").removesuffix("s")


def _of_field(field: str, section: str, given: object, beside: Mapping[str, object]) -> Meaning:
    around, _, name = field.rpartition(".")
    if field == "cpus" and isinstance(given, str) and not given.strip()[:1].isdecimal():
        return Meaning((_none_of("*")["cpumodel"],))
    if field == "boot.cmdline" and isinstance(given, str) and given.lstrip().startswith("-"):
        return Meaning((_OPTIONS,))
    if field == "devices.match.id" and section == "devices":
        return _of_id(given, beside)
    if field == "devices.pci" and "pci" in beside and (place := in_guest(given)):
        return Meaning((f"write `guest: {place}`",), "devices.guest")
    if around == section:
        return _in_place(field, name, given, beside)
    if around == "":
        return Meaning((f"write `{name}` at the left margin",), field)
    if section.startswith(f"{around}."):
        stands_ = "in place of" if name == "pci" else "beside"
        return Meaning((f"`{name}` stands {stands_} `{section.rpartition('.')[2]}`",), field)
    if field.startswith("devices.match.") and _addressed(beside):
        return Meaning(("nothing is to be written: the address says which device it is",))
    return Meaning((f"it belongs in `{around.rpartition('.')[2]}:`, as in `{_nested(field, section, given)}`",), field)


def _addressed(beside: Mapping[str, object]) -> bool:
    """A device whose address is there, whatever the key is called."""
    return any(key == "pci" or field_of("devices").get(plain_word(key)) == "devices.pci" for key in beside)


def _of_id(given: object, beside: Mapping[str, object]) -> Meaning:
    """Other tools have vendor and device apart, or call the address a device."""
    both = _both(beside)
    if not both and in_mapping(given):
        return Meaning(_address(given), "devices.pci")
    if len(both) > 1:
        return Meaning(_either("match: {id: %s}", both), "devices.match.id")
    value = both[0] if both else _value(given, "devices.match.id")
    return Meaning(
        (f"write `match: {{id: {value}}}` to find it by its id", f"or `expect: {value}` beside `pci`"),
        "devices.match.id",
    )


def _either(form: str, both: tuple[str, ...]) -> tuple[str, ...]:
    shown = [f"`{form % one}`" for one in both]
    return (
        (f"write {shown[0]} for both",)
        if len(both) == 1
        else (
            f"if these numbers begin with 0x in the file, write {shown[0]} for both",
            f"if they stand there as `lspci -nn` shows them, write {shown[1]}",
        )
    )


def _both(beside: Mapping[str, object]) -> tuple[str, ...]:
    """`vendor: 10de` and `device: 2684` as one id."""
    halves = {plain_word(key).removesuffix("id").removeprefix("pci"): value for key, value in beside.items()}
    return of_halves(halves.get("vendor"), halves.get("device", halves.get("product")))


def _in_place(field: str, name: str, given: object, beside: Mapping[str, object]) -> Meaning:
    if field in NAMED and field != "devices" and (not stands(field, given) or is_entry(field, given)):
        return Meaning(_entries(field, given), field)
    if name in beside:
        return Meaning((f"write `{name}`, which is there already, and take this key out",), field)
    if field == "devices.pci" and not stands(field, given):
        return Meaning(_address(given), field)
    if field == "devices.match.id" and (both := _both(beside)):
        return Meaning(_either("id: %s", both), field)
    if field == "devices.rom" and str(given) in ("0", "1"):
        return Meaning((f"write `rom: {'true' if str(given) == '1' else 'false'}`",), field)
    if field == "devices.companions" and type(given) is int:
        return Meaning((_NUMBERED,), field)
    if field in _OTHER_VALUES:
        about = all_fields()[field]
        return Meaning((f"`{name}` says that: {about.type}, as in `{name}: {as_yaml(about.examples[0])}`",), field)
    if not stands(field, given) and isinstance(given, str | int | float):
        return Meaning((f"write `{name}`, as in `{name}: {as_yaml(all_fields()[field].examples[0])}`",), field)
    return Meaning((f"write `{name}`",), field, name)


def _entries(field: str, given: object) -> tuple[str, ...]:
    """The key and what is below it, as both have to change."""
    if shown := entries(field, given):
        return (f"write `{field}: {shown}`",)
    first, *more = with_aliases(field, given) or ("",)
    if f"write `{field}:" in first:
        return (f"write `{field}`", first, *more)
    return (f"write `{field}`, as in `{field}: {as_yaml(all_fields()[field].examples[0])}`", *more)


def _address(given: object) -> tuple[str, ...]:
    """The key and the address, as both have to change."""
    if told := written(given, "pci: %s"):
        return told
    found = meant(given) if isinstance(given, str) else None
    return ("write `pci`, and behind it the address", *(found.help if found else ()))


def _nested(field: str, section: str, given: object) -> str:
    """The field with all that is around it, from where the unknown key stands: `boot: {kernel: ./bzImage}`."""
    first, *inner = field.removeprefix(f"{section}.").split(".") if section else field.split(".")
    text = _value(given, field)
    for part in reversed(inner):
        text = f"{{{_BESIDE.get(first, '')}{part}: {text}}}"
    return f"{first}: [{text}]" if first == "memory" else f"{first}: {text}"


def _value(given: object, field: str) -> str:
    """What is written, where it may stand there; else the example of the field."""
    if field == "devices.match.class" and isinstance(given, str) and (word := meant_by(given)):
        return word
    same = field.startswith(_SAME_VALUES) and not isinstance(given, Mapping | list) and stands(field, given)
    return as_yaml(given if same else all_fields()[field].examples[0], inside=True)


def implied(field: str, path: FieldPath) -> Iterator[FieldPath]:
    """The fields that are not missing if the unknown key at `path` means `field`."""
    parts = tuple(field.split("."))
    yield (*path[:-1], parts[-1])
    if parts[:-1] == ("cpus", "topology"):
        yield (*path[:-1], "count")
    yield from (parts[:length] for length in range(1, len(parts) + 1))


def choice(field: str, given: object) -> Meaning | None:
    """What is meant by a word that is none of a field's choices."""
    if field == "pages":
        return _pages(given)
    meant = _choice_of(field).get(plain_word(str(given).lower()))
    return Meaning((f"write `{meant}`",), fix=meant) if meant else None


# Host page sizes on x86-64.
_PAGES = {4 * KIB: "4KiB", 2 * MIB: "2MiB", GIB: "1GiB"}
_HUGE = ("huge", "hugepages", "hugetlb", "hugetlbfs", "large", "yes", "true")
_COUNTED = {"KiB": KIB, "MiB": MIB, "GiB": GIB}


def _pages(given: object) -> Meaning | None:
    """2M is 2MiB; a bare number has no unit, so what it can be is no fix."""
    word = str(given).strip()
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-zA-Z]*)", word)
    if match is None:
        meant = _choice_of("pages").get(plain_word(word.lower()))
        return Meaning((f"write `{meant}`",), fix=meant) if meant else _huge(word)
    number = Decimal(match[1])
    if not match[2]:
        units = (unit for unit, by in _COUNTED.items() if int(number * by) in _PAGES)
        found = (f"if it is meant in {unit}, write `{_PAGES[int(number * _COUNTED[unit])]}`" for unit in units)
        return Meaning(tuple(found))
    meant = _PAGES.get(int(number * (unit_of(match[2]) or 0)))
    return Meaning((f"write `{meant}`",), fix=meant) if meant else None


def _huge(word: str) -> Meaning | None:
    hint = "huge pages are `2MiB` or `1GiB`, and the host must have reserved them"
    return Meaning((hint,)) if plain_word(word.lower()) in _HUGE else None
