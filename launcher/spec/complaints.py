"""What pydantic says about a spec in, Problems in our words and with our codes out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from launcher.patterns import re
from launcher.record import replace
from launcher.spec import rules, rules_of_boot, rules_of_served
from launcher.spec.cpu_list import pin
from launcher.spec.entries_of_others import entries, entry, is_entry
from launcher.spec.fields import all_fields, as_yaml, keys_of, stands
from launcher.spec.model import ShortBoot, ShortDevice, ShortDisk, ShortNic, VmSpec
from launcher.spec.model_of_machine import Bank
from launcher.spec.places import NAMED, section_of
from launcher.spec.problems import FieldPath, Problem, did_you_mean, nearest
from launcher.spec.scalars import kind, truth, whole_number
from launcher.spec.served import FOREIGN
from launcher.spec.shapes_of_others import listed_banks, shape
from launcher.spec.sound import section_at, sound
from launcher.spec.synonyms import choice, implied, meaning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

    from pydantic_core import ErrorDetails

    from launcher.spec import parts

Key = TypeVar("Key")


def judged(spec: Mapping[str, object], lost: Set[FieldPath]) -> tuple[parts.VmSpec | None, Sequence[Problem]]:
    """What nobody dared to take at once: the spec after all, or what is wrong with it."""
    try:
        return VmSpec.model_validate(spec).as_part(), ()
    except ValidationError as refusal:
        return None, complaints(refusal, spec, lost)


def complaints(refusal: ValidationError, spec: Mapping[str, object], lost: Set[FieldPath]) -> tuple[Problem, ...]:
    """All of them: those pydantic found, and those between the parts that are valid.

    `lost` are the fields whose value could not be read: they have had their message.
    """
    found = _told(refusal, spec, lost)
    return tuple(sound(found, spec, lambda mended: _again(mended, lost)))


def _told(refusal: ValidationError, spec: Mapping[str, object], lost: Set[FieldPath]) -> tuple[Problem, ...]:
    errors = [(_path(error), error) for error in refusal.errors(include_url=False)]
    found = [(path, _problem(path, error, spec)) for path, error in errors if _is_news(path, error, lost)]
    meant = {field for path, error in errors for field in _meant(path, error, spec)}
    told = [one for path, one in found if one.code != "E102" or path not in meant]
    unnamed = {one.path[0]: one for one in _unnamed(spec)}
    if {"apiVersion", "kind"} <= spec.keys():
        told = [one for one in told if one.path == ("apiVersion",)]
    told = [one for one in told if not (one.path == ("boot",) and one.code == "E102" and _has_lost_its_kernel(lost))]
    rest = (one for one in (*told, *_between(spec)) if one.path[:1] not in {(kind,) for kind in unnamed})
    return tuple(dict.fromkeys([*unnamed.values(), *rest]))


def _has_lost_its_kernel(lost: Set[FieldPath]) -> bool:
    """Or what stands in its place: there is a key, and something was said of its value."""
    return not lost.isdisjoint({("boot", "kernel"), ("boot", "firmware")})


def _unnamed(spec: Mapping[str, object]) -> Iterator[Problem]:
    """`nics: {bridge: br0}`: one entry, where aliases belong. It is told as a whole, and not key by key."""
    for kind_ in NAMED:
        given = spec.get(kind_)
        keys = set(given) if isinstance(given, Mapping) else set()
        ours = {*keys_of(kind_), *(keys_of("devices.match") if kind_ == "devices" else ())}
        if keys <= ours and is_entry(kind_, given) and not stands(kind_, given):
            fix = entries(kind_, given)
            help_ = (f"write `{kind_}: {fix}`",)
            yield Problem("E105", "expected aliases, found what belongs below one", (kind_,), help=help_, fix=fix)


def _again(spec: Mapping[str, object], lost: Set[FieldPath]) -> tuple[Problem, ...]:
    """What would be wrong with the spec after a fix."""
    try:
        VmSpec.model_validate(spec)
    except ValidationError as refusal:
        return _told(refusal, spec, lost)
    return ()


def _meant(path: FieldPath, error: ErrorDetails, spec: Mapping[str, object]) -> Iterator[FieldPath]:
    """The fields that an unknown key stands for."""
    if error["type"] != "extra_forbidden":
        return
    found = meaning(path, error["input"], section_at(spec, path))
    if len(path) == 1 and isinstance(error["input"], Mapping) and (found is None or not found.field):
        yield from ((key,) for key in keys_of(""))  # what is indented below a word, a spec or not, is all there is
    if found is None and (near := nearest(path[-1], keys_of(section_of(path[:-1])))):
        yield (*path[:-1], near)
    elif found is not None and found.field:
        yield from implied(found.field, path)


def _is_news(path: FieldPath, error: ErrorDetails, lost: Set[FieldPath]) -> bool:
    """An unknown key is one, whether it has a value or not."""
    return error["type"] == "extra_forbidden" or not any(path[:length] in lost for length in range(1, len(path) + 1))


def _path(error: ErrorDetails) -> FieldPath:
    return tuple(str(part) for part in error["loc"] if part != "[key]")


def _between(spec: Mapping[str, object]) -> Iterator[Problem]:
    """The rules again, over what is valid, so that one bad device does not hide what is wrong with the others."""
    devices, memory = spec.get("devices"), spec.get("memory")
    if isinstance(devices, Mapping):
        yield from rules.of_devices(_valid(TypeAdapter(ShortDevice), devices.items()))
        yield from (one for alias, device in devices.items() for one in _of_keys(alias, device))
    yield from _between_served(spec)
    if isinstance(memory, list):
        yield from rules.of_memory(_valid(TypeAdapter(Bank), enumerate(memory)))


def _between_served(spec: Mapping[str, object]) -> Iterator[Problem]:
    named = {kind: _mapping(spec.get(kind)) for kind in NAMED}
    disks, nics, shares = (named[kind] for kind in NAMED[1:])
    alone = [key for key in ("vsock", "cloud-init") if spec.get(key) not in (None, False)]
    yield from rules_of_served.of_aliases(named, alone)
    yield from rules_of_served.of_tags(shares)
    boot = _valid(TypeAdapter(ShortBoot), [("boot", spec.get("boot"))]).get("boot")
    most = rules_of_served.most_beside(boot.firmware if boot else None)
    yield from rules_of_served.of_number(disks, nics, shares, alone, most)
    valid = {kind: _valid(TypeAdapter(how), named[kind].items()) for kind, how in _SHORT.items()}
    yield from rules_of_served.of_things(*valid.values())
    yield from rules_of_boot.of_orders(boot, valid["disks"], valid["devices"])


_SHORT: dict[str, Any] = {"disks": ShortDisk, "nics": ShortNic, "devices": ShortDevice}


def _mapping(given: object) -> dict[str, object]:
    """Keys that are no text have been told."""
    return {key: one for key, one in given.items() if isinstance(key, str)} if isinstance(given, Mapping) else {}


def _of_keys(alias: str, device: object) -> Iterator[Problem]:
    """A key we do not know may be the `pci` that is missing, so what is about the whole device is left out then."""
    if isinstance(device, Mapping):
        known = set(device) <= set(keys_of("devices"))
        found = rules.of_device(device)
        yield from (replace(one, path=("devices", alias, *one.path)) for one in found if one.path or known)


def _valid(adapter: TypeAdapter[Any], members: Iterable[tuple[Key, object]]) -> dict[Key, Any]:
    valid = {}
    for key, member in members:
        with suppress(ValidationError):
            valid[key] = adapter.validate_python(member)
    return valid


def _problem(path: FieldPath, error: ErrorDetails, spec: Mapping[str, object]) -> Problem:
    told = _by_kind(path, error, spec)
    is_key = error["type"] in ("extra_forbidden", "missing") or "[key]" in error["loc"]
    found = None if is_key or not isinstance(error["input"], str) else re.search(_VARIABLE, error["input"])
    if found is None:
        return told
    help_ = f"`{found[0]}` is not filled in here: write the value, or give it by `--set {'.'.join(path)}=...`"
    return replace(told, help=(help_,), fix=None)


# Of shells, of templates, of Windows.
_VARIABLE = r"\$\{[^{}]{1,64}\}|<%[^%]{1,64}%>|\$[A-Za-z_][A-Za-z0-9_]{0,63}|\{\{[^{}]{1,64}\}\}|%[A-Z_]{1,64}%"


def _by_kind(path: FieldPath, error: ErrorDetails, spec: Mapping[str, object]) -> Problem:
    said = error.get("ctx", {}).get("problem")
    if isinstance(said, Problem):
        if said.code == FOREIGN:
            said = _translated(said, path, error["input"])
        return replace(
            said, path=path, key=said.key or "[key]" in error["loc"], help=shape(path, error["input"]) or said.help
        )
    if error["type"] == "extra_forbidden":
        return _unknown(path, error["input"], section_at(spec, path))
    told = _TABLE.get(error["type"], _wrong_type)(path, error)
    return _of_a_bank(told, spec) if path[:1] == ("memory",) and error["type"] == "model_type" else told


def _translated(said: Problem, path: FieldPath, given: object) -> Problem:
    meant = entry(path[0], given)
    return said if meant is None else replace(said, help=(f"write `{meant}`", *said.help), fix=meant)


def _of_a_bank(told: Problem, spec: Mapping[str, object]) -> Problem:
    """The list as a whole: a number of an item is nothing that anybody would write."""
    banks = listed_banks(spec.get("memory"))
    return replace(told, help=(f"write `memory: {banks}`",)) if banks else told


def _missing(path: FieldPath, error: ErrorDetails) -> Problem:
    *around, key = path
    if path == ("name",):
        return Problem("E129", "a spec from stdin needs a `name`", help=("add `name: vm`",), fix="name: vm")
    field = all_fields()[".".join(filter(None, [section_of(tuple(around)), key]))]
    example = _pinned(error["input"]) if path == ("cpus", "count") else None
    help_ = (f"add `{key}:`, as in `{key}: {as_yaml(example or field.examples[0])}`",)
    return Problem("E102", f"`{key}` is missing", tuple(around), key=True, help=help_)


def _pinned(beside: object) -> int | None:
    """How many vCPUs `pin` has host CPUs for."""
    given = beside.get("pin") if isinstance(beside, Mapping) else None
    return len(pin(given)) if given is not None and stands("cpus.pin", given) else None


def _unknown(path: FieldPath, given: object, beside: Mapping[str, object]) -> Problem:
    *around, key = path
    known = keys_of(section_of(tuple(around)))
    found = meaning(path, given, beside)
    if found is not None:
        return Problem("E101", "unknown key", path, key=True, help=found.help, fix=found.fix)
    if key.startswith("x-"):
        rule = "x- keys are yours at the top level of the file only"
        return Problem("E104", "not at the top level", path, key=True, help=(rule,))
    if whole := _colon(key, known):
        return Problem("E101", "unknown key", path, key=True, help=whole)
    help_ = did_you_mean(key, known) or _listed(known)
    return Problem("E101", "unknown key", path, key=True, help=help_, fix=nearest(key, known))


def _colon(key: str, known: Iterable[str]) -> tuple[str, ...]:
    """`{size:1GiB}` is one key to YAML, for want of a space, as `{size=1GiB}` is for want of a colon."""
    sign = next((one for one in key if one in ":="), ":")
    start, found, rest = (part.strip() for part in key.partition(sign))
    wanted = "put a space after the colon" if sign == ":" else "write a colon and a space"
    return (f"{wanted}: `{start}: {rest}`",) if found and start in known else ()


def _listed(known: Iterable[str]) -> tuple[str, ...]:
    return (f"the keys here are {', '.join(known)}",)


def _range(path: FieldPath, error: ErrorDetails) -> Problem:
    limits = error.get("ctx", {})
    bound, most, rest = (limits["ge"], "least", "more") if "ge" in limits else (limits["le"], "most", "less")
    wrong = f"{_shown(error['input'])} is out of range: it is at {most} {bound}"
    return Problem("E119", wrong, path, help=(f"write `{bound}`, or {rest}",))


def _choice(path: FieldPath, error: ErrorDetails) -> Problem:
    choices = re.findall(r"'([^']*)'", error.get("ctx", {}).get("expected", ""))
    given = error["input"]
    listed = f"it is one of {', '.join(choices)}"
    field = next(part for part in reversed(path) if not part.isdecimal())
    meant = choice(field, given)
    fix = meant.fix if meant else _wrapped(given, choices)
    wrapped = (f"write `{fix}`",) if fix else did_you_mean(str(given), choices)
    near = shape(path, given) or (meant.help if meant else wrapped)
    help_ = (*near, listed)
    return Problem("E116", f"{_shown(given)} is not a choice here", path, help=help_, fix=fix)


def _wrapped(given: object, choices: Sequence[str]) -> str | None:
    """The one choice that is in a list, or is true in a mapping: `{attach: true}`."""
    words = [one for one in given if given[one] is True] if isinstance(given, Mapping) else given
    return str(words[0]) if isinstance(words, list) and len(words) == 1 and words[0] in choices else None


def _truth(path: FieldPath, error: ErrorDetails) -> Problem:
    given = error["input"]
    if meant := truth(given):
        return replace(meant, path=path)
    wrong = f"expected true or false, found {_found(given)}"
    return Problem("E105", wrong, path, help=(f"write `{path[-1]}: true` or `{path[-1]}: false`",))


def _wrong_type(path: FieldPath, error: ErrorDetails) -> Problem:
    given = error["input"]
    wanted, help_ = _WANTED.get(error["type"], ("another kind of value", ()))
    if error["type"] == "int_type":
        help_ = (f"write a number such as `{_number(path)}`",)
    fix = _as_wanted(path, error["type"], given)
    keys = _listed(keys_of(section_of(path))) if error["type"] == "model_type" else ()
    whole = f"{path[-1]}: {fix}" if fix and error["type"] == "model_type" and not path[-1].isdecimal() else fix
    named = _aliased(path) if error["type"] == "dict_type" else ()
    helps = (f"write `{whole}`",) if fix else shape(path, given) or (*help_, *named, *keys)
    return Problem("E105", f"expected {wanted}, found {_found(given)}", path, help=helps, fix=fix)


def _number(path: FieldPath) -> str:
    """One that may stand there."""
    field = all_fields().get(".".join((section_of(path[:-1]), path[-1])))
    return next((str(one) for one in field.examples if type(one) is int), "8") if field else "8"


def _aliased(path: FieldPath) -> tuple[str, ...]:
    field = all_fields().get(".".join(path))
    return (f"each has an alias, as in `{path[-1]}: {as_yaml(field.examples[0])}`",) if field else ()


def _as_wanted(path: FieldPath, error_type: str, given: object) -> str | None:
    """The same thing as the kind of value that belongs there: 4 for "4", [a] for a."""
    if error_type == "model_type" and isinstance(given, str) and given.strip():
        key = _main_key(path, given)
        fits = key and stands(".".join((section_of(path), key)), given)
        return f"{{{key}: {as_yaml(given, inside=True)}}}" if fits else None
    if error_type == "int_type" and isinstance(given, float) and given.is_integer():
        return str(int(given))
    if error_type == "int_type" and isinstance(given, str) and (number := whole_number(given)):
        return number
    field = ".".join((section_of(path[:-1]), path[-1]))
    listed = error_type == "tuple_type" and isinstance(given, str) and stands(field, [given])
    return f"[{as_yaml(given, inside=True)}]" if listed else None


def _main_key(path: FieldPath, given: str) -> str | None:
    """What a text means where a mapping belongs."""
    section = section_of(path)
    if section == "devices.match":
        return "id" if ":" in given else "class"
    return {"boot": "kernel", "memory": "size", "devices.network": "mac", "cloud-init": "user-data"}.get(section)


def _found(given: object) -> str:
    return kind(given) if isinstance(given, Mapping | list) else f"{kind(given)}: {_shown(given)}"


def _shown(given: object) -> str:
    return as_yaml(given)[:80] if isinstance(given, bool | Mapping | list) else str(given)[:80]


# pydantic's error type -> what belongs there, help
_WANTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "int_type": ("a whole number", ()),
    "tuple_type": ("a list", ("write [a, b], or one item a line with `- `",)),
    "model_type": ("a mapping", ()),
    "dict_type": ("a mapping", ()),
}

_TABLE: dict[str, Callable[[FieldPath, ErrorDetails], Problem]] = {
    "missing": _missing,
    "greater_than_equal": _range,
    "less_than_equal": _range,
    "literal_error": _choice,
    "bool_type": _truth,
}
