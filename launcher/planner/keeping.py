"""A fact in, what a plan keeps of it out: plain data, without what moves by itself or is as usual. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from launcher.codec import encode
from launcher.host import facts
from launcher.planner.uses import HARD
from launcher.record import defaults, field_types, fields, is_record
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REQUIRED = object()  # in the place of a usual value: there is none

_TASKS = ("tasks", "user_tasks", "task_limits")  # what is left of them is assumed as a bound

# What comes and goes while nobody changes the host, what says the same again, what no plan looks at, and what is
# another after up and down (vfio-pci leaves power/control on).
_LEFT_OUT: dict[type, tuple[str, ...]] = {
    facts.DeviceNode: ("path", "mode", "uid", "gid"),
    facts.Firmware: ("vendor", "product"),
    facts.Holder: ("pid",),
    facts.Interface: ("name", "mac", "up", "random", "without_mac", "functions"),
    facts.IommuGroup: ("number",),
    facts.IommuUnit: ("name", "domains"),
    facts.Limit: ("cgroup", "current"),
    facts.Link: ("name", "mac", "up", "master", "ports", "attached", "holders"),
    facts.Linux: ("drivers", "framebuffers", "holders", "loadable", "lockdown", "modules", "parameters", "vectors"),
    facts.MediatedDevice: ("address", "name"),
    facts.PcieLink: ("speed",),
    facts.PciFunction: ("address", "name", "revision", "errors"),
    facts.Program: ("version",),
    facts.Power: ("state", "runtime", "control"),
    facts.Process: ("gid", "groups", "cpus", "state_folder", "locked", "pinned", "huge_limits", *_TASKS),
    facts.Use: ("what", "pid", "unit"),
}

# The same of what images/disk_files.py has, by name: it is not imported where a spec has no disks.
_LEFT_OUT_OF_FILES: dict[str, tuple[str, ...]] = {
    "DiskFile": (
        *("path", "real", "size", "allocated", "content", "boots", "file_system", "free"),
        *("taken", "refused", "openers", "uses"),
    ),
    "Folder": ("path", "real", "file_system"),
    "Qcow2": ("virtual_size", "dirty"),
    "Rights": ("path",),
    "Socket": ("path",),
}

# What VFIO, KVM and IOMMUs make something of; the rest of the configuration is the administrator's.
_OPTIONS = ("IOMMU", "IRQ_REMAP", "VFIO")


def _options(config: Mapping[str, str] | None) -> list[str] | None:
    return None if config is None else sorted(one for one in config if any(word in one for word in _OPTIONS))


def _parameters(line: str) -> list[str]:
    return [one for one in line.split() if one.replace("-", "_").startswith(facts.PARAMETERS)]


# Of some facts only a part counts.
_KEPT_AS: dict[tuple[type, str], Callable[[Any], Any]] = {
    (facts.Bar, "start"): lambda start: "assigned" if start else "not assigned",
    (facts.Linux, "cmdline"): _parameters,
    (facts.Linux, "config"): _options,
    (facts.MediatedDevice, "vfio"): lambda name: name and "a node",
    (facts.PciFunction, "vfio"): lambda name: name and "a node",  # by another name after each bind
    (facts.PciFunction, "irq"): lambda irq: irq if not irq else "a line",
}


class _Part(NamedTuple):
    """A field that is kept, `shortened` where only a part of it counts; `usual` is what it is where nothing is said."""

    name: str
    kind: Any
    shortened: Callable[[Any], Any] | None
    usual: Any

    def of(self, value: Any) -> Any:
        whole = self.shortened is None or isinstance(value, Missing)
        return kept(value, self.kind) if whole or self.shortened is None else self.shortened(value)


def kept(value: Any, kind: Any = None) -> Any:
    """Of an object the fields that are not as usual; of what could not be read only why."""
    if isinstance(value, Missing):
        return {"missing": value.missing}
    if isinstance(value, (tuple, list)):
        return [kept(one) for one in value]
    if isinstance(value, dict):
        return {str(key): kept(one) for key, one in value.items()}
    if not _has_parts(value):
        return encode(value, kind)
    found = ((part.name, part.of(getattr(value, part.name)), part.usual) for part in _parts(value))
    return {name: one for name, one, usual in found if one != usual}


def differences(fact: str, assumed: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """(fact, as it was kept, as it is) of the smallest facts that differ. Of what sleeps nothing is known; of what
    slept then, only that it should not be dead."""
    found = kept(now)
    if assumed == found or _sleeps(found) or (_sleeps(assumed) and not _is_dead(found)):
        return
    if _has_parts(now) and isinstance(assumed, dict) and not isinstance(now, Missing) and "missing" not in assumed:
        for part in _parts(now):
            usual = None if part.usual is REQUIRED else part.usual
            yield from _of_part(f"{fact}.{part.name}", part, assumed.get(part.name, usual), getattr(now, part.name))
    elif isinstance(now, dict) and isinstance(assumed, dict):
        for key in dict.fromkeys((*assumed, *now)):
            yield from differences(f"{fact}[{key}]", assumed.get(key), now.get(key))
    elif isinstance(now, tuple) and isinstance(assumed, list) and len(now) == len(assumed) and _are_named(now):
        for one, item in zip(assumed, now, strict=True):
            yield from differences(f"{fact}[{name_of(item)}]", one, item)
    else:
        yield fact, assumed, found


def _of_part(fact: str, part: _Part, assumed: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if part.name == "uses":
        assumed = _lasting(assumed, kept(now))
    if part.shortened is None and not isinstance(now, int):
        yield from differences(fact, assumed, now)
    elif assumed != part.of(now):
        yield fact, assumed, part.of(now)


def _lasting(assumed: Any, here: Any) -> Any:
    """An idle use that has ended was in nobody's way: either `allow` lifted it, or the device was not to be taken."""
    if not (isinstance(assumed, list) and isinstance(here, list)):
        return assumed
    return [one for one in assumed if one in here or not isinstance(one, dict) or str(one.get("kind")) in HARD]


def _sleeps(plain: Any) -> bool:
    return isinstance(plain, dict) and plain.get("missing") == "asleep"


def _is_dead(plain: Any) -> bool:
    return isinstance(plain, dict) and "dead" in plain


def _are_named(items: tuple[Any, ...]) -> bool:
    return all(_has_parts(one) and name_of(one) for one in items)


def name_of(one: Any) -> str:
    """What finds it in its list; empty for what has no name."""
    if not _has_parts(one):
        return str(one)
    kind: Any = type(one)
    for key in _names_of(kind):
        if (value := getattr(one, key)) is not None:
            return str(value)
    return ""


@cache
def _names_of(kind: Any) -> tuple[str, ...]:
    has = {*fields(kind), *dir(kind)}  # also what it works out
    return tuple(key for key in ("address", "number", "index", "id", "path", "size", "name") if key in has)


def _has_parts(value: Any) -> bool:
    return is_record(value) and not hasattr(value, "parse")


def _parts(value: Any) -> tuple[_Part, ...]:
    kind: Any = type(value)
    return _parts_of(kind)


@cache
def _parts_of(kind: Any) -> tuple[_Part, ...]:
    usual, left_out = defaults(kind), _LEFT_OUT.get(kind) or _LEFT_OUT_OF_FILES.get(kind.__name__, ())
    rows = []
    for name, type_ in field_types(kind).items():
        if name not in left_out:
            part = _Part(name, type_, _KEPT_AS.get((kind, name)), REQUIRED)
            rows.append(part._replace(usual=part.of(usual[name])) if name in usual else part)
    return tuple(rows)
