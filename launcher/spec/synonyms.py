"""A key or a word that other tools have in, what it is called here out, or what there is instead. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from launcher.spec.fields import all_fields, as_yaml
from launcher.spec.places import section_of
from launcher.spec.problems import FieldPath
from launcher.spec.sizes import unit_of
from launcher.spec.words_of_others import CHOICES, FIELDS, IN_BOOT, NONE
from launcher.values import GIB, KIB, MIB


class Meaning(NamedTuple):
    """`field` is the dotted name of the field that is meant, where there is one; `fix` replaces the key."""

    help: tuple[str, ...]
    field: str = ""
    fix: str | None = None


def _by_word(words: Mapping[str, str]) -> dict[str, str]:
    return {_plain(word): meant for meant, listed in words.items() for word in listed.split()}


def _plain(word: str) -> str:
    """bootVcpus, boot_vcpus and boot-vcpus are one word."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", word[:64]).lower()
    return re.sub(r"[-_. ]+", "-", parts).strip("-").replace("-", "")


# They are sorted when the first unknown key is met, and not at every start.
@cache
def _field_of(section: str) -> dict[str, str]:
    return _by_word(FIELDS.get(section, {}))


@cache
def _none_of(section: str) -> dict[str, str]:
    return _by_word({"*": NONE, "boot": IN_BOOT}.get(section, {}))


@cache
def _choice_of(field: str) -> dict[str, str]:
    return _by_word(CHOICES.get(field, {}))


# Whose values others write in another way, so that a new key alone would not do.
_OTHER_VALUES = frozenset({"devices.match.id", "devices.rom", "devices.bind", "devices.companions", "devices.allow",
                           "devices.pick"})  # fmt: skip
# A scalar of others can stand there as it is.
_SAME_VALUES = ("boot.", "devices.pci", "devices.match.", "devices.network.")
# What has to stand beside a field that is named without its section.
_BESIDE = {"cpus": "count: 8, ", "memory": "size: 8GiB, "}


def meaning(path: FieldPath, given: object) -> Meaning | None:
    """What is meant by the unknown key at the end of `path`, whose value is `given`."""
    *around, key = path
    section = section_of(tuple(around))
    for word in _forms(key):
        for where in (section, "*"):
            if field := _field_of(where).get(word):
                return _of_field(field, section, given)
            if none := _none_of(where).get(word):
                return Meaning((none,))
    return None


def _forms(key: str) -> Iterator[str]:
    """The word, without a number at its end (hostpci0), and in the singular."""
    word = _plain(key)
    yield word
    yield word.rstrip("0123456789")
    yield word.rstrip("0123456789").removesuffix("s")


def _of_field(field: str, section: str, given: object) -> Meaning:
    around, _, name = field.rpartition(".")
    if field == "cpus" and isinstance(given, str) and not given.strip().isdecimal():
        return Meaning((_none_of("*")["cpumodel"],))
    if field == "devices.match.id" and section == "devices":
        value = _value(given, field)
        return Meaning(
            (f"write `match: {{id: {value}}}` to find it by its id", f"or `expect: {value}` beside `pci`"), field
        )
    if around == section:
        return _in_place(field, name)
    if around == "":
        return Meaning((f"write `{name}` at the left margin",), field)
    if section.startswith(f"{around}."):
        stands = "in place of" if name == "pci" else "beside"
        return Meaning((f"`{name}` stands {stands} `{section.rpartition('.')[2]}`",), field)
    return Meaning((f"it belongs in `{around.rpartition('.')[2]}:`, as in `{_nested(field, section, given)}`",), field)


def _in_place(field: str, name: str) -> Meaning:
    if field in _OTHER_VALUES:
        return Meaning((f"`{name}` says that: {all_fields()[field].type}",), field)
    return Meaning((f"write `{name}`",), field, name)


def _nested(field: str, section: str, given: object) -> str:
    """The field with all that is around it, from where the unknown key stands: `boot: {kernel: ./bzImage}`."""
    first, *inner = field.removeprefix(f"{section}.").split(".") if section else field.split(".")
    text = _value(given, field)
    for part in reversed(inner):
        text = f"{{{_BESIDE.get(first, '')}{part}: {text}}}"
    return f"{first}: [{text}]" if first == "memory" else f"{first}: {text}"


def _value(given: object, field: str) -> str:
    """What is written, where it may stand there; else the example of the field."""
    whole = field != "devices.match.id" or ":" in str(given)
    if field.startswith(_SAME_VALUES) and isinstance(given, str) and given.strip() and whole:
        return as_yaml(given)
    return as_yaml(all_fields()[field].examples[0])


def implied(field: str, path: FieldPath) -> Iterator[FieldPath]:
    """The fields that are not missing if the unknown key at `path` means `field`."""
    parts = tuple(field.split("."))
    yield (*path[:-1], parts[-1])
    yield from (parts[:length] for length in range(1, len(parts) + 1))


def choice(field: str, given: object) -> Meaning | None:
    """What is meant by a word that is none of a field's choices."""
    if field == "pages":
        return _pages(given)
    meant = _choice_of(field).get(_plain(str(given).lower()))
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
        meant = _choice_of("pages").get(_plain(word.lower()))
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
    return Meaning((hint,)) if _plain(word.lower()) in _HUGE else None
