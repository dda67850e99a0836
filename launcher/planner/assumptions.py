"""The facts a plan rests on, and later which of them no longer hold. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from launcher.codec import encode
from launcher.plan.plan import Assumption
from launcher.planner.functions import leads_to_a_bus
from launcher.planner.groups import direct_region
from launcher.planner.kvm import NEEDED
from launcher.planner.limits import huge_demands, populated_bytes, small_page_bytes
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import BootFiles, HostFacts
    from launcher.plan.plan import Plan
    from launcher.planner.devices import Passthrough
    from launcher.planner.limits import Demand
    from launcher.spec.model import VmSpec

# A name, or a key in brackets: `groups[31].devices`, `pci[0000:c1:00.0].driver`.
_PART = re.compile(r"([a-z_0-9]+)|\[([^\]]+)\]")
# Things in a list are found by what names them.
_KEYS = ("address", "number", "index", "id", "size")


@dataclass(frozen=True, slots=True)
class Failed:
    """A fact that is not as the plan assumes."""

    fact: str
    assumed: str
    found: str

    def __str__(self) -> str:
        return f"{self.fact}: {self.assumed} -> {self.found}"


def assumptions(
    spec: VmSpec, host: HostFacts, files: BootFiles, passing: Passthrough, ram_end: int
) -> tuple[Assumption, ...]:
    """Numbers that move by themselves come in as bounds only."""
    equal = (*_files(files), *_machine(spec), *_devices(host, passing))
    known = (Assumption(fact, equals=_find(fact, host, files)) for fact in dict.fromkeys(equal))
    return (*known, *_bounds(spec, host, ram_end))


def _machine(spec: VmSpec) -> Iterator[str]:
    yield "architecture"
    yield "kvm.api_version"
    yield "process.state_folder"
    for cpu in spec.cpus.pin or ():
        yield from (f"cpus[{cpu}].node", f"process.cpus[{cpu}]")


def _files(files: BootFiles) -> Iterator[str]:
    yield "files.kernel.sha256"
    if files.initrd is not None:
        yield "files.initrd.sha256"
    yield from (f"files.roms[{alias}].sha256" for alias in files.roms)


def _devices(host: HostFacts, passing: Passthrough) -> Iterator[str]:
    for one in passing.taken:
        pci, bars = f"pci[{one.function.address}]", one.function.bars
        yield from (f"{pci}.{name}" for name in ("id", "group", "driver", "driver_override", "reset"))
        yield from (f"{pci}.bars[{bar.index}].size" for bar in (() if isinstance(bars, Missing) else bars))
    for group in passing.groups:
        yield from (f"groups[{group.number}].{name}" for name in ("devices", "reserved"))
        members = [one for one in host.pci if one.address in group.devices]
        yield from (f"pci[{member.address}].driver" for member in members)
        # The two rules that changed with a release: groups.harmless and groups.check_groups.
        if direct_region(group) or any(leads_to_a_bus(member) and member.driver for member in members):
            yield "kernel"
    if passing.groups:
        yield from ("iommu.kind", "iommu.address_bits")


def _bounds(spec: VmSpec, host: HostFacts, ram_end: int) -> Iterator[Assumption]:
    yield from (Assumption(f"kvm.extensions.{name}", at_least=1) for name in NEEDED)
    yield Assumption("kvm.extensions.max_vcpus", at_least=spec.cpus.count)
    yield Assumption("kvm.physical_bits", at_least=(ram_end - 1).bit_length())
    amounts = {"memory.total": small_page_bytes(spec), "memory.available": populated_bytes(spec)}
    yield from (Assumption(fact, at_least=amount) for fact, amount in amounts.items() if amount)
    for demand in huge_demands(spec.memory):
        node = _pool_node(demand, host)
        if node is not None:
            yield Assumption(f"nodes[{node}].huge_pages[{demand.page_size}].free", at_least=demand.pages)


def _pool_node(demand: Demand, host: HostFacts) -> int | None:
    """Pages of any node have a fact of their own only where there is one node."""
    only = host.nodes[0].id if len(host.nodes) == 1 else None
    return only if demand.node is None else demand.node


def failed_assumptions(plan: Plan, host: HostFacts, files: BootFiles) -> tuple[Failed, ...]:
    """What a saved plan meets here and now. Of what is not there at all only the first fact is told."""
    found = ((one, _find(one.fact, host, files)) for one in plan.assumes)
    failed = [Failed(one.fact, _assumed(one), _show(now)) for one, now in found if not _holds(one, now)]
    told: dict[str, Failed] = {}
    for one in failed:
        first = _gone(one, host, files) or one
        # That a device's group is another one, or that the device is gone, has been said of the device.
        if first is one or not first.fact.startswith("groups"):
            told.setdefault(first.fact, first)
    return tuple(told.values())


def _gone(failed: Failed, host: HostFacts, files: BootFiles) -> Failed | None:
    """The largest part of its name that stands for nothing here: `pci[0000:c1:00.0]` of its driver."""
    for part in list(_PART.finditer(failed.fact))[:-1]:
        name = failed.fact[: part.end()]
        value = _value(name, host, files)
        if value is None or isinstance(value, Missing):
            return Failed(name, failed.assumed, "not there" if value is None else value.missing)
    return None


def _holds(one: Assumption, now: Any) -> bool:
    if one.at_least is not None:
        return isinstance(now, int) and now >= one.at_least
    return bool(encode(one.equals) == now)


def _assumed(one: Assumption) -> str:
    return f"at least {one.at_least}" if one.at_least is not None else _show(encode(one.equals))


def _show(plain: Any) -> str:
    """For people: a reserved region is `0xfee00000 0xfeefffff msi`."""
    if isinstance(plain, dict):
        return " ".join(map(_show, plain.values()))
    return "nothing" if plain is None else ", ".join(map(_show, plain)) if isinstance(plain, list) else str(plain)


def _find(fact: str, host: HostFacts, files: BootFiles) -> Any:
    """The fact as JSON writes it; None for what is not there, or could not be read."""
    value = _value(fact, host, files)
    return None if isinstance(value, Missing) else encode(value)


def _value(fact: str, host: HostFacts, files: BootFiles) -> Any:
    value: Any = host
    for name, key in _PART.findall(fact):
        value = files if (value is host and name == "files") else _step_into(value, name, key)
    return value


def _step_into(value: Any, name: str, key: str) -> Any:
    if isinstance(value, tuple):
        return next((one for one in value if _key(one) == key), None)
    if isinstance(value, dict):
        return value.get(key or name)
    return getattr(value, name, None) if is_dataclass(value) else None


def _key(one: Any) -> str | None:
    if not is_dataclass(one):
        return str(one)
    return next((str(getattr(one, field.name)) for field in fields(one) if field.name in _KEYS), None)
