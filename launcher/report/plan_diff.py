"""Two plans in, what differs out: as values, and as short lines `old -> new` for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby

from launcher.codec import encode
from launcher.plan.firmware import OpenVariables
from launcher.plan.step import Step
from launcher.plan.steps import BindDriver, MakeMdev, SetVirtualFunction, groups_opened
from launcher.plan.virtio import AddVirtio, StartDiskEngine
from launcher.record import field, fields, record, replace
from launcher.report.frame import visible
from launcher.report.lines import WIDE, wrapped
from launcher.report.plan_text import memory_row, placing_groups, shared_banks
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launcher.plan.plan import MemoryLine, Plan, PlannedDevice
    from launcher.plan.virtio import ServedDisk, Virtio

_NONE = "none"
_LONGEST = 240  # of a value; what a host says of a disk may be longer
# Of a device: what follows from its address, or says where the spec names it.
_NOT_COMPARED = ("alias", "role", "name", "class_code", "source")


@record
class Difference:
    """`old` is None for what is new, `new` for what is gone. `part`: spec, devices, memory, steps or assumes."""

    part: str
    what: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return " ".join(self.lines())

    def lines(self) -> tuple[str, ...]:
        """One, or two if there are an old and a new value: for who has no room for one."""
        if self.old is None or self.new is None:
            return (f"{'+' if self.old is None else '-'} {self.what}  {_short(self.new or self.old or '')}".rstrip(),)
        return (f"~ {self.what}  {_short(self.old)}", f"-> {_short(self.new)}")


@record
class _Item:
    """A part of a plan under its name. `text` is compared; where it is the same, the `details` are."""

    name: str
    text: str
    details: dict[str, str] = field(default_factory=dict)
    shown: str = ""  # instead of the text, where it is new or gone

    @property
    def whole(self) -> str:
        return self.shown or self.text


def differences(old: Plan, new: Plan) -> tuple[Difference, ...]:
    """`old` may be up: that the facts of what it has taken have changed is its own doing.

    Without diagnostics: what a plan warns of is no part of what it does.
    """
    later, own = _before_it_was_up(new, old), _own_facts(old)
    found = (Difference(part, *one) for part, items in _PARTS.items() for one in _compare(items(old), items(later)))
    return tuple(one for one in found if one.part != "assumes" or not one.what.startswith(own))


def _before_it_was_up(new: Plan, old: Plan) -> Plan:
    """The file of variables that the old plan has made is no difference of the new one."""
    made = {one.path for one in old.steps if isinstance(one, OpenVariables) and not one.identity}
    steps = (
        replace(one, identity="") if isinstance(one, OpenVariables) and one.path in made else one for one in new.steps
    )
    return replace(new, steps=tuple(steps)) if made else new


def _own_facts(plan: Plan) -> tuple[str, ...]:
    """How the names of facts begin that a plan changes when it is carried out."""
    told = (
        f"pci[{step.physical}].interfaces[{step.interface}].functions[{step.number}]."
        for step in plan.steps
        if isinstance(step, SetVirtualFunction)
    )
    bound = (f"pci[{step.address}]" for step in plan.steps if isinstance(step, BindDriver))
    made = (f"mediated[{step.address}]" for step in plan.steps if isinstance(step, MakeMdev))
    opened = sorted(groups_opened(plan.steps))
    paths = ("/dev/iommu", *(f"/dev/vfio/{name}" for name in ("vfio", *opened)))
    nodes = ("own_nodes[", *(f"device_nodes[{path}]" for path in paths))
    disks = (disk.alias for step in plan.steps if isinstance(step, StartDiskEngine) for disk in step.disks)
    held = (f"files.disks[{alias}].{name}" for alias in disks for name in ("held", "room", "uses"))
    variables = ("files.variables.",) if any(isinstance(step, OpenVariables) for step in plan.steps) else ()
    return (*variables, *bound, *made, *told, *(f"groups[{number}]" for number in opened), *nodes, *held)


def diff_text(found: tuple[Difference, ...], width: int = WIDE) -> str:
    """The parts in the order of the plan, each below its heading."""
    return "\n\n".join("\n".join(_block(part, some, width)) for part, some in groupby(found, lambda one: one.part))


def _block(part: str, some: Iterable[Difference], width: int) -> Iterator[str]:
    yield _HEADINGS[part]
    for one in some:
        first, *rest = one.lines() if len(str(one)) + 2 > width else (str(one),)
        begin, *more = wrapped("      ", visible(first), width)
        yield from (begin[4:], *more)
        yield from (line for each in rest for line in wrapped("      ", visible(each), width))


def _compare(old: Iterable[_Item], new: Iterable[_Item]) -> Iterator[tuple[str, str | None, str | None]]:
    before, after = _by_name(old), _by_name(new)
    for name in dict.fromkeys([*before, *after]):
        was, is_ = before.get(name), after.get(name)
        if was is None or is_ is None:
            yield name, was.whole if was else None, is_.whole if is_ else None
        elif was.text != is_.text:
            yield name, was.text, is_.text
        else:
            pairs = {key: (was.details.get(key, _NONE), is_.details.get(key, _NONE)) for key in _keys(was, is_)}
            yield from ((f"{name}: {key}", *pair) for key, pair in pairs.items() if pair[0] != pair[1])


def _keys(was: _Item, is_: _Item) -> dict[str, None]:
    return dict.fromkeys([*was.details, *is_.details])


def _by_name(items: Iterable[_Item]) -> dict[str, _Item]:
    """Several of one name are `name`, `name (2)`, `name (3)`."""
    seen: Counter[str] = Counter()
    found: dict[str, _Item] = {}
    for one in items:
        seen[one.name] += 1
        found[one.name if seen[one.name] == 1 else f"{one.name} ({seen[one.name]})"] = one
    return found


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"


# ---- the parts of a plan ----


def _spec(plan: Plan) -> Iterator[_Item]:
    """A field each, but for what is not there; of a device, a disk or a bank, which is there as a whole or not at all,
    its fields are the details."""
    for key, value in plan.spec.resolved.items():
        if value is None:
            continue
        if not isinstance(value, (dict, list)):
            yield _Item(key, _said(value))
            continue
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            whole = isinstance(one, dict)
            yield _Item(f"{key}.{name}", "" if whole else _said(one), _details(one) if whole else {}, _said(one))


def _devices(plan: Plan) -> Iterator[_Item]:
    return (_device(one) for one in plan.devices)


def _device(one: PlannedDevice) -> _Item:
    name = one.alias if one.role == "device" else f"{one.alias}, {one.role} {one.host}"
    compared = {name: encode(getattr(one, name)) for name in fields(one) if name not in _NOT_COMPARED}
    place = "" if one.guest is None else f" as {one.guest.guest}"
    return _Item(name, "", _details(compared), f"{one.host} {one.id}{place}")


def _memory(plan: Plan) -> Iterator[_Item]:
    groups, shared = placing_groups(plan), shared_banks(plan)
    return (_line(one, groups, shared) for one in plan.memory)


def _line(line: MemoryLine, groups: set[int], shared: dict[int, str]) -> _Item:
    span, _, what = memory_row(line, groups, shared)
    if line.kind == "ram":
        return _Item(f"RAM, bank {line.bank}", f"{span}, {what.partition(', ')[2]}")
    if line.kind == "reserved":
        return _Item(f"reserved at {line.start:#x}", f"{span}, {what}")
    name, _, users = what.partition(": ")
    return _Item(name, f"{span}, {users}" if users else str(span))


def _steps(plan: Plan) -> Iterator[_Item]:
    """What serves several disks or functions is a line for each of them."""
    for one in plan.steps:
        if isinstance(one, StartDiskEngine):
            yield from (_disk(one, disk) for disk in one.disks)
        elif isinstance(one, AddVirtio):
            yield from (_function(one, function) for function in one.functions)
        else:
            yield _step(one)


def _disk(step: StartDiskEngine, one: ServedDisk) -> _Item:
    engine = {"program": step.program, "uid": str(step.uid), "gid": str(step.gid)}
    first = one.images[0].path if one.images else _NONE
    return _Item(f"{step.op} {one.alias}", "", _details(encode(one)) | engine, f"{first} as uid {step.uid}")


def _function(step: AddVirtio, one: Virtio) -> _Item:
    return _Item(f"{step.op} {one.alias}", "", _details(encode(one)), f"by {one.engine} at {one.guest.guest}")


def _step(one: Step) -> _Item:
    return _Item(f"{one.op} {one.device}" if one.device else one.op, one.describe(), _details(encode(one)))


def _assumes(plan: Plan) -> Iterator[_Item]:
    """A fact that has parts is compared part by part."""
    for one in plan.assumes:
        if one.at_least is not None:
            yield _Item(f"{one.fact} at least", str(one.at_least))
        elif isinstance(one.equals, dict):
            yield _Item(one.fact, "", _details(one.equals), _said(one.equals))
        else:
            yield _Item(one.fact, _said(encode(one.equals)))


def _details(plain: Mapping[str, Any]) -> dict[str, str]:
    return {key: _said(value) for key, value in plain.items()}


def _said(value: Any) -> str:
    """JSON without its quotes; in a mapping what is not given is left out."""
    if isinstance(value, list):
        return f"[{', '.join(map(_said, value))}]"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_part(key, inner)}" for key, inner in value.items() if inner not in (None, []))
    if value is None or isinstance(value, bool):
        return {None: _NONE, True: "true", False: "false"}[value]
    return str(value)


def _part(key: str, value: Any) -> str:
    """Permission bits as `chmod` has them."""
    return f"{value:04o}" if key == "mode" and isinstance(value, int) else _said(value)


_PARTS: dict[str, Callable[[Plan], Iterator[_Item]]] = {
    "spec": _spec,
    "devices": _devices,
    "memory": _memory,
    "steps": _steps,
    "assumes": _assumes,
}
_HEADINGS = {
    "spec": "Spec",
    "devices": "Devices",
    "memory": "Guest memory",
    "steps": "Steps",
    "assumes": "Facts it rests on",
}
